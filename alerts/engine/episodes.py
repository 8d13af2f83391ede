"""Episodes: when an observation begins one, reopens one, ends one, or changes nothing. Times are epoch seconds."""

from dataclasses import dataclass, replace
from enum import StrEnum

from alerts.engine.severity import worse
from alerts.engine.states import AlertState

REMEMBERED_FIRES = 10


class Change(StrEnum):
    """What an observation did to an alert."""

    NONE = "none"  # Nothing to tell.
    PENDING = "pending"  # Seen, not yet long enough.
    STARTED = "started"  # A new episode.
    REOPENED = "reopened"  # The last episode goes on.
    RESOLVED = "resolved"  # The episode is over.
    BECAME_UNKNOWN = "became_unknown"  # We can no longer tell.
    KNOWN_AGAIN = "known_again"  # We can tell again, and it fires.
    WORSENED = "worsened"  # It goes on, and is more severe than it was.
    DISCARDED = "discarded"  # It was pending and never fired.


class Seen(StrEnum):
    """What was observed."""

    PENDING = "pending"
    FIRING = "firing"
    UNKNOWN = "unknown"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Windows:
    """How long things are held against an alert."""

    dedup_seconds: float = 3600  # A fire this soon after the end reopens the episode.
    flap_window_seconds: float = 3600  # Fires this recent count as flapping …
    flap_fires: int = 5  # … when there are this many.
    flap_quiet_seconds: float = 600  # Flapping is over once nothing has changed for this long.


@dataclass(frozen=True, slots=True)
class Episode:
    """An alert as this machine sees it."""

    state: AlertState = AlertState.RESOLVED
    episode: int = 0
    repeat_no: int = 0
    started_at: float = 0
    resolved_at: float | None = None
    recent_fires: tuple[float, ...] = ()
    flapping_since: float | None = None
    flapping_until: float | None = None  # When flapping is over, unless something changes before.
    flaps: int = 0  # Changes that were counted and not told, since it flaps.
    quiet: bool = False  # Resolved by hand while its condition held: not told again until that has ended once.
    severity: str = ""  # How bad it is in this episode; it may rise while the episode lasts, and never falls.

    @property
    def is_open(self) -> bool:
        """Say whether the episode has fired and not ended."""
        return self.state in (AlertState.FIRING, AlertState.UNKNOWN)

    def flaps_at(self, now: float) -> bool:
        """Say whether its coming and going is counted and not told."""
        return self.flapping_until is not None and now < self.flapping_until


@dataclass(frozen=True, slots=True)
class Outcome:
    """The next state of an alert, what changed and why; `counted` says that it flaps, so the change is not told."""

    after: Episode
    change: Change
    reason: str
    counted: bool = False


def observe(before: Episode, seen: Seen, now: float, windows: Windows = Windows(), *, severity: str = "") -> Outcome:
    """Return what an observation makes of an alert; `severity` is how bad it was seen to be."""
    if seen is Seen.FIRING:
        return _firing(before, now, windows, severity)
    if seen is Seen.CLEAR:
        return _clear(before, now, windows)
    if seen is Seen.UNKNOWN:
        return _unknown(before)
    return _pending(before)


def _firing(before: Episode, now: float, windows: Windows, severity: str) -> Outcome:
    if before.is_open and worse(severity, before.severity):
        after = replace(before, state=AlertState.FIRING, severity=severity)
        return Outcome(after, Change.WORSENED, f"it got worse, from {before.severity} to {severity}")
    if before.state is AlertState.FIRING:
        return Outcome(before, Change.NONE, f"already firing in episode {before.episode}")
    if before.quiet and before.state is AlertState.RESOLVED:
        return Outcome(before, Change.NONE, "resolved by hand, and its condition has not ended since")
    if before.state is AlertState.UNKNOWN:
        return Outcome(replace(before, state=AlertState.FIRING), Change.KNOWN_AGAIN, "data is back and it still fires")
    return _fires(replace(before, severity=severity), now, windows)


def _fires(before: Episode, now: float, windows: Windows) -> Outcome:
    fires = (*before.recent_fires, now)[-REMEMBERED_FIRES:]
    counted = before.flaps_at(now)
    known = replace(
        _flapped(before, fires, now, windows), recent_fires=fires, state=AlertState.FIRING, resolved_at=None
    )  # fmt: skip
    if before.episode and before.resolved_at is not None and now - before.resolved_at < windows.dedup_seconds:
        after = replace(known, repeat_no=before.repeat_no + 1)
        seconds = int(now - before.resolved_at)
        return Outcome(after, Change.REOPENED, f"fired again {seconds} s after it ended: the episode goes on", counted)
    after = replace(known, episode=before.episode + 1, repeat_no=0, started_at=now)
    return Outcome(after, Change.STARTED, f"episode {after.episode} began", counted)


def _flapped(before: Episode, fires: tuple[float, ...], now: float, windows: Windows) -> Episode:
    """Return how a fire leaves its flapping: it goes on, it begins, or there is none."""
    if before.flaps_at(now):
        return _counted(before, now, windows)
    recent = [at for at in fires if now - at < windows.flap_window_seconds]
    if len(recent) < windows.flap_fires:
        return settled(before)
    # The fire with which it begins is told, and says so; what follows is counted.
    return replace(before, flapping_since=recent[0], flapping_until=now + windows.flap_quiet_seconds, flaps=0)


def _counted(before: Episode, now: float, windows: Windows) -> Episode:
    return replace(before, flapping_until=now + windows.flap_quiet_seconds, flaps=before.flaps + 1)


def settled(before: Episode) -> Episode:
    """Return an alert that does not flap any more."""
    return replace(before, flapping_since=None, flapping_until=None, flaps=0)


def _clear(before: Episode, now: float, windows: Windows) -> Outcome:
    if before.is_open:
        counted = before.flaps_at(now)
        known = _counted(before, now, windows) if counted else before
        over = replace(known, state=AlertState.RESOLVED, resolved_at=now)
        return Outcome(over, Change.RESOLVED, "it is over", counted)
    if before.state is AlertState.PENDING:
        # A pending alert that had fired before keeps the end of that episode, which the dedup window counts from.
        over = replace(before, state=AlertState.RESOLVED, resolved_at=before.resolved_at)
        return Outcome(over, Change.DISCARDED, "the condition ended before it had held long enough")
    return Outcome(replace(before, quiet=False), Change.NONE, "already over")


def _unknown(before: Episode) -> Outcome:
    if before.state is not AlertState.FIRING:
        return Outcome(before, Change.NONE, "it was not firing")
    return Outcome(replace(before, state=AlertState.UNKNOWN), Change.BECAME_UNKNOWN, "no data to tell by")


def _pending(before: Episode) -> Outcome:
    if before.state is AlertState.RESOLVED:
        return Outcome(
            replace(before, state=AlertState.PENDING, quiet=False), Change.PENDING, "the condition has begun to hold"
        )
    return Outcome(before, Change.NONE, f"already {before.state}")
