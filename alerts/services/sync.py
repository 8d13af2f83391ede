"""Does to alerts what people did at a receiver: each message once, in one transaction with its outcome."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

import orjson
import structlog
from django.db import DataError, IntegrityError, transaction
from django.db.models import Q

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, live, outbox
from alerts.engine import issues
from alerts.engine.states import NotificationState, WebhookState
from alerts.measures import WORK
from alerts.models import InboundHook, Link, Notification, WebhookIn
from alerts.services import following

Clock = Callable[[], datetime]
MOST_ATTEMPTS = 5
# How long a message about an issue no alert is linked to waits for the link, and how often it is looked for. Less
# than what the auditor calls late.
LINK_WAIT_SECONDS = 45.0
LINK_LOOK_SECONDS = 5.0
log = structlog.get_logger(__name__)
# What one bad message can raise; a lost database is not among them and ends the round.
POISON = (
    ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError, DataError,
    IntegrityError,
)  # fmt: skip


class _LinkIsComing(Exception):
    """A channel is just telling of an alert: the issue spoken of may be the one it opens."""


def sync_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20) -> bool:
    """Deal with messages for at most so many seconds; return whether some may remain."""
    ends_at = monotonic() + deadline_seconds
    while monotonic() < ends_at:
        now = read_clock()
        rows = outbox.claim(WebhookIn.objects.filter(state=WebhookState.DUE.value), now=now)
        if not rows:
            return False
        _deal_with(rows[0], now)
        WORK.labels(kind="sync", hand=hand).inc()
    return True


def _deal_with(row: WebhookIn, now: datetime) -> None:
    if row.attempts > MOST_ATTEMPTS:
        _quarantine(row, row.last_error or "whoever worked on it died, each time", now)
        return
    try:
        with transaction.atomic():
            # The outcome commits with what was done, or neither does; the lock makes a hand that slept wait and see.
            if list(outbox.fence(row).select_for_update().values_list("pk")):
                outcome = apply(row, now)
                outbox.finish(row, state=WebhookState.DONE.value, processed_at=now, outcome=outcome[:2000])
    except _LinkIsComing:
        outbox.fail(row, error="", due_at=now + timedelta(seconds=LINK_LOOK_SECONDS), attempts=row.attempts - 1)
    except POISON as error:
        text = f"{type(error).__name__}: {error}".replace("\x00", "")
        log.warning("sync.failed", delivery=row.delivery_id, attempt=row.attempts, error=text)
        if row.attempts >= MOST_ATTEMPTS:
            _quarantine(row, text, now)
        else:
            outbox.fail(row, error=text, due_at=now + timedelta(seconds=2**row.attempts))


def _quarantine(row: WebhookIn, error: str, now: datetime) -> None:
    outcome = f"given up after {MOST_ATTEMPTS} tries: {error}"[:2000]
    outbox.finish(
        row, state=WebhookState.QUARANTINED.value, processed_at=now, outcome=outcome, last_error=error[:2000]
    )  # fmt: skip
    live.ring("setup")


def apply(row: WebhookIn, now: datetime) -> str:
    """Do what a message asks for; return what came of it."""
    hook = InboundHook.objects.select_related("channel").get(pk=row.hook_id)
    if not hook.enabled:
        return "ignored: the webhook was switched off meanwhile"
    told = issues.read(row.event, orjson.loads(bytes(row.body)))
    if isinstance(told, str):
        return f"ignored: {told}"
    if told.by_comment and told.login.lower() not in hook.people:
        return f"refused: {told.login} is not among the allowed users of {hook.name}"
    links = _links(hook, told.issue, row, now)
    if not links:
        return f"ignored: no alert is linked to {told.issue}"
    actor = Actor(
        kind="github", id=told.login, label=f"{told.login} (GitHub)", via=f"GitHub delivery {row.delivery_id}"
    )  # fmt: skip
    own = hook.login.strip().lower()
    known = following.Known(frozenset({own} if own else ()), hook.people)
    return "; ".join(following.follow(link, told, known, actor, now) for link in links)


def _links(hook: InboundHook, issue: str, row: WebhookIn, now: datetime) -> list[Link]:
    mine = Q(channel=hook.channel) if hook.channel else Q(channel__type=hook.type)
    links = Link.objects.filter(mine, external_id__iexact=issue)
    found = following.locked(links)
    if found:
        return found
    # A person may be faster than the answer from which the channel learns what the issue is called.
    young = now < row.received_at + timedelta(seconds=LINK_WAIT_SECONDS)
    telling = Notification.objects.filter(
        mine, state=NotificationState.DUE.value, attempts__gt=0, alert__isnull=False, kind__in=("fire", "repeat")
    )
    if young and telling.exists():
        raise _LinkIsComing
    return following.locked(links)
