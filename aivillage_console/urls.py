"""All URLs: each app brings its own; this file only joins them."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("", include("metrics.urls")),
    path("", include("alerts.urls")),
    path("", include("aivillage_console.accounts.urls")),
]
