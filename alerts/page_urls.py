"""Addresses of the pages; APIs have their own list in `urls`."""

from django.urls import URLPattern, URLResolver, path

from alerts import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.inbox, name="inbox"),
    path("counter/", views.counter, name="counter"),
    path("bulk/", views.bulk, name="bulk"),
    path("<int:alert_id>/", views.detail, name="detail"),
    path("<int:alert_id>/<slug:action>/", views.act, name="act"),
    path("messages/<int:notification_id>/retry/", views.retry, name="retry"),
]
