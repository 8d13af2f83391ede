"""What each receiver was last told about each group, and whether there is something new to tell."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from alerts.engine.alertmanager.alerts import Alert, Identity

Reason = Literal[
    "",
    "first notification",
    "new alerts added",
    "some alerts resolved",
    "all alerts resolved",
    "repeat interval elapsed",
]
Key = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """The last word to one receiver about one group."""

    at: float
    firing: frozenset[Identity]
    resolved: frozenset[Identity]


@dataclass(slots=True)
class NotificationLog:
    """All last words: by group key, receiver, and kind and place of the integration."""

    entries: dict[Key, Entry] = field(default_factory=dict)

    def write(self, key: Key, entry: Entry) -> None:
        """Keep a word unless a later one is kept."""
        old = self.entries.get(key)
        if old is None or old.at <= entry.at:
            self.entries[key] = entry


def parted(alerts: Iterable[Alert], now: float) -> tuple[frozenset[Identity], frozenset[Identity]]:
    """Return which alerts fire and which have ended."""
    firing: set[Identity] = set()
    resolved: set[Identity] = set()
    for alert in alerts:
        (resolved if alert.resolved_at(now) else firing).add(alert.identity())
    return frozenset(firing), frozenset(resolved)


def reason(
    entry: Entry | None,
    firing: frozenset[Identity],
    resolved: frozenset[Identity],
    *,
    send_resolved: bool,
    repeat_seconds: float,
    now: float,
) -> Reason:
    """Return why a group is to be told about, empty if it is not.

    That all is over is noted even for receivers which are not told, else the next episode would count as known.
    """
    if entry is None:
        return "first notification" if firing else ""
    if not firing <= entry.firing:
        return "new alerts added" if entry.firing else "first notification"
    if not firing:
        return "all alerts resolved" if entry.firing else ""
    if send_resolved and not resolved <= entry.resolved:
        return "some alerts resolved"
    return "repeat interval elapsed" if entry.at < now - repeat_seconds else ""
