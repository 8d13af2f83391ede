"""Why somebody was told of an alert in a minute, or nobody was: read from what was stored, nothing is decided anew.

Every pass that changed an alert left its gates and how it ended in an event (`tracing`), every message that was owed
says whether it was sent or for which one reason it was not. Between two events nothing changed, so the last event
before a minute answers for it, unless a message of that minute does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from alerts.engine.reasons import Why
from alerts.models import Alert, AlertEvent, Notification, NotificationHistory

MINUTE = timedelta(minutes=1)
MOST_MESSAGES = 50
# What goes on holding until the next change, as opposed to what was told or found once.
LASTING = frozenset(Why) - {
    Why.TOLD, Why.DUPLICATE, Why.NOT_FIRING, Why.RESOLVED, Why.FIRES_AGAIN, Why.SUPERSEDED, Why.UNTOLD,
}  # fmt: skip
ENDINGS = ("resolved", "discarded")


@dataclass(frozen=True, slots=True)
class Message:
    """One message owed within the minute."""

    channel: str
    kind: str
    step: int
    at: datetime
    withheld: str
    because: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """The answer for one minute: exactly one reason, the gates that led to it, and the configuration of the time."""

    starts_at: datetime
    ends_at: datetime
    why: Why
    sentence: str
    gates: Sequence[dict[str, str]] = ()
    passed_at: datetime | None = None
    rule_version: int | None = None
    policy: dict[str, Any] | None = None
    messages: Sequence[Message] = ()
    before_at: datetime | None = None  # The change before this minute, and the one after it.
    after_at: datetime | None = None

    @property
    def told(self) -> bool:
        """Say whether somebody was told."""
        return self.why is Why.TOLD


def why_told(alert: Alert, at: datetime) -> Explained:
    """Return why somebody, or nobody, was told of an alert in the minute a time lies in."""
    starts_at = at.replace(second=0, microsecond=0)
    ends_at = starts_at + MINUTE
    passed = AlertEvent.objects.filter(alert=alert, data__has_key="why", at__lt=ends_at).order_by("-id").first()
    messages = _messages(alert, starts_at, ends_at)
    why, sentence = _by_message(messages) or _by_pass(passed, starts_at)
    kept = passed.data if passed is not None else {}
    changes = AlertEvent.objects.filter(alert=alert)
    return Explained(
        starts_at=starts_at, ends_at=ends_at, why=why, sentence=sentence, gates=kept.get("decisions", ()),
        passed_at=passed.at if passed is not None else None, rule_version=kept.get("rule_version"),
        policy=kept.get("policy"), messages=messages,
        before_at=changes.filter(at__lt=starts_at).order_by("-id").values_list("at", flat=True).first(),
        after_at=changes.filter(at__gte=ends_at).order_by("id").values_list("at", flat=True).first(),
    )  # fmt: skip


def _by_message(messages: Sequence[Message]) -> tuple[Why, str] | None:
    told = [message.channel for message in messages if not message.withheld]
    if told:
        return Why.TOLD, f"{', '.join(dict.fromkeys(told))} had to be told"
    return (Why(messages[0].withheld), messages[0].because) if messages else None


def _by_pass(passed: AlertEvent | None, starts_at: datetime) -> tuple[Why, str]:
    if passed is None:
        return Why.NOT_FIRING, "nothing had been seen of it yet"
    ended = Why(passed.data["why"])
    gates = passed.data.get("decisions") or [{"reason": passed.reason}]
    said = str(gates[-1].get("reason") or passed.reason)
    if passed.at >= starts_at:
        return ended, said
    since = f"{passed.at:%Y-%m-%d %H:%M:%S} UTC"
    if passed.kind in ENDINGS:
        return Why.NOT_FIRING, f"it had been over since {since}"
    if ended in LASTING:
        return ended, f"since {since}: {said}"
    return Why.DUPLICATE, f"nothing had changed since {since}, when it was {passed.kind}"


def _messages(alert: Alert, starts_at: datetime, ends_at: datetime) -> list[Message]:
    """Return what was owed within the minute, also where it has moved to the history since."""
    rows = Notification.objects.filter(alert=alert, created_at__gte=starts_at, created_at__lt=ends_at).order_by("id")
    found = [
        Message(r.channel_name, r.kind, r.step, r.created_at, r.withheld, r.cancelled_because, r.state)
        for r in rows[:MOST_MESSAGES]
    ]
    return found or _kept_messages(alert, starts_at, ends_at)


def _kept_messages(alert: Alert, starts_at: datetime, ends_at: datetime) -> list[Message]:
    # A message is finished at the earliest when it is made, and at the latest a few days later.
    rows = NotificationHistory.objects.filter(
        alert_number=alert.pk, finished_at__gte=starts_at, finished_at__lt=ends_at + timedelta(days=4)
    ).order_by("id")
    kept = [_of_history(row) for row in rows.values_list("row", flat=True)[: MOST_MESSAGES * 4]]
    return [message for message in kept if starts_at <= message.at < ends_at][:MOST_MESSAGES]


def _of_history(row: Mapping[str, Any]) -> Message:
    return Message(
        row["channel_name"], row["kind"], row["step"], datetime.fromisoformat(str(row["created_at"])),
        row.get("withheld", ""), row.get("cancelled_because", ""), row["state"],
    )  # fmt: skip
