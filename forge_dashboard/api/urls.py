"""Addresses of the REST API of Agent Forge, below /api/console/v1/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
