"""What the sender tells about itself (`docs/metrics.md`)."""

from prometheus_client import Counter, Gauge

SENT = Counter("console_remote_write_samples", "Samples a destination has taken.", ["target"])
FAILED = Counter("console_remote_write_failed", "Samples a destination has refused for good.", ["target", "status"])
FILTERED = Counter("console_remote_write_filtered", "Samples that relabelling left out.", ["target"])
DROPPED = Counter("console_remote_write_dropped", "Samples that waited too long, or too many did.", ["target"])
RETRIES = Counter("console_remote_write_retries", "Requests that were sent again.", ["target"])
REQUESTS = Counter("console_remote_write_requests", "Requests by what came of them.", ["target", "outcome"])
WAITING = Gauge(
    "console_remote_write_waiting", "Samples that are still to be sent.", ["target"], multiprocess_mode="mostrecent"
)
