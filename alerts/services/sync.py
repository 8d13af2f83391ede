"""Does to alerts what people did at a receiver: each message once, in one transaction with its outcome."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

import orjson
import structlog
from django.db import DataError, IntegrityError, transaction

from aivillage_console.accounts.selectors import active_user
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, live, outbox
from alerts.engine import issues
from alerts.engine.issues import Told, Verb, Wish
from alerts.engine.states import WebhookState
from alerts.measures import WORK
from alerts.models import Alert, InboundHook, Link, WebhookIn
from alerts.services import actions

Clock = Callable[[], datetime]
MOST_ATTEMPTS = 5
log = structlog.get_logger(__name__)
# What one bad message can raise; a lost database is not among them and ends the round.
POISON = (
    ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError, DataError,
    IntegrityError,
)  # fmt: skip


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
    links = _links(hook, told.issue)
    if not links:
        return f"ignored: no alert is linked to {told.issue}"
    actor = Actor(
        kind="github", id=told.login, label=f"{told.login} (GitHub)", via=f"GitHub delivery {row.delivery_id}"
    )  # fmt: skip
    return "; ".join(_follow(link, told, hook, actor, now) for link in links)


def _links(hook: InboundHook, issue: str) -> list[Link]:
    """Return the links to an issue, with their alerts locked: what two messages say of one issue is done in turn."""
    links = Link.objects.filter(external_id__iexact=issue)
    links = links.filter(channel=hook.channel) if hook.channel else links.filter(channel__type=hook.type)
    alerts = Alert.objects.select_for_update().filter(pk__in=links.values("alert_id")).order_by("pk")
    return list(links.filter(alert__in=list(alerts)).order_by("alert_id"))


def _follow(link: Link, told: Told, hook: InboundHook, actor: Actor, now: datetime) -> str:
    number = f"#{link.alert_id}"
    if link.settled_at is not None and told.updated_at < link.settled_at:
        at = link.settled_at.isoformat()
        return f"{number} ignored: it is older than what the issue last told ({at})"
    if told.settles:
        Link.objects.filter(pk=link.pk).update(settled_at=told.updated_at)
    if told.login.lower() == hook.login.strip().lower():
        return f"{number} ignored: the console did it itself, as {told.login}"
    return "; ".join(f"{number} {_done(link.alert_id, wish, hook, actor, now)}" for wish in told.wishes)


def _done(alert_id: int, wish: Wish, hook: InboundHook, actor: Actor, now: datetime) -> str:
    try:
        WISHES[wish.verb](alert_id, wish, hook, actor, now)
    except actions.NotPossible as refusal:
        return f"ignored ({wish.said}): {refusal}"
    return f"{wish.verb}: {wish.said}"


def _version(alert_id: int) -> int:
    # The alert is locked since its links were read, so nobody can have seen a newer one.
    return Alert.objects.values_list("version", flat=True).get(pk=alert_id)


def _resolve(alert_id: int, wish: Wish, _hook: InboundHook, actor: Actor, now: datetime) -> None:
    actions.alert_resolve(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


def _reopen(alert_id: int, wish: Wish, _hook: InboundHook, actor: Actor, now: datetime) -> None:
    actions.alert_reopen(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


def _acknowledge(alert_id: int, wish: Wish, _hook: InboundHook, actor: Actor, now: datetime) -> None:
    if Alert.objects.filter(pk=alert_id, acked_at__isnull=False).exists():
        raise actions.NotPossible("The alert is acknowledged already.")
    actions.alert_acknowledge(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


def _assign(alert_id: int, wish: Wish, hook: InboundHook, actor: Actor, now: datetime) -> None:
    login = wish.argument.partition(" ")[0].removeprefix("@").lower()
    email = hook.people.get(login)
    user = active_user(email) if email else None
    if user is None:
        _note(alert_id, Wish(Verb.NOTE, _why_not(login, email)), hook, actor, now)
        return
    actions.alert_assign(
        alert_id=alert_id, version=_version(alert_id), actor=actor, assignee_id=user.pk, now=now,
        reason=f"to {user.email}: {wish.said}",
    )  # fmt: skip


def _why_not(login: str, email: str | None) -> str:
    if not login:
        return "/assign needs a name: /assign @login. Nobody was assigned."
    if email is None:
        return f"@{login} is not among the allowed users of this webhook, so nobody was assigned."
    if not email:
        return f"@{login} is allowed, but no user of the console is named for them, so nobody was assigned."
    return f"@{login} stands for {email}, who is no active user of the console, so nobody was assigned."


def _silence(alert_id: int, wish: Wish, hook: InboundHook, actor: Actor, now: datetime) -> None:
    text = f"{wish.said}: the console has no silences yet, so nothing was silenced. /ack stops the escalation."
    _note(alert_id, Wish(Verb.NOTE, text), hook, actor, now)


def _note(alert_id: int, wish: Wish, _hook: InboundHook, actor: Actor, now: datetime) -> None:
    actions.alert_note(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


WISHES: dict[Verb, Callable[[int, Wish, InboundHook, Actor, datetime], None]] = {
    Verb.RESOLVE: _resolve,
    Verb.REOPEN: _reopen,
    Verb.ACKNOWLEDGE: _acknowledge,
    Verb.ASSIGN: _assign,
    Verb.SILENCE: _silence,
    Verb.NOTE: _note,
}
