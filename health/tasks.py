"""Celery's doors to Health."""

from celery import current_app as app

from aivillage_console.lib import doorbell
from health import services

HAND = "celery"


@app.task(name="health.tasks.check")
def check() -> None:
    """Run the checks that are due."""
    if services.check_due(hand=HAND):
        doorbell.ring_now("check")
