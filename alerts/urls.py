"""URLs of the app."""

from django.urls import URLPattern, URLResolver, path

from alerts.compat.alertmanager import alerts_door
from alerts.inbound.github import github_door
from alerts.rules.showing import groups_shown
from metrics.registry import rule_lister_register

# Here and not in a hook: only processes with a door list rules.
rule_lister_register(groups_shown)

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v2/alerts", alerts_door, name="alertmanager-alerts"),
    path("hooks/github/<uuid:hook_id>/", github_door, name="github-hook"),
]
