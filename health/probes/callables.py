"""Callables: checks written in code, found by name.

A name comes from `register_check` or from the entry point group `aivillage_console.checks`; nothing a person types is
ever imported. A callable returns True or False, a status, or {"status": …, "details": …}.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from health.probes.addresses import unknown_keys
from health.probes.results import DETAIL_CHARS, Probe, Question, Result, Unanswered
from health.scoring import VALUES

GROUP = "aivillage_console.checks"
KEYS = frozenset({"name"})
CALLABLES: dict[str, Callable[[], object]] = {}


def register_check(name: str, func: Callable[[], object]) -> None:
    """Make a callable known by name; a name is given once."""
    if name in CALLABLES:
        raise ValueError(f"the check {name!r} is registered twice")
    CALLABLES[name] = func


@cache
def _entry_points() -> Mapping[str, Any]:
    return {point.name: point for point in entry_points(group=GROUP)}


def names() -> list[str]:
    """Return every name that can be asked."""
    return sorted({*CALLABLES, *_entry_points()})


def _found(name: str) -> Callable[[], object]:
    if name in CALLABLES:
        return CALLABLES[name]
    point = _entry_points().get(name)
    if point is None:
        raise Unanswered(f"there is no callable {name!r}; there are {', '.join(names())}"[:DETAIL_CHARS])
    loaded: Callable[[], object] = point.load()
    return loaded


def problems(config: Mapping[str, Any], _has_secret: bool) -> dict[str, str]:
    """Return what is wrong with the settings."""
    found = unknown_keys(config, KEYS)
    if config.get("name") not in names():
        found["name"] = f"is not one of {', '.join(names())}"
    return found


def result_of(answer: object) -> Result:
    """Return the result that a callable's answer stands for."""
    if isinstance(answer, Result):
        return answer
    if isinstance(answer, bool):
        return Result("healthy" if answer else "unhealthy")
    if isinstance(answer, Mapping):
        said, details = answer.get("status"), str(answer.get("details", ""))[:DETAIL_CHARS]
        inner = result_of(said) if isinstance(said, bool | str) else Result("unhealthy")
        return Result(inner.status, details or inner.detail)
    if isinstance(answer, str):
        known = answer.strip().lower()
        return Result(known) if known in VALUES else Result("unhealthy", answer[:DETAIL_CHARS])
    return Result("unhealthy", f"the callable returned {type(answer).__name__}, expected a bool, a status or a mapping")


def ask(question: Question) -> Result:
    """Call it; whoever runs the check bounds its time."""
    return result_of(_found(str(question.config.get("name", "")))())


CALLABLE = Probe("Callable", KEYS, problems, ask)
