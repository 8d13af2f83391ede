"""Times and ranges as people say them; counts of steps; the bar of the list in words."""

from collections.abc import Sequence
from dataclasses import dataclass

UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True, slots=True)
class Piece:
    """One phase in the small bar of the list, in percent of its width."""

    x: float
    width: float
    done: float
    state: str


def spoken(seconds: float) -> str:
    """Return a duration to two units: 42 s, 3 min, 2 h 5 min."""
    size = max(0, round(seconds))
    if size < 60:
        return f"{size} s"
    if size < 3_600:
        return f"{round(size / 60)} min"
    hours, minutes = divmod(round(size / 60), 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h"


def took(seconds: float) -> str:
    """Return a duration exact enough to compare: 0.5 s, 42 s, 2 min 38 s."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes or minutes >= 60:
        return spoken(seconds)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def marked(seconds: float) -> str:
    """Return the words of a tick: 30 s, 1:30, 2 min, 1.5 h; neighbours never read the same."""
    if 60 < seconds < 3_600 and seconds % 60:
        return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"
    size, name = next((unit for unit in UNITS if seconds >= unit[0]), UNITS[-1])
    return f"{seconds / size:g} {name}"


def spread(low_seconds: float, high_seconds: float) -> str:
    """Return a range in one unit where both ends read well in it: 2–5 min."""
    if spoken(low_seconds) == spoken(high_seconds):
        return took(high_seconds)
    size, name = next((unit for unit in UNITS if high_seconds >= 2 * unit[0]), UNITS[-1])
    low, high = low_seconds / size, high_seconds / size
    if high < 10 and size > 1:
        return f"{low:.1f}–{high:.1f} {name}"
    return f"{low:.0f}–{high:.0f} {name}"


def counted(number: int | None) -> str:
    """Return a count with thin groups of three digits."""
    return "" if number is None else f"{number:,}"


def pieces(states: Sequence[tuple[str, float | None]]) -> list[Piece]:
    """Return the small bar: each phase takes the same room, what is done of it is filled."""
    if not states:
        return []
    size = 100 / len(states)
    filled = {"running", "paused"}
    made = []
    for place, (state, progress) in enumerate(states):
        share = (progress if progress is not None else 0.5) if state in filled else 0.0
        done = max(0.06, share) if state in filled else 0.0 if state in ("pending", "queued") else 1.0
        made.append(Piece(round(place * size, 2), round(size - 0.8, 2), round((size - 0.8) * done, 2), state))
    return made


def bar_words(phases: Sequence[tuple[str, str, float | None]]) -> str:
    """Return the small bar as a sentence: 3 of 7 phases, Forge Training 43 %."""
    if not phases:
        return "no phase yet"
    done = sum(state == "succeeded" for _, state, _ in phases)
    now = [(name, state, progress) for name, state, progress in phases if state in ("running", "paused", "failed")]
    text = f"{done} of {len(phases)} done"
    if now:
        name, state, progress = now[-1]
        share = f" {progress:.0%}" if progress is not None and state == "running" else ""
        text += f", {name}{share}" + ("" if state == "running" else f" {state}")
    return text
