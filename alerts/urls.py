"""URLs of the app: the doors machines push to. Its pages are in `page_urls`, its API in `api.urls`."""

from django.urls import URLPattern, URLResolver, path

from alerts.compat.alertmanager import alerts_door

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v2/alerts", alerts_door, name="alertmanager-alerts"),
]
