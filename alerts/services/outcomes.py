"""What a try to send leads to. Every write is fenced by the token of the claim."""

from datetime import datetime
from typing import Any

from django.db import transaction

from aivillage_console.lib import clock, live, outbox
from alerts.channels import ChannelError, Known, Sent
from alerts.engine import breaker, retry
from alerts.engine.states import AttemptOutcome, BreakerState, NotificationState
from alerts.measures import NOTIFICATION_SECONDS, NOTIFICATIONS
from alerts.models import Channel, DeliveryAttempt, Notification
from alerts.services import fallback, pace
from alerts.services.letters import remember, settle
from alerts.services.owing import reason_to_cancel

# How long a receiver that asked for a pause without saying how long is left alone.
LIMITED_SECONDS = 60.0


def _attempt(row: Notification, outcome: AttemptOutcome, now: datetime, **more: Any) -> None:
    DeliveryAttempt.objects.create(notification=row, channel_id=row.channel_id, at=now, outcome=outcome.value, **more)
    NOTIFICATIONS.labels(channel=row.channel_name, outcome=outcome.value).inc()


def _ring(row: Notification) -> None:
    live.ring("deliveries")
    if row.alert_id:
        live.ring(f"alert:{row.alert_id}")


def delivered(row: Notification, sent: Sent, duration_ms: int, *, now: datetime, hand: str) -> None:
    """Write down the receiver's yes."""
    with transaction.atomic():
        # Before the row is locked: what a receiver tells back locks the alert and its link first, then the messages.
        if row.channel is not None:
            remember(row, row.channel, Known(sent.external_id, sent.url))
            settle(row, row.channel, sent)
        done = outbox.finish(row, state=NotificationState.DONE.value, sent_at=now, finished_at=now, last_error="")
        _attempt(
            row,
            AttemptOutcome.DELIVERED,
            now,
            status=sent.status,
            duration_ms=duration_ms,
            excerpt=sent.excerpt,
            hand=hand,
        )
        if row.channel is not None and row.channel.breaker_state != BreakerState.CLOSED:
            Channel.objects.filter(pk=row.channel.pk).update(
                breaker_state=BreakerState.CLOSED.value, breaker_until=None, breaker_opened=0, breaker_reset_at=now
            )
        _ring(row)
    if done:
        NOTIFICATION_SECONDS.labels(channel=row.channel_name).observe((now - row.created_at).total_seconds())


def _outcome_of(error: ChannelError) -> AttemptOutcome:
    if error.maybe_delivered:
        return AttemptOutcome.UNKNOWN
    return AttemptOutcome.UNREACHABLE if error.status is None else AttemptOutcome.REFUSED


def not_delivered(
    row: Notification, error: ChannelError, duration_ms: int, *, now: datetime, hand: str, jitter: float
) -> None:
    """Write down the failure: tried again, cancelled because it is no longer owed, or given up."""
    with transaction.atomic():
        fresh = Notification.objects.select_related("alert", "channel").filter(pk=row.pk).first()
        if fresh is None:
            return
        _attempt(
            row,
            _outcome_of(error),
            now,
            status=error.status,
            duration_ms=duration_ms,
            excerpt=str(error)[:4096],
            hand=hand,
        )
        if row.channel is not None:
            remember(row, row.channel, error.made)
        _trip(row, error, now)
        _settle(row, fresh, error, now, jitter)
        _ring(row)


def _settle(row: Notification, fresh: Notification, error: ChannelError, now: datetime, jitter: float) -> None:
    held = reason_to_cancel(fresh, now)
    if held is not None:
        outbox.finish(
            row, state=NotificationState.CANCELLED.value, withheld=held.why.value, cancelled_because=held.text[:300],
            finished_at=now,
        )  # fmt: skip
        return
    own = retry.own_of(fresh.channel.config if fresh.channel is not None else {})
    plan = retry.plan_retry(
        now=now.timestamp(), attempts=row.attempts, deadline_at=row.deadline_at.timestamp(), jitter=jitter,
        retry_after_seconds=error.retry_after_seconds,
        own=own,
    )  # fmt: skip
    if error.permanent or plan.retry_at is None:
        why = "it was tried as often as its channel says" if own.is_spent(row.attempts) else "the deadline passed"
        text = str(error) if error.permanent else f"{why}; last: {error}"
        if outbox.finish(row, state=NotificationState.FAILED.value, last_error=text[:2000], finished_at=now):
            fallback.give_up(fresh, text, gone=error.gone, now=now)
        return
    outbox.fail(row, error=str(error), due_at=clock.at_seconds(plan.retry_at))


def _trip(row: Notification, error: ChannelError, now: datetime) -> None:
    channel = Channel.objects.select_for_update(of=("self",)).filter(notifications=row).first()
    if channel is None or (error.permanent and error.status is not None):
        return  # A receiver that says no to one message works; only silence and its own errors trip the breaker.
    if error.limited:
        pace.hold(channel, error.retry_after_seconds or LIMITED_SECONDS, now)
        return
    tries = DeliveryAttempt.objects.filter(channel=channel).order_by("-id")
    if channel.breaker_reset_at:
        tries = tries.filter(at__gt=channel.breaker_reset_at)
    outcomes = [
        outcome == AttemptOutcome.DELIVERED for outcome in tries.values_list("outcome", flat=True)[: breaker.WINDOW]
    ]
    until = channel.breaker_until.timestamp() if channel.breaker_until else None
    before = breaker.Breaker(BreakerState(channel.breaker_state), until, channel.breaker_opened)
    after = breaker.after_failure(before, now.timestamp(), outcomes)
    if after != before:
        channel.breaker_state, channel.breaker_opened = after.state.value, after.opened
        channel.breaker_until = clock.at_seconds(after.until) if after.until else None
        channel.save(update_fields=["breaker_state", "breaker_opened", "breaker_until"])
