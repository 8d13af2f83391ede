"""A source that tells what happened, and the detectors run over it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from aivillage_console.accounts import services as accounts
from aivillage_console.lib import clock
from metrics.registry import IngestContext
from security import intake, services
from security.models import Finding, SecurityEvent

ADMIN = accounts.Actor("user", "1", "alice@example.org", "203.0.113.9", role="admin")


@dataclass
class Teller:
    """Sends rows through the record kind, as the native door does."""

    context: IngestContext

    def tell(self, *rows: Mapping[str, Any]) -> list[str]:
        """Store rows and return why others were refused."""
        numbered = [(number, msgspec.convert(row, intake.Row)) for number, row in enumerate(rows)]
        return [refused.reason for refused in intake.write(numbered, self.context)]

    def at(self, seconds: float) -> int:
        """Return a time so many seconds from now as rows count it."""
        return round((self.context.now.timestamp() + seconds) * 1000)

    def failure(
        self, user: str = "admin", ip: str = "10.0.0.100", seconds: float = 0, **details: Any
    ) -> dict[str, Any]:
        """Return the row of a failed try to sign in."""
        return {
            "event_type": "auth_failure", "user_id": user, "source_ip": ip, "at_ms": self.at(seconds),
            "details": {"reason": "bad password", "endpoint": "/api/login", **details},
        }  # fmt: skip

    def request(self, text: str, ip: str = "10.0.0.101", **details: Any) -> dict[str, Any]:
        """Return the row of a request that carried a text."""
        return {
            "event_type": "sql_injection_attempt", "source_ip": ip,
            "details": {"input_data": text, "endpoint": "/api/search", "method": "POST", **details},
        }  # fmt: skip

    def flood(self, user: str = "mallory", ip: str = "10.0.0.102", endpoint: str = "/api/things") -> dict[str, Any]:
        """Return the row of so many requests in a second that they are critical."""
        details = {"endpoint": endpoint, "count": 200}
        return {"event_type": "api_request", "user_id": user, "source_ip": ip, "details": details}


@pytest.fixture
def teller(db: None, settings: Any) -> Teller:
    """Return a sender whose events may be of any time within a week."""
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=False)
    source = accounts.source_named("edge")
    return Teller(IngestContext(source.pk, source.name, clock.now(), backfill=True))


@pytest.fixture
def detect() -> Callable[..., dict[str, Any]]:
    """Return what runs the detectors until nothing is due, and tells the worst score of each detector."""

    def run(*, now: datetime | None = None) -> dict[str, Any]:
        def read() -> datetime:
            return now or clock.now()

        while services.detect_due(hand="test", read_clock=read):
            continue
        worst: dict[str, float] = {}
        for detector, score in Finding.objects.values_list("detector", "score"):
            worst[detector] = max(score, worst.get(detector, 0.0))
        return worst

    return run


def scores() -> list[float | None]:
    """Return the score of each event in the order they came."""
    return list(SecurityEvent.objects.order_by("at", "pk").values_list("threat_score", flat=True))


def later(seconds: float) -> datetime:
    """Return the time so many seconds from now."""
    return clock.now() + timedelta(seconds=seconds)
