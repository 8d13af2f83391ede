"""Pages of Agent Forge."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
