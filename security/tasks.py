"""Celery's door to detection."""

from celery import current_app as app

from aivillage_console.lib import clock, doorbell
from security import services

HAND = "celery"


@app.task(name="security.tasks.detect")
def detect() -> None:
    """Look at the events that are due."""
    if services.detect_due(hand=HAND):
        doorbell.ring_now("detect")
    services.pulse(hand=HAND, now=clock.now())


@app.task(name="security.tasks.maintain")
def maintain() -> None:
    """Let threat scores decay, note the ends of blocks and drop what is past its time."""
    services.upkeep(now=clock.now())
