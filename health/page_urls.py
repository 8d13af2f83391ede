"""Pages of Health."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
