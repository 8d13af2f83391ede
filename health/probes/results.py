"""What a probe found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DETAIL_CHARS = 300


@dataclass(frozen=True, slots=True)
class Result:
    """One answer; a probe that measures nothing leaves the time to its caller."""

    status: str
    detail: str = ""
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a probe is given: the settings of the check, its opened secret, and how long it may take."""

    config: Mapping[str, Any]
    secret: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of check: what is wrong with its settings, by field, and how it is asked."""

    label: str
    keys: frozenset[str]
    problems: Callable[[Mapping[str, Any], bool], dict[str, str]]
    ask: Callable[[Question], Result]
    needs_secret: bool = False


class Unanswered(Exception):
    """The question could not be asked or had no answer; the text says why, without secrets."""


def healthy(detail: str = "") -> Result:
    """Return a good answer."""
    return Result("healthy", detail[:DETAIL_CHARS])


def unhealthy(detail: str) -> Result:
    """Return a bad answer."""
    return Result("unhealthy", detail[:DETAIL_CHARS])
