"""Makes notifications: what is owed to whom, once, in the transaction of the decision."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from aivillage_console.lib import clock
from alerts.channels import CHANNELS
from alerts.engine import retry, storm
from alerts.engine.states import NotificationKind, NotificationState
from alerts.models import Alert, Channel, Notification
from alerts.services.ledger import TABLES, TOLD_KINDS, Ledger
from alerts.services.quieting import Quiet, quieted


def key_of(*parts: object) -> str:
    """Return the idempotency key: the same decision always makes the same key."""
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def payload_of(alert: Alert, *, kind: str, step: int, now: datetime, recipients: Iterable[str] = ()) -> dict[str, Any]:
    """Return what a receiver is told, as it is at the moment of the decision."""
    over = kind == NotificationKind.RESOLVE
    return {
        "timestamp": now.isoformat(),
        "status": "resolved" if over else "firing",
        "kind": str(kind),
        "alert_id": alert.pk,
        "fingerprint": alert.fingerprint,
        "episode": alert.episode,
        "alert_name": alert.name,
        "severity": alert.severity,
        "summary": alert.annotations.get("summary", ""),
        "description": alert.annotations.get("description", ""),
        "runbook_url": alert.annotations.get("runbook_url", ""),
        "metric_value": alert.value,
        "threshold": alert.threshold,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "escalation_step": step + 1,
        "recipients": list(recipients),
        "started_at": alert.started_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "resolved_because": alert.resolved_because if over else "",
        "acknowledged_by": alert.acked_by,
        "url": f"{settings.CONFIG.public_url.rstrip('/')}/alerts/{alert.pk}/",
    }


def owe(
    alert: Alert,
    channels: Iterable[Channel],
    *,
    kind: NotificationKind,
    step: int,
    now: datetime,
    policy_version: object = "",
    recipients: Iterable[str] = (),
    fallback_of: Notification | None = None,
    ledger: Ledger = TABLES,
) -> list[Notification]:
    """Insert one notification a channel; what is already owed under the same key is left alone."""
    rows = messages(
        alert, channels, kind=kind, step=step, now=now, policy_version=policy_version, recipients=recipients,
        fallback_of=fallback_of, told=Told(now, ledger),
    )  # fmt: skip
    ledger.owe(rows)
    return rows


def messages(
    alert: Alert,
    channels: Iterable[Channel],
    *,
    kind: NotificationKind,
    step: int,
    now: datetime,
    policy_version: object = "",
    recipients: Iterable[str] = (),
    fallback_of: Notification | None = None,
    told: "Told | None" = None,
) -> list[Notification]:
    """Return one notification a channel; `told` counts those of one transaction that are not stored yet."""
    told = told or Told(now)
    urgent = alert.severity == "critical"
    tail = (fallback_of.pk,) if fallback_of else ()
    return [
        told.judged(
            Notification(
                key=key_of(alert.pk, alert.episode, policy_version, step, channel.pk, kind, alert.repeat_no, *tail),
                alert=alert, episode=alert.episode, repeat_no=alert.repeat_no, step=step, kind=kind.value,
                channel=channel, channel_name=channel.name, urgent=urgent, fallback_of=fallback_of,
                payload=payload_of(alert, kind=kind, step=step, now=now, recipients=recipients),
                created_at=now, due_at=now,
                deadline_at=now + timedelta(seconds=retry.deadline_seconds(urgent=urgent)),
            ),
            channel,
            policy_id=str(policy_version).partition(":")[0],
        )
        for channel in channels
    ]  # fmt: skip


@dataclass
class Told:
    """How much each channel was told in the window, with what this transaction is about to tell it."""

    now: datetime
    ledger: Ledger = TABLES
    counted: dict[Any, int] = field(default_factory=dict)
    summed_up: set[Any] = field(default_factory=set)
    quiet: Quiet = field(init=False)

    def __post_init__(self) -> None:
        """Read what keeps alerts quiet once for all messages."""
        self.quiet = self.ledger.quiet(self.now)

    def judged(self, row: Notification, channel: Channel, *, policy_id: str = "") -> Notification:
        """Return the message, kept back where its alert is quiet, folded where the channel has been told enough."""
        if row.kind not in (NotificationKind.FIRE, NotificationKind.REPEAT):
            return row
        hush = self.quiet.reason(row.alert, lambda: policy_id) if row.alert is not None else None
        if hush is not None and row.alert is not None:
            row.state, row.cancelled_because, row.finished_at = (
                NotificationState.CANCELLED.value, hush.reason, self.now
            )  # fmt: skip
            self.ledger.keep_quieted(quieted(row.alert, hush, policy_id=policy_id, now=self.now))
            return row
        if not settings.CONFIG.storm_control_enabled:
            return row
        if channel.pk not in self.counted:
            since = self.now - timedelta(seconds=storm.WINDOW_SECONDS)
            self.counted[channel.pk] = self.ledger.told_of_late(channel, since, storm.PER_MINUTE)
        verdict = storm.judge(told_in_window=self.counted[channel.pk], now=self.now.timestamp())
        if not verdict.folded:
            self.counted[channel.pk] += 1
            return row
        row.state, row.cancelled_because, row.finished_at = (
            NotificationState.CANCELLED.value, verdict.reason, self.now
        )  # fmt: skip
        if channel.pk not in self.summed_up:
            self.summed_up.add(channel.pk)
            self.ledger.owe([_summary(channel, self.now, clock.at_seconds(verdict.summary_at))])
        return row


def _summary(channel: Channel, now: datetime, due_at: datetime) -> Notification:
    return Notification(
        key=key_of("summary", channel.pk, int(due_at.timestamp())), channel=channel, channel_name=channel.name,
        kind=NotificationKind.SUMMARY.value, urgent=True, created_at=now, due_at=due_at,
        payload={"kind": "summary", "since": (due_at - timedelta(seconds=storm.WINDOW_SECONDS)).isoformat()},
        deadline_at=due_at + timedelta(seconds=retry.CRITICAL_DEADLINE_SECONDS),
    )  # fmt: skip


def tell_update(alert: Alert, *, now: datetime, but_not: str = "") -> None:
    """Owe who has the alert now to the channels that keep a message of it up to date and were told of it.

    `but_not` is the type of the receiver where it happened, which knows it already.
    """
    types = [name for name, kind in CHANNELS.items() if getattr(kind, "TELLS_UPDATES", False) and name != but_not]
    told = Notification.objects.filter(
        alert=alert, episode=alert.episode, kind__in=["fire", "repeat"], attempts__gt=0, channel__type__in=types
    )
    channels = Channel.objects.filter(pk__in=told.values("channel_id"), enabled=True)
    TABLES.owe(
        messages(
            alert, channels, kind=NotificationKind.UPDATE, step=0, now=now, policy_version=f"version {alert.version}"
        )
    )


def cancel_unsent(
    alert: Alert, *, because: str, now: datetime, kinds: Iterable[str] = TOLD_KINDS, ledger: Ledger = TABLES
) -> int:
    """Cancel what is owed and not in flight; what is in flight is looked at again when its try ends."""
    return ledger.cancel_unsent(alert, because=because, now=now, kinds=kinds)
