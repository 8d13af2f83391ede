"""Tells of alerts that were kept quiet, once nothing keeps them so; and silences, which begin and end by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import clock, live
from alerts.engine.alertmanager import silences
from alerts.engine.alertmanager.matching import Matchers
from alerts.engine.alertmanager.silences import BadSilence, NoSilence
from alerts.engine.states import QuietKind
from alerts.models import Alert, Quieted, Silence
from alerts.services.decide import SYSTEM, event, rearm
from alerts.services.ledger import TABLES, Ledger
from alerts.services.quieting import OPEN, look_again_at, matchers_from, matchers_to

BATCH = 100


def unquiet_due(*, now: datetime, limit: int = BATCH) -> int:
    """Look at the alerts that were kept quiet; begin the policy of those that need not be any more; return how many."""
    due = list(Quieted.objects.filter(due_at__lte=now).order_by("due_at").values_list("alert_id", flat=True)[:limit])
    return sum(_looked_at(alert_id, now) for alert_id in due)


@transaction.atomic
def _looked_at(alert_id: int, now: datetime) -> bool:
    alert = Alert.objects.select_for_update().get(pk=alert_id)
    row = Quieted.objects.filter(alert=alert).first()
    return row is not None and look_again(alert, row, now)


def look_again(alert: Alert, row: Quieted, now: datetime, ledger: Ledger = TABLES) -> bool:
    """Begin the policy of an alert that was kept quiet, unless something still keeps it so; say whether it began."""
    if alert.state not in OPEN or alert.episode != row.episode or alert.acked_at is not None:
        ledger.drop_quieted(row)
        return False
    policy_id = row.policy_id
    hush = ledger.quiet(now).reason(alert, lambda: policy_id)
    if hush is not None:
        row.kind, row.by, row.reason = hush.kind.value, hush.by, hush.reason
        row.due_at = look_again_at(hush, now)
        ledger.keep_quieted(row)
        return False
    ledger.drop_quieted(row)
    if not rearm(alert, now=now, ledger=ledger):
        return False
    ledger.save(alert)
    event(alert, kind="unquieted", now=now, actor=SYSTEM, reason=f"no longer {row.reason}", ledger=ledger)
    ledger.changed(alert)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A silence as somebody asks for it."""

    matchers: Matchers
    starts_at: datetime
    ends_at: datetime
    author: str
    reason: str
    lets_critical_through: bool = False
    handover_seconds: int | None = None  # None: as it is, or as is usual here.


def _plain(row: Silence) -> silences.Silence:
    return silences.Silence(
        identity=str(row.pk), matchers=matchers_from(row.matchers), starts_at=row.starts_at.timestamp(),
        ends_at=row.ends_at.timestamp(), created_by=row.author, comment=row.reason,
    )  # fmt: skip


@transaction.atomic
def silence_save(wanted: Wanted, *, actor: Actor, now: datetime, silence_id: UUID | None = None) -> Silence:
    """Store a silence; one that cannot be changed in place is ended, and a new one begins.

    Raises BadSilence, and NoSilence where there is none of that id.
    """
    fresh = silences.Silence(
        identity=str(silence_id or ""), matchers=wanted.matchers, starts_at=wanted.starts_at.timestamp(),
        ends_at=wanted.ends_at.timestamp(), created_by=wanted.author, comment=wanted.reason,
    )  # fmt: skip
    silences.check(fresh)
    old = Silence.objects.select_for_update().filter(pk=silence_id).first() if silence_id else None
    if silence_id and old is None:
        raise NoSilence(str(silence_id))
    before = described(old) if old is not None else None
    if old is not None and not silences.may_update(_plain(old), fresh, now.timestamp()):
        _end(old, now)
        old = None
    row = old or Silence(pk=uuid4(), version=0)
    row.starts_at = wanted.starts_at if old is not None else max(wanted.starts_at, now)
    row.ends_at, row.author, row.reason = wanted.ends_at, wanted.author[:200], wanted.reason
    row.matchers, row.lets_critical_through = matchers_to(wanted.matchers), wanted.lets_critical_through
    if old is None or wanted.handover_seconds is not None:
        usual = settings.CONFIG.silence_handover_seconds
        row.handover_seconds = usual if wanted.handover_seconds is None else wanted.handover_seconds
    row.handover_at = row.ends_at - timedelta(seconds=row.handover_seconds) if row.handover_seconds else None
    row.version += 1
    row.save(force_insert=old is None)
    _look_at_once(row.pk, now)
    audit(actor, f"silence.{'update' if old else 'create'}", row, now=now, before=before, after=described(row))
    _ring()
    return row


@transaction.atomic
def silence_expire(silence_id: UUID, *, actor: Actor, now: datetime) -> Silence:
    """End a silence now; raises NoSilence."""
    row = Silence.objects.select_for_update().filter(pk=silence_id).first()
    if row is None:
        raise NoSilence(str(silence_id))
    before = described(row)
    if _end(row, now):
        audit(actor, "silence.expire", row, now=now, before=before, after=described(row))
        _ring()
    return row


def _end(row: Silence, now: datetime) -> bool:
    ended = silences.ended(_plain(row), now.timestamp())
    if row.ends_at <= now:
        return False
    row.starts_at, row.ends_at = clock.at_seconds(ended.starts_at), clock.at_seconds(ended.ends_at)
    row.handover_at = None
    row.version += 1
    row.save()
    _look_at_once(row.pk, now)
    return True


def _look_at_once(silence_id: UUID, now: datetime) -> None:
    Quieted.objects.filter(kind=QuietKind.SILENCE.value, by=str(silence_id)).update(due_at=now)


def _ring() -> None:
    for topic in ("alerts", "overview"):
        live.ring(topic)


def described(row: Silence) -> Mapping[str, Any]:
    """Return a silence as the audit trail keeps it."""
    return {
        "matchers": row.matchers, "starts_at": row.starts_at.isoformat(), "ends_at": row.ends_at.isoformat(),
        "author": row.author, "reason": row.reason, "lets_critical_through": row.lets_critical_through,
        "handover_seconds": row.handover_seconds, "version": row.version,
    }  # fmt: skip


__all__ = ["BadSilence", "NoSilence", "Wanted", "silence_expire", "silence_save", "unquiet_due"]
