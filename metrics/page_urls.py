"""Addresses of the pages; the foreign HTTP API has its own list in `urls`."""

from django.urls import URLPattern, URLResolver, path

from metrics import views
from metrics.views import inventory, scraping

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.explore, name="explore"),
    path("csv/", views.explore_csv, name="explore_csv"),
    path("complete/", views.complete, name="complete"),
    path("ask/", views.ask, name="ask"),
    path("cardinality/", inventory.cardinality, name="cardinality"),
    path("storage/", inventory.storage, name="storage"),
    path("targets/", scraping.targets, name="targets"),
    path("naming/", inventory.naming, name="naming"),
]
