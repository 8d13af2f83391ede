"""Pages of Health."""

from django.urls import path

from health import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("report/", views.report, name="report"),
    path("report.json", views.report_json, name="report-json"),
    path("report.md", views.report_markdown, name="report-markdown"),
    path("<uuid:component_id>/", views.component, name="component"),
    path("checks/<uuid:check_id>/run/", views.run, name="run"),
]
