"""Keeps what receivers send back: stored once, answered, and dealt with from the table afterwards."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db import IntegrityError, transaction

from aivillage_console.lib import doorbell
from alerts.engine.issues import FOLLOWED
from alerts.engine.states import WebhookState
from alerts.models import InboundHook, WebhookIn

BODY_DAYS = 7
ROW_DAYS = 90


class Kept(StrEnum):
    """What became of a message at the door."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    AGAIN = "again"  # It had been given up; whoever sent it again has it tried again.


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as it came, its signature checked."""

    delivery_id: str
    event: str
    body: bytes


def webhook_keep(hook: InboundHook, delivery: Delivery, *, now: datetime) -> Kept:
    """Store a message unless it is here already, by the sender's id or by its very bytes.

    The id is not part of what is signed, so the bytes count too: what somebody has read on the way cannot be played
    again under another id.
    """
    followed = delivery.event in FOLLOWED
    row = WebhookIn(
        hook=hook, delivery_id=delivery.delivery_id, event=delivery.event, received_at=now, due_at=now,
        body_sha256=hashlib.sha256(delivery.body).hexdigest(), body=delivery.body if followed else b"",
    )  # fmt: skip
    if not followed:
        row.state, row.processed_at = WebhookState.DONE.value, now
        row.outcome = f"ignored: the event {delivery.event} is not followed"
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return _again(hook, delivery, now)
    if followed:
        doorbell.ring("sync")
    return Kept.STORED


def _again(hook: InboundHook, delivery: Delivery, now: datetime) -> Kept:
    given_up = WebhookIn.objects.filter(
        hook=hook, delivery_id=delivery.delivery_id, state=WebhookState.QUARANTINED.value
    )
    taken = given_up.update(
        state=WebhookState.DUE.value, attempts=0, due_at=now, processed_at=None, body=delivery.body
    )  # fmt: skip
    if not taken:
        return Kept.DUPLICATE
    doorbell.ring("sync")
    return Kept.AGAIN


def webhooks_retain(*, now: datetime) -> int:
    """Empty the bodies of what was dealt with a week ago, and drop what could not be played again any more."""
    done = WebhookIn.objects.filter(state=WebhookState.DONE.value)
    done.filter(processed_at__lt=now - timedelta(days=BODY_DAYS)).exclude(body=b"").update(body=b"")
    dropped, _ = WebhookIn.objects.filter(received_at__lt=now - timedelta(days=ROW_DAYS)).delete()
    return dropped
