"""URLs of the app: pages, the doors machines push to, and Prometheus' API."""

from django.urls import URLPattern, URLResolver, path

from metrics import exposition
from metrics.compat import prometheus
from metrics.ingest import doors

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/write", doors.remote_write_door, name="remote-write"),
    path("api/v1/ingest/<slug:kind>", doors.native_door, name="ingest-native"),
    path("api/v1/query", prometheus.query, name="prometheus-query"),
    path("api/v1/query_range", prometheus.query_range, name="prometheus-query-range"),
    path("api/v1/labels", prometheus.labels, name="prometheus-labels"),
    path("api/v1/label/<str:name>/values", prometheus.label_values, name="prometheus-label-values"),
    path("api/v1/series", prometheus.series, name="prometheus-series"),
    path("api/v1/metadata", prometheus.metadata, name="prometheus-metadata"),
    path("api/v1/status/buildinfo", prometheus.buildinfo, name="prometheus-buildinfo"),
    path("api/v1/status/<path:rest>", prometheus.not_found, name="prometheus-status-other"),
    path("metrics", exposition.metrics, name="exposition"),
]
