"""Health's own figures."""

from prometheus_client import Counter, Gauge

CHECKS = Counter(
    "console_health_checks_total", "Runs of health checks by kind and what they found.", ["kind", "status"]
)
OVERDUE = Gauge(
    "console_health_checks_overdue", "Checks that have missed an interval, when last looked.",
    multiprocess_mode="livemostrecent",
)  # fmt: skip
