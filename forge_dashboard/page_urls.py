"""Pages of Agent Forge."""

from django.urls import URLPattern, path

from forge_dashboard import views

urlpatterns: list[URLPattern] = [
    path("", views.runs, name="runs"),
    path("runs/<uuid:run_id>/", views.run, name="run"),
    path("runs/<uuid:run_id>/pulse/", views.pulse, name="pulse"),
]
