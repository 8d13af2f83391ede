"""Celery's doors. A task carries no payload, works at most 20 s, and rings again if work remains."""

from celery import current_app as app

from aivillage_console.lib import clock, doorbell
from alerts import services
from alerts.services.backtests import backtests_due

HAND = "celery"


@app.task(name="alerts.tasks.evaluate")
def evaluate() -> None:
    """Evaluate the rule groups that are due."""
    if services.evaluate_due(hand=HAND):
        doorbell.ring_now("evaluate")


@app.task(name="alerts.tasks.escalate")
def escalate() -> None:
    """Carry out the escalation steps that are due."""
    if services.escalate_due(hand=HAND):
        doorbell.ring_now("escalate")


@app.task(name="alerts.tasks.dispatch")
def dispatch() -> None:
    """Send the messages that are due."""
    if services.dispatch_due(hand=HAND):
        doorbell.ring_now("dispatch")


@app.task(name="alerts.tasks.sync")
def sync() -> None:
    """Do to alerts what people did at their receivers, and take in what other tools sent."""
    told = services.inbound_due(hand=HAND, deadline_seconds=10)
    if services.sync_due(hand=HAND, deadline_seconds=10) or told:
        doorbell.ring_now("sync")


@app.task(name="alerts.tasks.backfill")
def backfill() -> None:
    """Compute recording rules over the past and try rules on it, where that was ordered."""
    tried = backtests_due(hand=HAND, deadline_seconds=10)
    if services.backfill_due(hand=HAND, deadline_seconds=10) or tried:
        doorbell.ring_now("backfill")


@app.task(name="alerts.tasks.maintain")
def maintain() -> None:
    """Do what falls due by the clock alone, and move finished messages out of the way."""
    now = clock.now()
    services.resolve_timed_out(now=now)
    services.lifecycle_due(now=now)
    services.unquiet_due(now=now)
    services.retain(now=now)
