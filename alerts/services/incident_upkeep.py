"""Ends incidents whose alerts have ended, lets those go on that fire again, and sees to it that somebody is told."""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from aivillage_console.accounts.services import Actor
from alerts.engine.correlation import IncidentState, Notify
from alerts.engine.severity import rank
from alerts.engine.states import QuietKind
from alerts.models import Incident, IncidentEvent, IncidentMember, Quieted
from alerts.services.correlate import OPEN, hold, tellers
from alerts.services.incidents import recount, told_of

SETTLE = timedelta(seconds=60)
FIRES_AGAIN = timedelta(hours=1)
KEPT_DAYS = 30
BATCH = 200
SYSTEM = Actor(kind="system", label="console")


def incidents_upkeep(*, now: datetime, limit: int = BATCH) -> int:
    """Carry out one round; return how many incidents changed."""
    found = [
        *_rows(Incident.objects.filter(~_fires(), state=IncidentState.OPEN.value, settle_at=None), limit),
        *_rows(Incident.objects.filter(~_fires(), state=IncidentState.OPEN.value, settle_at__lte=now), limit),
        *_rows(Incident.objects.filter(_fires(), state=IncidentState.OPEN.value, settle_at__isnull=False), limit),
        *_rows(
            Incident.objects.filter(_fires(), state=IncidentState.RESOLVED.value, resolved_at__gt=now - FIRES_AGAIN),
            limit,
        ),
    ]
    changed = sum(_seen_to(pk, now) for pk in dict.fromkeys(found))
    return changed + sum(_promoted(pk, now) for pk in _rows(_untold(), limit))


def _rows(rows: QuerySet[Incident], limit: int) -> list[int]:
    return list(rows.order_by("pk").values_list("pk", flat=True)[:limit])


def _fires() -> Exists:
    return Exists(IncidentMember.objects.filter(incident=OuterRef("pk"), current=True, alert__state__in=OPEN))


@transaction.atomic
def _seen_to(incident_id: int, now: datetime) -> bool:
    """Resolve, let settle, or reopen an incident by how its alerts stand now."""
    hold()
    row = Incident.objects.select_for_update().filter(pk=incident_id).annotate(fires=_fires()).first()
    if row is None or row.merged_into_id is not None:
        return False
    was = row.state
    if row.fires and was == IncidentState.OPEN:
        row.settle_at = None
    elif not row.fires and row.settle_at is None:
        row.settle_at = now + SETTLE
    elif row.fires or (row.settle_at is not None and row.settle_at <= now):
        recount(row, now)
        row.settle_at = None
    row.save()
    if row.state == was:
        return False
    ended = row.state == IncidentState.RESOLVED
    reason = row.resolved_because if ended else "one of its alerts fires again"
    Incident.objects.filter(pk=row.pk).update(version=row.version + 1, updated_at=now)
    told_of(row, "resolved" if ended else "reopened", actor=SYSTEM, reason=reason, now=now)
    return True


def _kept_back() -> QuerySet[IncidentMember]:
    """Return members nobody was told of for no other reason than their incident."""
    quiet = Quieted.objects.filter(alert=OuterRef("alert"), kind=QuietKind.INCIDENT.value)
    return IncidentMember.objects.filter(
        Exists(quiet), current=True, listed=True, alert__state__in=OPEN, alert__acked_at__isnull=True
    )


def _untold() -> QuerySet[Incident]:
    """Return open incidents that keep alerts back although no alert of them fires of which somebody was told."""
    return Incident.objects.filter(
        ~tellers(), Exists(_kept_back().filter(incident=OuterRef("pk"))), state=IncidentState.OPEN.value,
        notify=Notify.FIRST_AND_GROWTH.value,
    )  # fmt: skip


@transaction.atomic
def _promoted(incident_id: int, now: datetime) -> bool:
    """Let the worst and oldest alert that is kept back be told."""
    hold()
    row = _untold().filter(pk=incident_id).first()
    members = list(_kept_back().filter(incident_id=incident_id).select_related("alert")) if row else []
    if row is None or not members:
        return False
    member = min(members, key=lambda each: (rank(each.alert.severity), each.joined_at, each.pk))
    IncidentMember.objects.filter(pk=member.pk).update(listed=False)
    Quieted.objects.filter(alert_id=member.alert_id).update(due_at=now)
    reason = "told, for no alert of the incident fires any more of which somebody was told"
    told_of(row, "told", actor=SYSTEM, reason=reason, now=now, alert_number=member.alert_id)
    return True


def incidents_retain(*, now: datetime, batch: int = BATCH) -> int:
    """Drop incidents that ended long ago, with their story; return how many."""
    old = Incident.objects.filter(
        state=IncidentState.RESOLVED.value, resolved_at__lt=now - timedelta(days=KEPT_DAYS)
    ).exclude(_fires())
    ids = list(old.order_by("resolved_at").values_list("pk", flat=True)[:batch])
    if not ids:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL console.retention = 'on'")
        IncidentEvent.objects.filter(incident__in=ids).delete()
        Incident.objects.filter(pk__in=ids).delete()
        cursor.execute("SET LOCAL console.retention = 'off'")
    return len(ids)
