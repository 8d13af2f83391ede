"""Addresses of the pages; APIs have their own list in `urls`."""

from django.urls import URLPattern, URLResolver, path

from alerts import views
from alerts.as_code import pages as configuration
from alerts.heartbeats import pages as heartbeat_pages
from alerts.inbound import pages
from alerts.incidents import pages as incident_pages
from alerts.rule_pages import backtests, editing, groups, listing, page
from alerts.silencing import pages as silencing
from alerts.silencing import rule_pages as quiet_rules
from alerts.silencing.calendar_page import calendar
from alerts.testruns import pages as testrun_pages
from alerts.why import pages as why_pages

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.inbox, name="inbox"),
    path("counter/", views.counter, name="counter"),
    path("bulk/", views.bulk, name="bulk"),
    path("<int:alert_id>/", views.detail, name="detail"),
    path("<int:alert_id>/why/", why_pages.why, name="why"),
    path("<int:alert_id>/<slug:action>/", views.act, name="act"),
    path("messages/<int:notification_id>/retry/", views.retry, name="retry"),
    path("configuration/", configuration.page, name="configuration"),
    path("configuration/plan/", configuration.plan, name="configuration-plan"),
    path("configuration/apply/", configuration.apply, name="configuration-apply"),
    path("configuration/replay/", configuration.replay, name="configuration-replay"),
    path("configuration/export/", configuration.export, name="configuration-export"),
    path("rules/", listing.rules, name="rules"),
    path("rules/new/", editing.new, name="rule-new"),
    path("rules/convert/", editing.convert, name="rule-convert"),
    path("rules/preview/", editing.preview, name="rule-preview"),
    path("rules/backtest/", backtests.run, name="rule-backtest"),
    path("rules/backtest/<uuid:job_id>/", backtests.job, name="rule-backtest-job"),
    path("rules/groups/new/", groups.new, name="rule-group-new"),
    path("rules/groups/<uuid:group_id>/", groups.edit, name="rule-group"),
    path("rules/groups/<uuid:group_id>/delete/", groups.delete, name="rule-group-delete"),
    path("rules/<uuid:rule_id>/", page.rule, name="rule"),
    path("rules/<uuid:rule_id>/edit/", editing.edit, name="rule-edit"),
    path("rules/<uuid:rule_id>/switch/", listing.switch, name="rule-switch"),
    path("rules/<uuid:rule_id>/move/", listing.move, name="rule-move"),
    path("rules/<uuid:rule_id>/suggest/", page.suggest, name="rule-suggest"),
    path("rules/<uuid:rule_id>/delete/", editing.delete, name="rule-delete"),
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

# At /silences/.
silences: list[URLPattern | URLResolver] = [
    path("", silencing.silences, name="list"),
    path("new/", silencing.new, name="new"),
    path("chosen/", silencing.chosen, name="chosen"),
    path("preview/", silencing.preview, name="preview"),
    path("calendar/", calendar, name="calendar"),
    path("mute-times/", quiet_rules.mute_times, name="mute-times"),
    path("mute-times/new/", quiet_rules.new_mute_time, name="new-mute-time"),
    path("mute-times/preview/", quiet_rules.preview_mute_time, name="preview-mute-time"),
    path("mute-times/<uuid:times_id>/", quiet_rules.mute_time, name="mute-time"),
    path("mute-times/<uuid:times_id>/save/", quiet_rules.save_mute_time, name="save-mute-time"),
    path("mute-times/<uuid:times_id>/delete/", quiet_rules.delete_mute_time, name="delete-mute-time"),
    path("inhibitions/", quiet_rules.inhibitions, name="inhibitions"),
    path("inhibitions/new/", quiet_rules.new_inhibition, name="new-inhibition"),
    path("inhibitions/<uuid:rule_id>/", quiet_rules.inhibition, name="inhibition"),
    path("inhibitions/<uuid:rule_id>/save/", quiet_rules.save_inhibition, name="save-inhibition"),
    path("inhibitions/<uuid:rule_id>/delete/", quiet_rules.delete_inhibition, name="delete-inhibition"),
    path("<uuid:silence_id>/", silencing.detail, name="detail"),
    path("<uuid:silence_id>/save/", silencing.save, name="save"),
    path("<uuid:silence_id>/<slug:action>/", silencing.act, name="act"),
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
