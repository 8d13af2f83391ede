"""URLs of the app."""

from django.urls import URLPattern, URLResolver, path

from alerts.compat.alertmanager import alerts_door

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v2/alerts", alerts_door, name="alertmanager-alerts"),
]
