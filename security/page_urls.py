"""Pages of Security."""

from django.urls import URLPattern, path

from security import views

urlpatterns: list[URLPattern] = [
    path("", views.overview, name="overview"),
    path("findings/", views.findings, name="findings"),
    path("events/<int:event_id>/", views.event, name="event"),
    path("blocks/", views.blocks, name="blocks"),
    path("blocks/add/", views.block_add, name="block-add"),
    path("blocks/<uuid:block_id>/lift/", views.block_lift, name="block-lift"),
    path("allowed/add/", views.allow_add, name="allow-add"),
    path("allowed/<uuid:entry_id>/remove/", views.allow_remove, name="allow-remove"),
]
