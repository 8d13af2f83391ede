"""The figures of Security, under the names the platform always had."""

import hashlib
import threading

from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram

from security.catalogue import KNOWN_TYPES

MOST_PEOPLE = 1_000
OTHERS = "(others)"
SEVERITIES = frozenset({"critical", "high", "medium", "low", "info", "warning", "error"})

EVENTS = Counter("security_events_total", "Security events the detectors have seen.", ["event_type", "severity"])
AUTH_FAILURES = Counter("auth_failures_total", "Failed tries to sign in.", ["user_id", "source_ip", "reason"])
DETECTION_SECONDS = Histogram(
    "security_detection_duration_seconds",
    "Time the detectors took for one event.",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2, 5),
)
THREAT_SCORE = Gauge(
    "threat_score_current", "Threat score of a user, halved every SECURITY_SCORE_HALF_LIFE_SECONDS.", ["user_id"],
    multiprocess_mode="livemostrecent",
)  # fmt: skip
SKIPPED = Counter("console_detection_skipped_total", "Events the detectors left alone, by why.", ["reason"])
BLOCKS = Counter("console_blocks_total", "Blocks put up and lifted.", ["scope", "hand", "verb"])
WAITING = Gauge(
    "console_detection_waiting", "Events not yet seen by the detectors, at the last look.",
    multiprocess_mode="livemostrecent",
)  # fmt: skip


class _Known:
    """Who has a label of his own: an attacker who invents users must not make series without end."""

    def __init__(self) -> None:
        self._names: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def label(self, *names: str) -> tuple[str, ...]:
        """Return the label values, or that of all others once there are too many."""
        with self._lock:
            if names not in self._names:
                if len(self._names) >= MOST_PEOPLE:
                    return (OTHERS,) * len(names)
                self._names.add(names)
        return names


_pairs, _users = _Known(), _Known()


def _shown(name: str) -> str:
    if not name or not settings.CONFIG.security_hash_labels:
        return name
    return hashlib.blake2b(name.encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=8).hexdigest()


def count_event(event_type: str, severity: str) -> None:
    """Count an event; types and severities nobody knows share a label."""
    kind = event_type if event_type in KNOWN_TYPES else "other"
    EVENTS.labels(kind, severity if severity in SEVERITIES else "other").inc()


def count_failure(user_id: str, source_ip: str, reason: str, times: int) -> None:
    """Count failed tries."""
    # The reason comes from outside too, so it is a part of what is bounded.
    user, address, why = _pairs.label(_shown(user_id), _shown(source_ip), reason[:60] or "unknown")
    AUTH_FAILURES.labels(user, address, why).inc(times)


def show_threat(user_id: str, score: float) -> None:
    """Show the present score of a user."""
    (user,) = _users.label(_shown(user_id))
    THREAT_SCORE.labels(user).set(score)
