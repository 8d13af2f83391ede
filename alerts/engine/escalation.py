"""Arithmetic of escalation steps. Times are epoch seconds; delays count from the start, not from the last step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from alerts.engine.alertmanager import syntax
from alerts.engine.alertmanager.matching import BadMatcher, Matcher, all_hold
from alerts.engine.reasons import Why

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


@dataclass(frozen=True, slots=True)
class Hold:
    """From when an alert may be told, and what puts it off; `why` is None where nothing does."""

    until: float
    why: Why | None = None


def held_until(
    now: float, *, last_told_at: float | None, cooldown_seconds: float, snoozed_until: float | None = None
) -> Hold:
    """Return from when an alert may be told: cooldown and snoozing put it off, and never drop it."""
    holds = [Hold(now)]
    if last_told_at is not None:
        holds.append(Hold(last_told_at + cooldown_seconds, Why.COOLDOWN))
    if snoozed_until is not None:
        holds.append(Hold(snoozed_until, Why.SNOOZED))
    return max(holds, key=lambda hold: hold.until)


def trigger_problems(filters: object) -> str:
    """Return what is wrong with a filter list in words for people; an empty text where nothing is."""
    if not isinstance(filters, list) or not all(isinstance(entry, dict) for entry in filters):
        return 'This is a list of maps, as [{"severity": "critical"}]; an empty list fits everything.'
    problems = (_entry_problem(key, wanted) for entry in filters for key, wanted in entry.items())
    return next(filter(None, problems), "")


def _entry_problem(key: object, wanted: object) -> str:
    if key != MATCHERS:
        values = wanted if isinstance(wanted, list) else [wanted]
        plain = all(isinstance(each, str | int | float | bool) for each in values)
        return "" if plain else f"{key!r} names a text or a list of texts that the label may have."
    if not isinstance(wanted, list) or not all(isinstance(text, str) for text in wanted):
        return '"matchers" is a list of texts, as ["team=~web|api", "severity!=low"].'
    for text in wanted:
        try:
            syntax.matchers(text)
        except BadMatcher as error:
            return (
                f'The matcher {text[:200]!r} cannot be read ({error}). Write it as name="value", with =, !=, =~ or !~.'
            )
    return ""


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
