"""URLs of the app."""

from django.urls import URLPattern, URLResolver, path

from alerts.compat.alertmanager import alerts_door
from alerts.compat.alerts_shown import groups_view, receivers_view
from alerts.compat.silences import silence_view, silences_view
from alerts.compat.status import status_view
from alerts.heartbeats.door import ping_door
from alerts.inbound import opsgenie, pagerduty
from alerts.inbound.github import github_door
from alerts.inbound.hooks import oncall_door, tool_door
from alerts.rules.showing import groups_shown
from alerts.testruns.door import testrun_door
from metrics.registry import rule_lister_register

# Here and not in a hook: only processes with a door list rules.
rule_lister_register(groups_shown)

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v2/alerts", alerts_door, name="alertmanager-alerts"),
    path("api/v2/alerts/groups", groups_view, name="alertmanager-groups"),
    path("api/v2/receivers", receivers_view, name="alertmanager-receivers"),
    path("api/v2/silence/<uuid:silence_id>", silence_view, name="alertmanager-silence"),
    path("api/v2/silences", silences_view, name="alertmanager-silences"),
    path("api/v2/status", status_view, name="alertmanager-status"),
    path("hooks/github/<uuid:hook_id>/", github_door, name="github-hook"),
    path("hooks/<slug:tool>/", tool_door, name="tool-hook"),
    path("hooks/<slug:tool>/<str:token>/", tool_door, name="tool-hook-token"),
    path("integrations/v1/<slug:kind>/<str:token>/", oncall_door, name="oncall-hook"),
    path("ping/<uuid:key>", ping_door, name="ping"),
    path("ping/<uuid:key>/", ping_door, name="ping-slash"),
    path("ping/<uuid:key>/<str:action>", ping_door, name="ping-action"),
    path("v2/enqueue", pagerduty.enqueue, name="pagerduty-enqueue"),
    path("v2/change/enqueue", pagerduty.enqueue_change, name="pagerduty-change"),
    path("v2/alerts", opsgenie.alerts_door, name="opsgenie-alerts"),
    path("v2/alerts/requests/<uuid:request_id>", opsgenie.request_door, name="opsgenie-request"),
    path("v2/alerts/<str:identifier>", opsgenie.alert_door, name="opsgenie-alert"),
    path("v2/alerts/<str:identifier>/<slug:action>", opsgenie.action_door, name="opsgenie-action"),
]

# Before the metrics app's own, whose door takes any other kind.
ingest: list[URLPattern | URLResolver] = [path("api/v1/ingest/test-runs", testrun_door, name="ingest-test-runs")]
