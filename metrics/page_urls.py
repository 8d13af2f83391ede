"""Addresses of the pages; the foreign HTTP API has its own list in `urls`."""

from django.urls import URLPattern, URLResolver, path

from metrics import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.explore, name="explore"),
    path("csv/", views.explore_csv, name="explore_csv"),
    path("complete/", views.complete, name="complete"),
    path("ask/", views.ask, name="ask"),
]
