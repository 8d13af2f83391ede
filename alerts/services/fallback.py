"""When a message cannot be delivered: tell through the fallback channel, and raise an alert about the channel."""

from datetime import datetime

from alerts.engine.episodes import Change, Seen
from alerts.engine.states import NotificationKind, Severity
from alerts.models import Channel, Notification
from alerts.pipeline import Observation
from alerts.services import owed
from alerts.services.decide import observe

NAME = "NotificationFailing"
# Nobody waits for these: a test was watched, and who has the alert is on its page.
QUIETLY_LOST = (NotificationKind.TEST, NotificationKind.UPDATE)


def give_up(row: Notification, error: str, *, gone: bool, now: datetime) -> None:
    """Deal with a message that failed for good; `gone` switches the channel off."""
    if gone and row.channel is not None:
        Channel.objects.filter(pk=row.channel.pk).update(enabled=False, disabled_because=error[:300])
    through_fallback(row, now=now)
    raise_failing(row.channel_name, error, now=now)


def through_fallback(row: Notification, *, now: datetime) -> int:
    """Owe the message to the fallback channels, once; return to how many."""
    if row.alert is None or row.channel is None or row.fallback_of_id or row.kind in QUIETLY_LOST:
        return 0
    channels = list(Channel.objects.filter(is_fallback=True, enabled=True).exclude(pk=row.channel.pk))
    owed.owe(
        row.alert, channels, kind=NotificationKind(row.kind), step=row.step, now=now, policy_version="fallback",
        fallback_of=row,
    )  # fmt: skip
    return len(channels)


def failing(channel_name: str, seen: Seen, error: str = "") -> Observation:
    """Return the observation that a channel fails, or that it works again."""
    return Observation(
        name=NAME, labels={"channel": channel_name, "component": "console"}, seen=seen, severity=Severity.HIGH.value,
        annotations={
            "summary": f"Messages to {channel_name} are not delivered",
            "description": f"Last error: {error[:500]}",
            "runbook": "Test the channel on the Setup page; check its URL, its secret and the receiver's log.",
        },
        reason="" if seen is Seen.FIRING else "the channel delivers again",
    )  # fmt: skip


def raise_failing(channel_name: str, error: str, *, now: datetime) -> Change:
    """Raise the alert about a channel; while it fires, further failures add nothing."""
    return observe(failing(channel_name, Seen.FIRING, error), now=now)
