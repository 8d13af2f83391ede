"""URLs of the app: pages, the doors machines push to, and Prometheus' API."""

from django.urls import URLPattern, URLResolver, path

from metrics import exposition
from metrics.compat.routes import PROMETHEUS
from metrics.ingest import doors, otlp, pushgateway, remote_door

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/write", remote_door.remote_write_door, name="remote-write"),
    path("v1/metrics", otlp.metrics_door, name="otlp-metrics"),
    path("api/v1/otlp/v1/metrics", otlp.metrics_door, name="otlp-metrics-prometheus"),
    path("api/v1/ingest/<slug:kind>", doors.native_door, name="ingest-native"),
    *PROMETHEUS,
    path("metrics/job/<path:path>", pushgateway.push_door, name="pushgateway"),
    path("metrics/job@base64/<path:path>", pushgateway.push_door, {"encoded": "base64"}, name="pushgateway-base64"),
    path("metrics", exposition.metrics, name="exposition"),
]
