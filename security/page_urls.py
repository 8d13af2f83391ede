"""Pages of Security."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
