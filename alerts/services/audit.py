"""The auditor: counts what must be zero, repairs it, and raises an alert about it. Every query has an index."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q

from alerts.engine.episodes import Seen
from alerts.engine.reasons import ResolvedCause, Why
from alerts.engine.states import AlertState, NotificationKind, NotificationState, Severity, WebhookState
from alerts.measures import OVERDUE, QUEUE_DEPTH
from alerts.models import (
    Alert,
    Channel,
    Escalation,
    Heartbeat,
    InboundMessage,
    IssuePoll,
    Notification,
    RuleGroup,
    WebhookIn,
)
from alerts.pipeline import Observation
from alerts.services import owed, pace, reconcile
from alerts.services.decide import observe
from alerts.services.fallback import failing, raise_failing, through_fallback

LATE_SECONDS = 30
STUCK_SECONDS = 60
BUDGET_MS = 1000
URGENT_SECONDS = 60
LIMIT = 100
POLL_LATE_SECONDS = 120
POLL_UNANSWERED_SECONDS = 5400


def audit_and_repair(*, now: datetime) -> dict[str, int]:
    """Return what was found by name; all zero on a healthy day."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(BUDGET_MS)])
        found = {name: check(now) for name, check in CHECKS.items()}
        _tell(found, now)
        _measure(now)
        Heartbeat.objects.update_or_create(name="auditor", defaults={"at": now, "detail": found})
    return found


def _unrouted(now: datetime) -> int:
    """Count beginnings that were to be told while nobody is owed a message."""
    young = now - timedelta(seconds=STUCK_SECONDS)
    open_ones = Alert.objects.filter(state="firing", acked_at__isnull=True, updated_at__lt=young, episode__gt=0)
    untold = open_ones.exclude(
        Exists(Notification.objects.filter(alert=OuterRef("pk"), episode=OuterRef("episode")))
    ).exclude(Exists(Escalation.objects.filter(alert=OuterRef("pk"), episode=OuterRef("episode"), state="active")))
    return untold.filter(
        Exists(Escalation.objects.filter(alert=OuterRef("pk"), episode=OuterRef("episode"), state="done"))
    ).count()


def _stuck(now: datetime) -> int:
    """Messages long due although their channel is called: a lost lease token keeps nothing, so re-arm them."""
    late = now - timedelta(seconds=STUCK_SECONDS)
    rows = Notification.objects.filter(
        state=NotificationState.DUE.value, due_at__lt=late, channel__enabled=True, channel__breaker_state="closed",
        channel__rate_per_minute__isnull=True,
    ).exclude(channel__type__in=pace.RATED)  # fmt: skip
    stuck = list(rows.values_list("pk", flat=True)[:LIMIT])
    Notification.objects.filter(pk__in=stuck).update(due_at=now, lease_token=None)
    return len(stuck)


def _orphans(now: datetime) -> int:
    """Messages whose channel was deleted or switched off are owed to nobody."""
    waiting = Notification.objects.filter(state=NotificationState.DUE.value, lease_token__isnull=True)
    gone = waiting.filter(Q(channel__isnull=True) | Q(channel__enabled=False))
    ids = list(gone.values_list("pk", flat=True)[:LIMIT])
    Notification.objects.filter(pk__in=ids).update(
        state=NotificationState.CANCELLED.value,
        finished_at=now,
        withheld=Why.CHANNEL_OFF.value,
        cancelled_because="its channel was deleted or switched off",
    )
    return 0


def _expired(now: datetime) -> int:
    """Messages whose deadline passed while their channel was not called have failed."""
    rows = Notification.objects.filter(
        state=NotificationState.DUE.value, deadline_at__lte=now, due_at__lte=now
    ).select_related("alert", "channel")[:LIMIT]
    for row in rows:
        row.state, row.finished_at, row.lease_token = NotificationState.FAILED.value, now, None
        row.last_error = row.last_error or "the deadline passed"
        row.save(update_fields=["state", "finished_at", "lease_token", "last_error"])
        through_fallback(row, now=now)
        raise_failing(row.channel_name, row.last_error, now=now)
    return 0


def _urgent(now: datetime) -> int:
    """Critical messages not delivered for a minute also go through the fallback channel; the key keeps it to once."""
    late = now - timedelta(seconds=URGENT_SECONDS)
    rows = Notification.objects.filter(
        state=NotificationState.DUE.value, urgent=True, created_at__lt=late, kind__in=["fire", "repeat"],
        fallback_of__isnull=True, fallbacks__isnull=True,
    ).select_related("alert")[:LIMIT]  # fmt: skip
    for row in rows:
        through_fallback(row, now=now)
        raise_failing(row.channel_name, row.last_error or "not delivered for a minute", now=now)
    return 0


def _overdue(now: datetime) -> int:
    """Count steps that are late; a lease that has run out makes them due by itself."""
    late = now - timedelta(seconds=LATE_SECONDS)
    count = Escalation.objects.filter(state="active", due_at__lt=late).count()
    OVERDUE.set(count)
    return count


def _unresolved(now: datetime) -> int:
    """Receivers that heard of the beginning and were never told of the end."""
    since, young = now - timedelta(days=1), now - timedelta(seconds=LATE_SECONDS)
    told = Notification.objects.filter(
        kind__in=["fire", "repeat"], state="done", alert__state="resolved", alert__resolved_at__gt=since,
        alert__resolved_at__lt=young, episode=F("alert__episode"), channel__enabled=True,
        alert__flapping_until__isnull=True,
    )  # fmt: skip
    answered = Notification.objects.filter(
        alert=OuterRef("alert"), episode=OuterRef("episode"), channel=OuterRef("channel"), kind="resolve",
        repeat_no__gte=OuterRef("repeat_no"),
    )  # fmt: skip
    missing = told.exclude(Exists(answered)).select_related("alert", "channel")[:LIMIT]
    count = 0
    for row in missing:
        if row.alert is not None and row.channel is not None:
            count += len(owed.owe(row.alert, [row.channel], kind=NotificationKind.RESOLVE, step=0, now=now))
    return count


def _late_groups(now: datetime) -> int:
    """Rule groups that were not evaluated for three intervals."""
    groups = RuleGroup.objects.filter(enabled=True, due_at__lt=now - timedelta(seconds=LATE_SECONDS))
    return sum(now - group.due_at > timedelta(seconds=3 * group.interval_seconds) for group in groups)


def _ruleless(now: datetime) -> int:
    """Alerts of a deleted rule would fire for ever."""
    lost = Alert.objects.filter(rule__isnull=True, source__isnull=True).exclude(state="resolved").exclude(evidence={})
    for alert in lost[:LIMIT]:
        reason = "its rule was deleted"
        seen = Observation(
            name=alert.name, labels=alert.labels, seen=Seen.CLEAR, severity=alert.severity, reason=reason,
            cause=ResolvedCause.RULE_OFF,
        )  # fmt: skip
        observe(seen, now=now)
    return 0


def _late_webhooks(now: datetime) -> int:
    """Count messages that came in a minute ago and have not been dealt with."""
    late = now - timedelta(seconds=STUCK_SECONDS)
    tables = (WebhookIn.objects, InboundMessage.objects)
    return sum(rows.filter(state=WebhookState.DUE.value, received_at__lt=late).count() for rows in tables)


def _poison(now: datetime) -> int:
    """Count messages given up within a day; whoever sent one can have it tried again by sending it again."""
    since = now - timedelta(days=1)
    given_up = WebhookState.QUARANTINED.value
    told = InboundMessage.objects.filter(state=given_up, received_at__gt=since).count()
    return told + WebhookIn.objects.filter(state=given_up, processed_at__gt=since).count()


def _polls_late(now: datetime) -> int:
    """Count channels whose issues nobody asks for, though it is time."""
    return reconcile.due_polls(now - timedelta(seconds=POLL_LATE_SECONDS)).count()


def _polls_unanswered(now: datetime) -> int:
    """Count channels whose receiver has not answered for longer than any pause it may ask for."""
    polls = IssuePoll.objects.filter(channel__enabled=True, channel__type="github")
    return polls.filter(failing_since__lt=now - timedelta(seconds=POLL_UNANSWERED_SECONDS)).count()


CHECKS: Mapping[str, Callable[[datetime], int]] = {
    "alerts_nobody_was_told_of": _unrouted,
    "messages_stuck": _stuck,
    "messages_to_no_channel": _orphans,
    "messages_past_deadline": _expired,
    "urgent_messages_late": _urgent,
    "steps_overdue": _overdue,
    "resolves_missing": _unresolved,
    "rule_groups_late": _late_groups,
    "alerts_without_rule": _ruleless,
    "webhooks_late": _late_webhooks,
    "webhooks_given_up": _poison,
    "issue_polls_late": _polls_late,
    "issue_polls_unanswered": _polls_unanswered,
}


def _tell(found: Mapping[str, int], now: datetime) -> None:
    for name, count in found.items():
        observe(
            Observation(
                name="AuditorFinding", labels={"finding": name, "component": "console"},
                seen=Seen.FIRING if count else Seen.CLEAR, severity=Severity.HIGH.value, value=count, threshold=0,
                annotations={"summary": f"{count} {name.replace('_', ' ')}", "description": "Found by the auditor."},
                reason="" if count else "the count is zero again",
            ),
            now=now,
        )  # fmt: skip
    _working_again(now)


def _working_again(now: datetime) -> None:
    """End NotificationFailing for channels that have delivered since, or that are gone."""
    for alert in Alert.objects.filter(name="NotificationFailing", state=AlertState.FIRING.value):
        name = alert.labels.get("channel", "")
        delivered = Notification.objects.filter(channel__name=name, state="done", sent_at__gt=alert.started_at)
        if delivered.exists() or not Channel.objects.filter(name=name).exists():
            observe(failing(name, Seen.CLEAR), now=now)


def _measure(now: datetime) -> None:
    QUEUE_DEPTH.labels(queue="dispatch").set(Notification.objects.filter(state="due", due_at__lte=now).count())
    QUEUE_DEPTH.labels(queue="escalate").set(Escalation.objects.filter(state="active", due_at__lte=now).count())
    QUEUE_DEPTH.labels(queue="sync").set(WebhookIn.objects.filter(state="due", due_at__lte=now).count())
    QUEUE_DEPTH.labels(queue="evaluate").set(RuleGroup.objects.filter(enabled=True, due_at__lte=now).count())
