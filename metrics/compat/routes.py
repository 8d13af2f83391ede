"""The addresses of Prometheus' HTTP API."""

from django.urls import URLPattern, path

from metrics.compat import answers, catalogue, federate, parsing, queries, remote_read, rules, status, targets

PROMETHEUS: list[URLPattern] = [
    path("api/v1/query", queries.query, name="prometheus-query"),
    path("api/v1/query_range", queries.query_range, name="prometheus-query-range"),
    path("api/v1/query_exemplars", queries.query_exemplars, name="prometheus-query-exemplars"),
    path("api/v1/format_query", parsing.format_query, name="prometheus-format-query"),
    path("api/v1/parse_query", parsing.parse_query, name="prometheus-parse-query"),
    path("api/v1/labels", catalogue.labels, name="prometheus-labels"),
    path("api/v1/label/<str:name>/values", catalogue.label_values, name="prometheus-label-values"),
    path("api/v1/series", catalogue.series, name="prometheus-series"),
    path("api/v1/metadata", catalogue.metadata, name="prometheus-metadata"),
    path("api/v1/rules", rules.rules, name="prometheus-rules"),
    path("api/v1/rules/<path:rest>", answers.not_found, name="prometheus-ruler-probe"),
    path("api/v1/alerts", rules.alerts, name="prometheus-alerts"),
    path("api/v1/targets", targets.targets, name="prometheus-targets"),
    path("api/v1/targets/metadata", targets.targets_metadata, name="prometheus-targets-metadata"),
    path("api/v1/scrape_pools", targets.scrape_pools, name="prometheus-scrape-pools"),
    path("api/v1/read", remote_read.read, name="prometheus-remote-read"),
    path("federate", federate.federate, name="prometheus-federate"),
    path("api/v1/alertmanagers", status.alertmanagers, name="prometheus-alertmanagers"),
    path("api/v1/notifications", status.notifications, name="prometheus-notifications"),
    path("api/v1/features", status.features, name="prometheus-features"),
    path("api/v1/status/buildinfo", status.buildinfo, name="prometheus-buildinfo"),
    path("api/v1/status/runtimeinfo", status.runtimeinfo, name="prometheus-runtimeinfo"),
    path("api/v1/status/config", status.config, name="prometheus-config"),
    path("api/v1/status/tsdb", status.tsdb, name="prometheus-tsdb"),
    path("api/v1/status/walreplay", status.walreplay, name="prometheus-walreplay"),
    path("api/v1/status/<path:rest>", answers.not_found, name="prometheus-status-other"),
    path("api/v1/admin/tsdb/<slug:verb>", status.admin, name="prometheus-admin"),
]
