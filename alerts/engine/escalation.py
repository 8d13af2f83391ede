"""Arithmetic of escalation steps. Times are epoch seconds; delays count from the start, not from the last step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from alerts.engine.alertmanager import syntax
from alerts.engine.alertmanager.matching import BadMatcher, Matcher, all_hold

MATCHERS = "matchers"


@dataclass(frozen=True, slots=True)
class Next:
    """Which step is ahead and when; `index` is None where none is."""

    index: int | None
    due_at: float


def step_due_at(delays: Sequence[float], index: int, started_at: float) -> Next:
    """Return when the step at an index is due, or that there is none."""
    if index >= len(delays):
        return Next(None, started_at)
    return Next(index, started_at + delays[index])


def held_until(
    now: float, *, last_told_at: float | None, cooldown_seconds: float, flapping_until: float | None
) -> float:
    """Return from when an alert may be told: cooldown and flapping put it off, and never drop it."""
    times = [now]
    if last_told_at is not None:
        times.append(last_told_at + cooldown_seconds)
    if flapping_until is not None:
        times.append(flapping_until)
    return max(times)


def matches(filters: Sequence[Mapping[str, object]], facts: Mapping[str, str]) -> bool:
    """Say whether any map of a filter list fits: entries AND, values in a list OR; an empty list fits everything."""
    return not filters or any(
        all(_entry_fits(key, wanted, facts) for key, wanted in entry.items()) for entry in filters
    )


def _entry_fits(key: str, wanted: object, facts: Mapping[str, str]) -> bool:
    """Say whether one entry fits; `matchers` holds texts, which see labels as they were sent."""
    if key != MATCHERS or not isinstance(wanted, list | tuple):
        return _fits(facts.get(key), wanted)
    sent = {**facts, "severity": facts.get("severity_original", facts.get("severity", ""))}
    matchers = [_matchers(str(text)) for text in wanted]
    return all(each is not None and all_hold(each, sent) for each in matchers)


@lru_cache(maxsize=1024)
def _matchers(text: str) -> tuple[Matcher, ...] | None:
    """Return what a text means; one that means nothing fits nothing."""
    try:
        return tuple(syntax.matchers(text))
    except BadMatcher:
        return None


def _fits(value: str | None, wanted: object) -> bool:
    values = wanted if isinstance(wanted, list | tuple) else [wanted]
    return value is not None and _plain(value) in {_plain(str(each)) for each in values}


def _plain(text: str) -> str:
    return text.strip().lower().replace("-", "_")
