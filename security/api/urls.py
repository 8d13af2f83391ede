"""Addresses of the REST API of Security, below /api/console/v1/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
