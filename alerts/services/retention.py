"""Moves finished messages out of the way and drops what is past its time."""

from datetime import datetime, timedelta

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.forms.models import model_to_dict
from orjson import dumps, loads

from alerts.models import Alert, AlertEvent, AlertSettings, DeliveryAttempt, Notification, NotificationHistory
from alerts.services.backtests import backtests_retain
from alerts.services.inbound import webhooks_retain
from alerts.services.incident_upkeep import incidents_retain
from alerts.services.messages import messages_retain
from alerts.services.testruns import suites_retain

HISTORY_DAYS = 7
BATCH = 500


def retain(*, now: datetime, batch: int = BATCH) -> dict[str, int]:
    """Carry out one batch of each; return how many rows moved and were dropped."""
    webhooks_retain(now=now)
    messages_retain(now=now)
    incidents_retain(now=now)
    suites_retain(now=now)
    backtests_retain(now=now)
    return {"moved": _to_history(now, batch), "dropped": _drop_alerts(now, batch)}


def _plain(row: Notification | DeliveryAttempt) -> dict[str, object]:
    plain: dict[str, object] = loads(dumps(model_to_dict(row), default=DjangoJSONEncoder().default))
    return plain


def _to_history(now: datetime, batch: int) -> int:
    old = Notification.objects.exclude(state="due").filter(finished_at__lt=now - timedelta(days=HISTORY_DAYS))
    with transaction.atomic():
        # The rows of an alert that still fires stay: who was told decides who hears of its end.
        over = old.exclude(alert__state__in=["firing", "unknown"]).order_by("finished_at")
        rows = list(over.select_for_update(skip_locked=True, of=("self",)).prefetch_related("tries")[:batch])
        NotificationHistory.objects.bulk_create(
            [
                NotificationHistory(
                    id=row.pk, alert_number=row.alert_id, finished_at=row.finished_at or now, row=_plain(row),
                    tries=[_plain(attempt) for attempt in row.tries.all()],
                )
                for row in rows
            ],
            ignore_conflicts=True,
        )  # fmt: skip
        Notification.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _drop_alerts(now: datetime, batch: int) -> int:
    kept = timedelta(days=AlertSettings.current().alert_retention_days)
    old = Alert.objects.filter(state="resolved", resolved_at__lt=now - kept)
    ids = list(old.order_by("resolved_at").values_list("pk", flat=True)[:batch])
    if not ids:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL console.retention = 'on'")
        AlertEvent.objects.filter(alert_id__in=ids).delete()
        Notification.objects.filter(alert_id__in=ids).delete()
        Alert.objects.filter(pk__in=ids).delete()
        NotificationHistory.objects.filter(alert_number__in=ids).delete()
        cursor.execute("SET LOCAL console.retention = 'off'")
    return len(ids)
