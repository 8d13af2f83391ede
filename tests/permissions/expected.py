"""Who may do what, row by row: a route without a row fails the test.

Columns: what anonymous, viewer, responder, editor, admin get (0 refused, 1 let in), then the scopes that let a
service token in. Refused means 401, 403, or a redirect to the sign-in page. Let in means anything else: the request
carries no proper body and no existing id, so 400, 404, 409, 410 and 422 say "you may, but not like this".
"""

from tests.permissions.reports import expected as expected_of_reports

READ = ("01111", {"read"})
RESPOND = ("00111", {"respond"})
WRITE = ("00011", {"write"})
ADMIN = ("00001", {"admin"})
PEOPLE = ("01111", set())
PUBLIC = ("11111", {"*"})

EXPECTED: dict[tuple[str, str], tuple[str, set[str]]] = {
    ("GET", "/api/schema/"): READ,
    ("GET", "/api/docs/"): PEOPLE,
    ("GET", "/sign-in/"): PUBLIC,
    ("GET", "/sign-in/<str:secret>/"): PUBLIC,
    ("POST", "/sign-in/<str:secret>/"): PUBLIC,
    ("POST", "/sign-in/"): PUBLIC,
    ("POST", "/sign-out/"): PUBLIC,
    ("GET", "/settings/"): PEOPLE,
    ("POST", "/settings/"): PEOPLE,
    ("POST", "/settings/sessions/<slug:handle>/end/"): PEOPLE,
    ("GET", "/settings/password/"): PEOPLE,
    ("POST", "/settings/password/"): PEOPLE,
}
API = "/api/console/v1/"
for noun in ("rules", "rule-groups", "channels", "policies", "hooks"):
    EXPECTED[("GET", f"{API}{noun}/")] = READ
    EXPECTED[("POST", f"{API}{noun}/")] = WRITE
    EXPECTED[("GET", f"{API}{noun}/<pk>/")] = READ
    EXPECTED[("PATCH", f"{API}{noun}/<pk>/")] = WRITE
    EXPECTED[("DELETE", f"{API}{noun}/<pk>/")] = WRITE
EXPECTED[("POST", f"{API}rules/<pk>/backfill/")] = WRITE
EXPECTED[("POST", f"{API}rules/<pk>/backtest/")] = WRITE
EXPECTED[("POST", f"{API}rules/<pk>/suggest/")] = WRITE
EXPECTED[("GET", f"{API}backtests/")] = READ
EXPECTED[("POST", f"{API}backtests/")] = WRITE
EXPECTED[("GET", f"{API}backtests/<pk>/")] = READ
EXPECTED[("POST", f"{API}backtests/<pk>/cancel/")] = WRITE
for noun in ("incidents", "incidents/<pk>", "incidents/<pk>/members", "incidents/<pk>/events", "correlation-rules",
             "correlation-rules/<pk>"):  # fmt: skip
    EXPECTED[("GET", f"{API}{noun}/")] = READ
for verb in ("acknowledge", "resolve", "assign", "note", "rename", "merge", "split", "add", "remove"):
    EXPECTED[("POST", f"{API}incidents/<pk>/{verb}/")] = RESPOND
EXPECTED[("POST", f"{API}incidents/")] = RESPOND
EXPECTED[("POST", f"{API}correlation-rules/")] = WRITE
EXPECTED[("PATCH", f"{API}correlation-rules/<pk>/")] = WRITE
EXPECTED[("DELETE", f"{API}correlation-rules/<pk>/")] = WRITE
for path in ("/incidents/", "/incidents/<int:incident_id>/"):
    EXPECTED[("GET", path)] = ("01111", set())
for path in ("/incidents/make/", "/incidents/<int:incident_id>/<slug:action>/"):
    EXPECTED[("POST", path)] = ("00111", set())
EXPECTED[("GET", f"{API}rules/<pk>/noise/")] = READ
EXPECTED[("GET", f"{API}thresholds/")] = READ
EXPECTED[("GET", f"{API}thresholds/<pk>/")] = READ
EXPECTED[("GET", f"{API}backfills/")] = READ
EXPECTED[("GET", f"{API}backfills/<pk>/")] = READ
EXPECTED[("POST", f"{API}backfills/<pk>/cancel/")] = WRITE
for noun in ("alerts", "notifications"):
    EXPECTED[("GET", f"{API}{noun}/")] = READ
    EXPECTED[("GET", f"{API}{noun}/<pk>/")] = READ
for verb in ("acknowledge", "unacknowledge", "snooze", "unsnooze", "resolve", "reopen", "assign", "note", "thumb"):
    EXPECTED[("POST", f"{API}alerts/<pk>/{verb}/")] = RESPOND
EXPECTED[("GET", f"{API}alerts/<pk>/events/")] = READ
EXPECTED[("GET", f"{API}alerts/<pk>/why/")] = READ
EXPECTED[("GET", f"{API}alerts/response-times/")] = READ
EXPECTED[("GET", f"{API}notifications/<pk>/attempts/")] = READ
EXPECTED[("POST", f"{API}notifications/<pk>/retry/")] = RESPOND
EXPECTED[("POST", f"{API}channels/<pk>/test/")] = RESPOND
EXPECTED[("GET", f"{API}hooks/<pk>/deliveries/")] = READ
for noun in ("components", "checks"):
    EXPECTED[("GET", f"{API}{noun}/")] = READ
    EXPECTED[("POST", f"{API}{noun}/")] = WRITE
    EXPECTED[("GET", f"{API}{noun}/<pk>/")] = READ
    EXPECTED[("PATCH", f"{API}{noun}/<pk>/")] = WRITE
    EXPECTED[("DELETE", f"{API}{noun}/<pk>/")] = WRITE
EXPECTED[("GET", f"{API}components/<pk>/health/")] = READ
EXPECTED[("GET", f"{API}checks/<pk>/results/")] = READ
EXPECTED[("POST", f"{API}checks/<pk>/run/")] = RESPOND
for tail in ("", "report/", "report.json", "report.md", "<uuid:component_id>/"):
    EXPECTED[("GET", f"/health/{tail}")] = ("01111", set())
EXPECTED[("POST", "/health/checks/<uuid:check_id>/run/")] = ("00111", set())
for noun in ("tokens", "sources", "users"):
    EXPECTED[("GET", f"{API}{noun}/")] = ADMIN
    EXPECTED[("POST", f"{API}{noun}/")] = ADMIN
    EXPECTED[("GET", f"{API}{noun}/<pk>/")] = ADMIN
EXPECTED[("PATCH", f"{API}users/<pk>/")] = ADMIN
for verb in ("revoke", "rotate"):
    EXPECTED[("POST", f"{API}tokens/<pk>/{verb}/")] = ADMIN
for verb in ("disable", "enable"):
    EXPECTED[("POST", f"{API}users/<pk>/{verb}/")] = ADMIN
EXPECTED[("GET", f"{API}audit/")] = ADMIN
EXPECTED[("GET", f"{API}audit/<pk>/")] = ADMIN

QUERY = ("01111", {"query", "read"})
RESPONDERS = ("00111", set())
for path in (
    "/", "/setup/", "/alerts/", "/alerts/counter/", "/alerts/<int:alert_id>/", "/alerts/<int:alert_id>/why/",
    "/notifications/", "/styleguide/",
    "/explore/metrics/", "/explore/metrics/csv/", "/explore/metrics/complete/", "/explore/metrics/ask/",
    "/security/", "/security/findings/", "/security/events/<int:event_id>/", "/security/blocks/",
    "/forge/", "/forge/runs/<uuid:run_id>/", "/forge/runs/<uuid:run_id>/pulse/",
):  # fmt: skip
    EXPECTED[("GET", path)] = PEOPLE
for path in (
    "/alerts/bulk/", "/alerts/<int:alert_id>/<slug:action>/", "/alerts/messages/<int:notification_id>/retry/",
    "/setup/test/<uuid:channel_id>/", "/security/blocks/add/", "/security/blocks/<uuid:block_id>/lift/",
):  # fmt: skip
    EXPECTED[("POST", path)] = RESPONDERS
for path in ("/security/allowed/add/", "/security/allowed/<uuid:entry_id>/remove/"):
    EXPECTED[("POST", path)] = ("00011", set())
EXPECTED[("GET", "/alerts/configuration/")] = PEOPLE
EXPECTED[("GET", "/alerts/configuration/export/")] = ("00011", set())
for path in ("plan", "apply", "replay"):
    EXPECTED[("POST", f"/alerts/configuration/{path}/")] = ("00011", set())
for path in ("plan", "apply"):
    EXPECTED[("POST", f"{API}configuration/{path}/")] = WRITE
EXPECTED[("GET", f"{API}configuration/export/")] = WRITE
for path in ("/alerts/rules/", "/alerts/rules/<uuid:rule_id>/"):
    EXPECTED[("GET", path)] = PEOPLE
for path in (
    "new/", "<uuid:rule_id>/edit/", "groups/new/", "groups/<uuid:group_id>/", "backtest/<uuid:job_id>/",
):  # fmt: skip
    EXPECTED[("GET", f"/alerts/rules/{path}")] = ("00011", set())
    EXPECTED[("POST", f"/alerts/rules/{path}")] = ("00011", set())
for path in (
    "convert/", "preview/", "backtest/", "groups/<uuid:group_id>/delete/", "<uuid:rule_id>/switch/",
    "<uuid:rule_id>/move/", "<uuid:rule_id>/delete/", "<uuid:rule_id>/suggest/",
):  # fmt: skip
    EXPECTED[("POST", f"/alerts/rules/{path}")] = ("00011", set())
for path in ("/setup/token/", "/setup/demo/"):
    EXPECTED[("POST", path)] = ("00001", set())
for path in (
    "query", "query_range", "query_exemplars", "format_query", "parse_query", "labels", "label/<str:name>/values",
    "series", "metadata", "targets", "targets/metadata", "scrape_pools", "alertmanagers", "notifications", "features",
    "rules", "alerts", "status/buildinfo", "status/runtimeinfo", "status/config", "status/tsdb", "status/walreplay",
):  # fmt: skip
    EXPECTED[("GET", f"/api/v1/{path}")] = QUERY
EXPECTED[("GET", "/federate")] = QUERY
EXPECTED[("POST", "/api/v1/read")] = QUERY
EXPECTED[("POST", "/api/v1/admin/tsdb/<slug:verb>")] = QUERY
# Grafana asks here whether there is a ruler API; nothing is behind it.
EXPECTED[("GET", "/api/v1/rules/<path:rest>")] = PUBLIC
EXPECTED[("GET", "/api/v1/status/<path:rest>")] = PUBLIC
EXPECTED[("POST", "/api/v1/write")] = ("00000", {"ingest:metrics"})
for path in ("/v1/metrics", "/api/v1/otlp/v1/metrics"):
    EXPECTED[("POST", path)] = ("00000", {"ingest:metrics"})
for verb in ("PUT", "POST", "DELETE"):
    EXPECTED[(verb, "/metrics/job/<path:path>")] = ("00000", {"ingest:metrics"})
    EXPECTED[(verb, "/metrics/job@base64/<path:path>")] = ("00000", {"ingest:metrics"})
EXPECTED[("POST", "/api/v1/ingest/<slug:kind>")] = ("00000", {"ingest:metrics"})
for path in ("/-/healthy", "/-/ready"):
    EXPECTED[("GET", path)] = PUBLIC
EXPECTED[("GET", "/-/status")] = PEOPLE
EXPECTED[("POST", "/api/v2/alerts")] = ("00000", {"ingest:alerts"})
for tail in ("alerts", "alerts/groups", "receivers", "silences", "silence/<uuid:silence_id>", "status"):
    EXPECTED[("GET", f"/api/v2/{tail}")] = ("01111", {"query", "read"})
# No session: a foreign page could send it.
EXPECTED[("POST", "/api/v2/silences")] = ("00000", {"respond"})
EXPECTED[("DELETE", "/api/v2/silence/<uuid:silence_id>")] = ("00000", {"respond"})
# Asks for no caller of ours but for a signature over the body, and says 404 where there is nothing to sign for.
EXPECTED[("POST", "/hooks/github/<uuid:hook_id>/")] = PUBLIC
# Known by the token in the address, the header or the body; an unknown one is told that there is no such integration.
for path in (
    "/hooks/<slug:tool>/", "/hooks/<slug:tool>/<str:token>/", "/integrations/v1/<slug:kind>/<str:token>/",
    "/v2/enqueue", "/v2/change/enqueue",
):  # fmt: skip
    EXPECTED[("POST", path)] = PUBLIC
NOBODY: tuple[str, set[str]] = ("00000", set())
for method, tail in (
    ("POST", ""), ("GET", "/requests/<uuid:request_id>"), ("DELETE", "/<str:identifier>"),
    ("POST", "/<str:identifier>/<slug:action>"),
):  # fmt: skip
    EXPECTED[(method, f"/v2/alerts{tail}")] = NOBODY
for tail in ("", "<uuid:integration_id>/"):
    EXPECTED[("GET", f"/integrations/{tail}")] = PEOPLE
for tail in ("new/", "preview/", *(f"<uuid:integration_id>/{verb}/" for verb in ("save", "rotate", "delete"))):
    EXPECTED[("POST", f"/integrations/{tail}")] = ("00001", set())
EXPECTED[("GET", "/integrations/new/")] = ("00001", set())
EXPECTED[("GET", f"{API}integrations/")] = READ
EXPECTED[("GET", f"{API}integrations/<pk>/")] = READ
EXPECTED[("GET", f"{API}integrations/<pk>/messages/")] = READ
EXPECTED[("POST", f"{API}integrations/")] = ADMIN
EXPECTED[("PATCH", f"{API}integrations/<pk>/")] = ADMIN
EXPECTED[("DELETE", f"{API}integrations/<pk>/")] = ADMIN
EXPECTED[("POST", f"{API}integrations/<pk>/rotate/")] = ADMIN
for tail in (
    "", "calendar/", "<uuid:silence_id>/", "mute-times/", "mute-times/<uuid:times_id>/", "inhibitions/",
    "inhibitions/<uuid:rule_id>/",
):  # fmt: skip
    EXPECTED[("GET", f"/silences/{tail}")] = PEOPLE
EXPECTED[("GET", "/silences/new/")] = ("00111", set())
for tail in ("new/", "chosen/", "preview/", "<uuid:silence_id>/save/", "<uuid:silence_id>/<slug:action>/"):
    EXPECTED[("POST", f"/silences/{tail}")] = ("00111", set())
for noun, key in (("mute-times", "times_id"), ("inhibitions", "rule_id")):
    EXPECTED[("GET", f"/silences/{noun}/new/")] = ("00011", set())
    EXPECTED[("POST", f"/silences/{noun}/new/")] = ("00011", set())
    for verb in ("save", "delete"):
        EXPECTED[("POST", f"/silences/{noun}/<uuid:{key}>/{verb}/")] = ("00011", set())
    EXPECTED[("GET", f"{API}{noun}/")] = READ
    EXPECTED[("POST", f"{API}{noun}/")] = WRITE
    EXPECTED[("GET", f"{API}{noun}/<pk>/")] = READ
    EXPECTED[("PATCH", f"{API}{noun}/<pk>/")] = WRITE
    EXPECTED[("DELETE", f"{API}{noun}/<pk>/")] = WRITE
EXPECTED[("POST", "/silences/mute-times/preview/")] = ("00011", set())
EXPECTED[("GET", f"{API}mute-times/<pk>/occurrences/")] = READ
EXPECTED[("GET", f"{API}inhibitions/<pk>/inhibits/")] = READ
EXPECTED[("GET", f"{API}silences/")] = READ
EXPECTED[("GET", f"{API}silences/<pk>/")] = READ
EXPECTED[("POST", f"{API}silences/")] = RESPOND
EXPECTED[("PUT", f"{API}silences/<pk>/")] = RESPOND
for verb in ("extend", "end"):
    EXPECTED[("POST", f"{API}silences/<pk>/{verb}/")] = RESPOND
EXPECTED[("GET", f"{API}silences/preview/")] = READ
EXPECTED[("GET", f"{API}changes/")] = READ
EXPECTED[("GET", f"{API}changes/<pk>/")] = READ
# Open to loopback, where the test client sits; other addresses need a scrape token.
EXPECTED[("GET", "/metrics")] = PUBLIC
for noun in ("security-events", "findings", "blocks", "allow-list"):
    EXPECTED[("GET", f"{API}{noun}/")] = READ
    EXPECTED[("GET", f"{API}{noun}/<pk>/")] = READ
for path in ("blocks/", "blocks/<pk>/lift/", "blocks/<pk>/extend/"):
    EXPECTED[("POST", f"{API}{path}")] = RESPOND
for path in ("allow-list/", "allow-list/<pk>/remove/"):
    EXPECTED[("POST", f"{API}{path}")] = WRITE
EXPECTED[("GET", f"{API}blocks/preview/")] = READ
for form in ("active", "nginx", "fail2ban"):
    EXPECTED[("GET", f"{API}blocks/{form}/")] = ("01111", {"blocks"})
EXPECTED[("GET", f"{API}runs/")] = READ
EXPECTED[("GET", f"{API}runs/<pk>/")] = READ
for inside in ("phases", "events", "logs", "curves", "artifacts", "checkpoints", "gates"):
    EXPECTED[("GET", f"{API}runs/<pk>/{inside}/")] = READ
EXPECTED[("POST", f"{API}runs/import/")] = WRITE
# Targets may be private addresses, so only admins say which.
EXPECTED[("GET", f"{API}scrape-pools/")] = READ
EXPECTED[("GET", f"{API}scrape-pools/<pk>/")] = READ
EXPECTED[("POST", f"{API}scrape-pools/")] = ADMIN
EXPECTED[("POST", f"{API}scrape-pools/import/")] = ADMIN
EXPECTED[("PATCH", f"{API}scrape-pools/<pk>/")] = ADMIN
EXPECTED[("DELETE", f"{API}scrape-pools/<pk>/")] = ADMIN
for tail, verbs in (("", ("GET", "POST")), ("<pk>/", ("GET", "PATCH", "DELETE"))):
    for verb in verbs:
        EXPECTED[(verb, f"{API}remote-targets/{tail}")] = READ if verb == "GET" else ADMIN
EXPECTED[("GET", f"{API}scrape-targets/")] = READ
EXPECTED[("GET", f"{API}scrape-targets/<pk>/")] = READ
EXPECTED[("GET", "/explore/metrics/targets/")] = PEOPLE
for noun in ("cardinality", "storage", "naming"):
    EXPECTED[("GET", f"/explore/metrics/{noun}/")] = PEOPLE
EXPECTED[("GET", f"{API}metric-advice/")] = READ
EXPECTED |= expected_of_reports()
