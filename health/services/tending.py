"""What whoever runs checks also does now and then: own components, discovery, the worker's sign of life."""

import time
from datetime import datetime

from health.measures import OVERDUE
from health.models import Pulse
from health.selectors.work import overdue_checks
from health.services.discovery import discover
from health.services.seed import ensure_own

TEND_SECONDS, PULSE_SECONDS = 30.0, 5.0


class _Last:
    """When this process last did it; every piece is harmless to repeat."""

    tended = -TEND_SECONDS
    pulsed = -PULSE_SECONDS


def forget() -> None:
    """Do everything again at the next call."""
    _Last.tended, _Last.pulsed = -TEND_SECONDS, -PULSE_SECONDS


def tend(*, now: datetime, hand: str) -> None:
    """Do what is due of it in this process."""
    if hand == "celery" and time.monotonic() - _Last.pulsed >= PULSE_SECONDS:
        _Last.pulsed = time.monotonic()
        Pulse.objects.update_or_create(name="worker", defaults={"at": now})
    if time.monotonic() - _Last.tended >= TEND_SECONDS:
        _Last.tended = time.monotonic()
        ensure_own(now=now)
        discover(now=now)
        OVERDUE.set(overdue_checks(now))
