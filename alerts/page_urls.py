"""Addresses of the pages; APIs have their own list in `urls`."""

from django.urls import URLPattern, URLResolver, path

from alerts import views
from alerts.heartbeats import pages as heartbeat_pages
from alerts.inbound import pages
from alerts.incidents import pages as incident_pages
from alerts.testruns import pages as testrun_pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.inbox, name="inbox"),
    path("counter/", views.counter, name="counter"),
    path("bulk/", views.bulk, name="bulk"),
    path("<int:alert_id>/", views.detail, name="detail"),
    path("<int:alert_id>/<slug:action>/", views.act, name="act"),
    path("messages/<int:notification_id>/retry/", views.retry, name="retry"),
]

# At /incidents/.
incidents: list[URLPattern | URLResolver] = [
    path("", incident_pages.incidents, name="list"),
    path("make/", incident_pages.make, name="make"),
    path("<int:incident_id>/", incident_pages.detail, name="detail"),
    path("<int:incident_id>/<slug:action>/", incident_pages.act, name="act"),
]

# At /integrations/.
integrations: list[URLPattern | URLResolver] = [
    path("", pages.integrations, name="list"),
    path("new/", pages.new, name="new"),
    path("preview/", pages.preview, name="preview"),
    path("<uuid:integration_id>/", pages.detail, name="detail"),
    path("<uuid:integration_id>/save/", pages.save, name="save"),
    path("<uuid:integration_id>/rotate/", pages.rotate, name="rotate"),
    path("<uuid:integration_id>/delete/", pages.delete, name="delete"),
]

# At /heartbeats/.
heartbeats: list[URLPattern | URLResolver] = [
    path("", heartbeat_pages.jobs, name="list"),
    path("new/", heartbeat_pages.new, name="new"),
    path("<uuid:job_id>/", heartbeat_pages.detail, name="detail"),
    path("<uuid:job_id>/save/", heartbeat_pages.save, name="save"),
    path("<uuid:job_id>/rotate/", heartbeat_pages.rotate, name="rotate"),
    path("<uuid:job_id>/delete/", heartbeat_pages.delete, name="delete"),
    path("<uuid:job_id>/pause/", heartbeat_pages.pause, {"action": "pause"}, name="pause"),
    path("<uuid:job_id>/resume/", heartbeat_pages.pause, {"action": "resume"}, name="resume"),
]

# At /test-runs/.
testruns: list[URLPattern | URLResolver] = [
    path("", testrun_pages.testruns, name="list"),
    path("<int:run_id>/", testrun_pages.detail, name="detail"),
    path("canaries/add/", testrun_pages.canary_add, name="canary-add"),
    path("canaries/<uuid:canary_id>/delete/", testrun_pages.canary_delete, name="canary-delete"),
]
