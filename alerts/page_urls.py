"""Addresses of the pages; APIs have their own list in `urls`."""

from django.urls import URLPattern, URLResolver, path

from alerts import views
from alerts.inbound import pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.inbox, name="inbox"),
    path("counter/", views.counter, name="counter"),
    path("bulk/", views.bulk, name="bulk"),
    path("<int:alert_id>/", views.detail, name="detail"),
    path("<int:alert_id>/<slug:action>/", views.act, name="act"),
    path("messages/<int:notification_id>/retry/", views.retry, name="retry"),
]

# At /integrations/.
integrations: list[URLPattern | URLResolver] = [
    path("", pages.integrations, name="list"),
    path("new/", pages.new, name="new"),
    path("preview/", pages.preview, name="preview"),
    path("<uuid:integration_id>/", pages.detail, name="detail"),
    path("<uuid:integration_id>/save/", pages.save, name="save"),
    path("<uuid:integration_id>/rotate/", pages.rotate, name="rotate"),
    path("<uuid:integration_id>/delete/", pages.delete, name="delete"),
]
