"""Makes notifications: what is owed to whom, once, in the transaction of the decision."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings

from aivillage_console.lib import clock
from alerts.channels import CHANNELS
from alerts.engine import retry, storm
from alerts.engine.reasons import Held, Why
from alerts.engine.states import NotificationKind, NotificationState, QuietKind
from alerts.models import Alert, Channel, Notification
from alerts.services.ledger import TABLES, TOLD_KINDS, Ledger
from alerts.services.quieting import Quiet, quieted

WHYS = {
    QuietKind.SILENCE: Why.SILENCED, QuietKind.INHIBITION: Why.INHIBITED, QuietKind.MUTE_TIME: Why.MUTE_TIME,
    QuietKind.INCIDENT: Why.GROUP,
}  # fmt: skip


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
        "resolved_cause": alert.resolved_cause if over else "",
        "resolved_because": alert.resolved_because if over else "",
        "acknowledged_by": alert.acked_by,
        "flapping": _flapping(alert),
        "incident": alert.told_incident or None,
        "url": f"{settings.CONFIG.public_url.rstrip('/')}/alerts/{alert.pk}/",
    }


def _flapping(alert: Alert) -> dict[str, Any] | None:
    if alert.flapping_since is None:
        return None
    return {
        "since": alert.flapping_since.isoformat(), "changes": alert.flaps, "fires": len(alert.recent_fires_ms),
    }  # fmt: skip


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
    if alert.told_incident is None:
        alert.told_incident = told.ledger.incident_told(alert) or {}
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
    digests: dict[Any, str] = field(default_factory=dict)
    quiet: Quiet = field(init=False)

    def __post_init__(self) -> None:
        """Read what keeps alerts quiet once for all messages."""
        self.quiet = self.ledger.quiet(self.now)

    def judged(self, row: Notification, channel: Channel, *, policy_id: str = "") -> Notification:
        """Return the message, kept back where its alert is quiet, folded where the channel has been told enough."""
        if row.kind not in TOLD_KINDS or row.alert is None:
            return row
        held = self._held(row, row.alert, channel, policy_id)
        if held is not None:
            row.state, row.withheld, row.finished_at = NotificationState.CANCELLED.value, held.why.value, self.now
            row.cancelled_because = held.text[:300]
        return row

    def _held(self, row: Notification, alert: Alert, channel: Channel, policy_id: str) -> Held | None:
        """Return the one reason for which a message is not sent: the first that holds, in the order of the gates."""
        hush = self.quiet.reason(alert, lambda: policy_id)
        if hush is not None:
            self.ledger.keep_quieted(quieted(alert, hush, policy_id=policy_id, now=self.now))
            return Held(WHYS[hush.kind], hush.reason)
        # No filters here: they decide for whom no policy names; a step that names a channel means it.
        return self._over_limit(row, channel) if settings.CONFIG.storm_control_enabled else None

    @cached_property
    def _per_minute(self) -> int:
        return self.ledger.routes().max_alerts_per_minute

    def _over_limit(self, row: Notification, channel: Channel) -> Held | None:
        per_minute = self._per_minute
        if channel.pk not in self.counted:
            since = self.now - timedelta(seconds=storm.WINDOW_SECONDS)
            self.counted[channel.pk] = self.ledger.told_of_late(channel, since, per_minute)
        verdict = storm.judge(told_in_window=self.counted[channel.pk], now=self.now.timestamp(), per_minute=per_minute)
        if not verdict.folded:
            self.counted[channel.pk] += 1
            return None
        if channel.pk not in self.digests:
            self.digests[channel.pk] = self.ledger.digest(_digest(channel, self.now, verdict.summary_at))
        row.payload["digest"] = self.digests[channel.pk]
        return Held(Why.DIGEST, verdict.reason)


def _digest(channel: Channel, now: datetime, at: float) -> Iterator[Notification]:
    """Yield the digests that may tell of what is folded now: that of this minute, else one of those that follow."""
    while True:
        due_at = clock.at_seconds(at)
        yield Notification(
            key=key_of("summary", channel.pk, int(at)), channel=channel, channel_name=channel.name,
            kind=NotificationKind.SUMMARY.value, urgent=True, created_at=now, due_at=due_at,
            payload={"kind": "summary", "since": (due_at - timedelta(seconds=storm.WINDOW_SECONDS)).isoformat()},
            deadline_at=due_at + timedelta(seconds=retry.CRITICAL_DEADLINE_SECONDS),
        )  # fmt: skip
        at += storm.WINDOW_SECONDS


def tell_update(
    alert: Alert, *, now: datetime, but_not: str = "", said: str = "", in_place: bool = False, ledger: Ledger = TABLES
) -> None:
    """Owe what is new about a running alert to the channels that keep a message of it up to date and were told of it.

    `but_not` is the type of the receiver where it happened, which knows it already. `in_place` means the receivers
    that write over their message, and that nobody shall be called by it.
    """
    word = "UPDATES_IN_PLACE" if in_place else "TELLS_UPDATES"
    types = {name for name, kind in CHANNELS.items() if getattr(kind, word, False) and name != but_not}
    channels = [channel for channel in ledger.told(alert) if channel.type in types]
    rows = messages(
        alert, channels, kind=NotificationKind.UPDATE, step=0, now=now, policy_version=f"version {alert.version}",
        told=Told(now, ledger),
    )  # fmt: skip
    for row in rows:
        row.payload |= {"said": said, "in_place": in_place}
    ledger.owe(rows)


def cancel_unsent(
    alert: Alert, *, held: Held, now: datetime, kinds: Iterable[str] = TOLD_KINDS, ledger: Ledger = TABLES
) -> int:
    """Cancel what is owed and not in flight; what is in flight is looked at again when its try ends."""
    return ledger.cancel_unsent(alert, held=held, now=now, kinds=kinds)
