"""Deals with what other tools sent: each message once, in the order it came, in one transaction with its outcome."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import orjson
import structlog
from django.db import DataError, IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, doorbell, live, outbox
from alerts.engine.fingerprint import fingerprint
from alerts.engine.inbound import mapping as mappings
from alerts.engine.inbound import tools
from alerts.engine.inbound.told import Changed, Hints, Reading, Status, Told, Unreadable
from alerts.engine.severity import severity_from
from alerts.engine.states import AlertState, WebhookState
from alerts.measures import WORK
from alerts.models import Alert, ChangeEvent, InboundKey, InboundMessage, Integration
from alerts.services import actions
from alerts.services.intake import Incoming, alerts_intake

Clock = Callable[[], datetime]
MOST_ATTEMPTS = 5
RETRY_SECONDS = 1.0
BODY_DAYS, ROW_DAYS, CHANGE_DAYS = 7, 90, 90
# A sender's clock that is further off than this is not believed.
BELIEVED = timedelta(days=7)
log = structlog.get_logger(__name__)
POISON = (
    ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError, DataError,
    IntegrityError,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it came, its sender known."""

    body: bytes
    delivery_id: str = ""
    event: str = ""
    key: str = ""


def hints_of(integration: Integration, *, event: str = "", key: str = "") -> Hints:
    """Return what is known besides a body."""
    return Hints(event=event, key=key, severity=severity_from(integration.severity), mapping=integration.mapping or {})


def reading_of(integration: Integration, payload: object, hints: Hints) -> Reading:
    """Return what a message means to an integration, or raise Unreadable."""
    found = tools.read(integration.tool, payload, hints)
    return mappings.changes_of(found, payload, hints) if integration.makes == "changes" else found


def message_keep(integration: Integration, message: Message, *, now: datetime) -> tuple[InboundMessage, bool]:
    """Store a message; return its row, and whether it is new: a delivery its sender numbered counts once."""
    row = InboundMessage(
        integration=integration, delivery_id=message.delivery_id, event=message.event, key=message.key,
        body=message.body, received_at=now, due_at=now,
    )  # fmt: skip
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            doorbell.ring("sync")
    except IntegrityError:
        if not message.delivery_id:
            raise
        return InboundMessage.objects.get(integration=integration, delivery_id=message.delivery_id), False
    return row, True


def _next_due() -> QuerySet[InboundMessage]:
    """Return the messages whose turn it is: an end must not overtake its beginning, so one at a time each sender."""
    due = InboundMessage.objects.filter(state=WebhookState.DUE.value)
    earlier = due.filter(integration=OuterRef("integration"), pk__lt=OuterRef("pk"))
    return due.filter(~Exists(earlier))


def inbound_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20) -> bool:
    """Deal with messages for at most so many seconds; return whether some may remain."""
    ends_at = monotonic() + deadline_seconds
    while monotonic() < ends_at:
        now = read_clock()
        rows = outbox.claim(_next_due(), now=now)
        if not rows:
            return False
        _deal_with(rows[0], now)
        WORK.labels(kind="sync", hand=hand).inc()
    return True


def _deal_with(row: InboundMessage, now: datetime) -> None:
    if row.attempts > MOST_ATTEMPTS:
        _give_up(row, row.last_error or "whoever worked on it died, each time", now)
        return
    try:
        with transaction.atomic():
            if list(outbox.fence(row).select_for_update().values_list("pk")):
                outcome = apply(row, now)
                outbox.finish(row, state=WebhookState.DONE.value, processed_at=now, outcome=outcome[:2000])
    except Unreadable as error:
        _give_up(row, str(error), now)
    except POISON as error:
        text = f"{type(error).__name__}: {error}".replace("\x00", "")
        log.warning("inbound.failed", message=str(row.request_id), attempt=row.attempts, error=text)
        if row.attempts >= MOST_ATTEMPTS:
            _give_up(row, text, now)
        else:
            outbox.fail(row, error=text, due_at=now + timedelta(seconds=RETRY_SECONDS))


def _give_up(row: InboundMessage, error: str, now: datetime) -> None:
    outcome = f"given up: {error}"[:2000]
    outbox.finish(
        row, state=WebhookState.QUARANTINED.value, processed_at=now, outcome=outcome, last_error=error[:2000]
    )  # fmt: skip
    live.ring("setup")


def apply(row: InboundMessage, now: datetime) -> str:
    """Do what a message says; return what came of it."""
    integration = Integration.objects.get(pk=row.integration_id)
    if not integration.enabled:
        return "ignored: the integration was switched off meanwhile"
    hints = hints_of(integration, event=row.event, key=row.key)
    reading = reading_of(integration, orjson.loads(bytes(row.body)), hints)
    done = [_told(integration, batch, row, now) for batch in _batches(reading.alerts)]
    done += _changed(integration, reading.changes, row, now)
    if not done:
        done = [f"nothing: {reading.said or 'it tells of no alert'}"]
    return "; ".join([*done, *reading.problems])


def _batches(told: Sequence[Told]) -> Iterator[list[Told]]:
    """Yield runs in which no key comes twice, so that a beginning and its end in one message are done in turn."""
    batch: dict[str, Told] = {}
    for each in told:
        if each.key in batch:
            yield list(batch.values())
            batch = {}
        batch[each.key] = each
    if batch:
        yield list(batch.values())


def _told(integration: Integration, batch: list[Told], row: InboundMessage, now: datetime) -> str:
    """Carry a run of alerts through the intake, under the names the tool knows them by."""
    actor = Actor(kind="token", id=str(integration.pk), label=integration.name, via=f"message {row.request_id}")
    keys = {each.key: each for each in batch}
    known = {
        each.key: each.alert
        for each in InboundKey.objects.filter(integration=integration, key__in=list(keys)).select_related("alert")
    }
    speaking = {
        key: incoming for key, each in keys.items() if (incoming := _incoming(integration, each, known.get(key), now))
    }
    failed = alerts_intake(speaking.values(), source_id=integration.source_id, now=now, actor=actor)
    _remember(integration, speaking)
    acked = sum(_acknowledge(integration, each, actor, now) for each in batch if each.status is Status.ACKNOWLEDGED)
    counts = [
        (sum(each.status is status and key in speaking for key, each in keys.items()), status.value)
        for status in (Status.FIRING, Status.RESOLVED)
    ]
    counts += [(acked, Status.ACKNOWLEDGED.value), (failed, "refused"), (len(keys) - len(speaking), "not open here")]
    return ", ".join(f"{count} {word}" for count, word in counts if count)


def _incoming(integration: Integration, told: Told, known: Alert | None, now: datetime) -> Incoming | None:
    """Return what the intake is told; None where it speaks of nothing that is open."""
    running = known is not None and known.state != AlertState.RESOLVED.value
    if not running and (told.status is Status.RESOLVED or not told.name):
        return None
    if running and known is not None:
        # While the trouble lasts it is the same alert, whatever the sender calls it in between.
        labels, annotations = {**known.labels, "alertname": known.name}, told.annotations or known.annotations
        severity = told.severity if told.name else severity_from(known.severity)
    else:
        labels, annotations, severity = _labels(integration, told), told.annotations, told.severity
    silent_seconds = integration.silent_after_seconds
    ends_at = now if told.status is Status.RESOLVED else None
    if ends_at is None and silent_seconds:
        ends_at = now + timedelta(seconds=silent_seconds)
    return Incoming(
        labels=labels, annotations=annotations, starts_at=told.started_at, ends_at=ends_at, generator_url=told.url,
        severity=severity, until_told=True,
    )  # fmt: skip


def _labels(integration: Integration, told: Told) -> dict[str, str]:
    labels = {name: text for name, text in told.labels.items() if name not in ("alertname", "severity")}
    labels = {**labels, **integration.labels} or {"integration": integration.name}
    if told.severity_text and told.severity_text != told.severity.value:
        labels["severity_original"] = told.severity_text
    return {**labels, "alertname": told.name}


def _remember(integration: Integration, speaking: dict[str, Incoming]) -> None:
    """Keep which alert each key names."""
    prints = {
        key: fingerprint(
            each.labels["alertname"][:200], {name: text for name, text in each.labels.items() if name != "alertname"}
        )
        for key, each in speaking.items()
    }
    ids = dict(Alert.objects.filter(fingerprint__in=set(prints.values())).values_list("fingerprint", "pk"))
    InboundKey.objects.bulk_create(
        [
            InboundKey(integration=integration, key=key, alert_id=ids[of])
            for key, of in sorted(prints.items())
            if of in ids
        ],
        update_conflicts=True, unique_fields=["integration", "key"], update_fields=["alert"],
    )  # fmt: skip


def _acknowledge(integration: Integration, told: Told, actor: Actor, now: datetime) -> int:
    named = InboundKey.objects.filter(integration=integration, key=told.key).values("alert_id")
    alert = Alert.objects.select_for_update().filter(pk__in=named).first()
    if alert is None or alert.acked_at is not None or alert.state == AlertState.RESOLVED.value:
        return 0
    actions.alert_acknowledge(
        alert_id=alert.pk, version=alert.version, actor=actor, now=now,
        reason=f"acknowledged at {integration.name}" + (f" by {told.by}" if told.by else ""),
    )  # fmt: skip
    return 1


def _changed(integration: Integration, changes: Sequence[Changed], row: InboundMessage, now: datetime) -> list[str]:
    """Keep changes; one that is told again is written over."""
    rows = {
        key: ChangeEvent(
            integration=integration, key=key, kind=each.kind[:40], name=each.name[:200], status=each.status[:60],
            at=_believed(each.at, now), received_at=now, summary=each.summary, url=each.url, labels=dict(each.labels),
        )
        for place, each in enumerate(changes)
        for key in [_change_key(each.key or f"{row.request_id}/{place}")]
    }  # fmt: skip
    ChangeEvent.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["integration", "key"],
        update_fields=["status", "at", "summary", "url", "labels", "name"],
    )  # fmt: skip
    return [f"{len(rows)} change{'s' if len(rows) > 1 else ''}"] if rows else []


def _change_key(key: str) -> str:
    return key if len(key) <= 255 else hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()  # The column's width.


def _believed(at: datetime | None, now: datetime) -> datetime:
    return at if at is not None and abs(at - now) <= BELIEVED else now


def messages_retain(*, now: datetime) -> int:
    """Empty the bodies of what was dealt with a week ago, and drop old rows and old changes."""
    done = InboundMessage.objects.filter(state=WebhookState.DONE.value)
    done.filter(processed_at__lt=now - timedelta(days=BODY_DAYS)).exclude(body=b"").update(body=b"")
    dropped, _ = InboundMessage.objects.filter(received_at__lt=now - timedelta(days=ROW_DAYS)).delete()
    ChangeEvent.objects.filter(received_at__lt=now - timedelta(days=CHANGE_DAYS)).delete()
    return dropped
