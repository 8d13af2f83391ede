"""Alerts as senders push them: from when to when, and how two pushes of one alert become one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Identity = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; times are seconds of the engine's clock, an end of None is open."""

    labels: Mapping[str, str]
    starts_at: float
    ends_at: float | None
    updated_at: float
    annotations: Mapping[str, str] = field(default_factory=dict)
    generator_url: str = ""
    timed_out: bool = False

    def identity(self) -> Identity:
        """Return what makes two alerts one."""
        return tuple(sorted(self.labels.items()))

    def resolved_at(self, now: float) -> bool:
        """Tell whether the alert has ended by a moment."""
        return self.ends_at is not None and self.ends_at <= now

    def order(self) -> tuple[object, ...]:
        """Return what notifications sort by: job, instance, then all labels."""
        first = [(name not in self.labels, self.labels.get(name, "")) for name in ("job", "instance")]
        return (*first, self.identity())


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a sender said; without a start it begins now, without an end it is believed for the resolve timeout."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: float | None = None
    ends_at: float | None = None
    generator_url: str = ""


def received(pushed: Pushed, now: float, resolve_timeout_seconds: float) -> Alert:
    """Return the alert a push means."""
    starts_at = pushed.starts_at
    if starts_at is None:
        starts_at = now if pushed.ends_at is None else pushed.ends_at
    open_ended = pushed.ends_at is None
    return Alert(
        labels={name: value for name, value in pushed.labels.items() if value},
        annotations=dict(pushed.annotations),
        starts_at=starts_at,
        ends_at=now + resolve_timeout_seconds if pushed.ends_at is None else pushed.ends_at,
        updated_at=now,
        generator_url=pushed.generator_url,
        timed_out=open_ended,
    )


def fault(alert: Alert) -> str:
    """Return why an alert cannot be taken, empty if it can."""
    if alert.ends_at is not None and alert.ends_at < alert.starts_at:
        return "start time must be before end time"
    if not alert.labels:
        return "at least one label pair required"
    return ""


def together(old: Alert | None, new: Alert, now: float) -> Alert:
    """Return what is kept after a push: merged where the two spans overlap, else the newer alone."""
    if old is None or old.ends_at is None or new.ends_at is None:
        return new
    overlaps = old.starts_at < new.ends_at < old.ends_at or old.starts_at < new.starts_at < old.ends_at
    return merged(old, new, now) if overlaps else new


def merged(old: Alert, new: Alert, now: float) -> Alert:
    """Return one alert of two: the earliest start, the younger's word on the end unless the older's lasts longer."""
    if new.updated_at < old.updated_at:
        old, new = new, old
    ends_at = new.ends_at
    longer = old.ends_at is not None and ends_at is not None and old.ends_at > ends_at
    if new.resolved_at(now):
        if longer and old.resolved_at(now):
            ends_at = old.ends_at
    elif longer and not old.timed_out:
        ends_at = old.ends_at
    return replace(new, starts_at=min(old.starts_at, new.starts_at), ends_at=ends_at)
