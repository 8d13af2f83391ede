"""URLs of the app."""

from django.urls import URLPattern, URLResolver, path

from alerts.compat.alertmanager import alerts_door
from alerts.inbound.github import github_door

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v2/alerts", alerts_door, name="alertmanager-alerts"),
    path("hooks/github/<uuid:hook_id>/", github_door, name="github-hook"),
]
