"""The state machine of one label set of a rule. Times are epoch seconds and the clock is an argument."""

from dataclasses import dataclass, replace

from alerts.engine.states import RuleStateName


@dataclass(frozen=True, slots=True)
class Timers:
    """What a rule says about time."""

    for_seconds: float = 0
    keep_firing_for_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a label set stands and since when."""

    state: RuleStateName = RuleStateName.INACTIVE
    active_at: float | None = None
    fired_at: float | None = None
    last_true_at: float | None = None
    kept_since: float | None = None  # Since when the condition is no longer seen and it is kept firing.

    @property
    def fires(self) -> bool:
        """Say whether an alert is out for it; one that fired and became unknown is still out."""
        return self.fired_at is not None


def seen_true(before: Standing, now: float, timers: Timers) -> Standing:
    """Return the standing after the condition was seen to hold."""
    active_at = before.active_at if before.active_at is not None else now
    if before.fired_at is not None:
        return Standing(RuleStateName.FIRING, active_at, before.fired_at, now)
    if now - active_at >= timers.for_seconds:
        return Standing(RuleStateName.FIRING, active_at, now, now)
    return Standing(RuleStateName.PENDING, active_at, None, now)


def seen_false(before: Standing, now: float, timers: Timers) -> Standing:
    """Return the standing after the condition was seen not to hold."""
    if before.fired_at is None or before.last_true_at is None:
        return Standing()
    kept_since = now if before.kept_since is None else before.kept_since
    if now - kept_since < timers.keep_firing_for_seconds:
        return replace(before, state=RuleStateName.KEEP_FIRING, kept_since=kept_since)
    return Standing()


def not_seen(before: Standing) -> Standing:
    """Return the standing after a failed query: timers stay, nothing fires and nothing resolves by it."""
    if before.state is RuleStateName.INACTIVE:
        return before
    return replace(before, state=RuleStateName.UNKNOWN)


def known_again(before: Standing) -> Standing:
    """Return the standing once it can be told again that nothing has changed since it became unknown."""
    state = RuleStateName.FIRING if before.fires else RuleStateName.PENDING
    return replace(before, state=RuleStateName.KEEP_FIRING if before.kept_since is not None else state)


def grid_at(now: float, interval_seconds: float) -> float:
    """Return the last grid time that is not after now."""
    return now - now % interval_seconds


@dataclass(frozen=True, slots=True)
class Ticks:
    """Grid times to evaluate now, those given up, and when the next is due."""

    evaluate: tuple[float, ...]
    missed: int
    next_at: float


def ticks_due(last: float | None, now: float, interval_seconds: float) -> Ticks:
    """Return the grid times owed since the last evaluated one; at most one missed time is caught up."""
    current = grid_at(now, interval_seconds)
    upcoming = current + interval_seconds
    if last is None:
        return Ticks((current,), 0, upcoming)
    owed = round((current - grid_at(last, interval_seconds)) / interval_seconds)
    if owed <= 0:
        return Ticks((), 0, upcoming)
    evaluate = (current,) if owed == 1 else (current - interval_seconds, current)
    return Ticks(evaluate, owed - len(evaluate), upcoming)
