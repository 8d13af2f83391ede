"""What a backtest found: when a rule would have fired, why, and who would have been told. Times are epoch seconds."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One step of a policy that was reached, or the news that it is over; `withheld` is the one reason nobody heard."""

    at: float
    policy: str
    step: int
    channels: tuple[str, ...] = ()
    kind: str = "fire"
    withheld: str = ""
    at_night: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One time that one label set of the rule fired."""

    labels: Mapping[str, str]
    name: str
    severity: str
    started_at: float
    resolved_at: float | None = None
    because: str = ""
    peak_value: float | None = None
    told: tuple[Told, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """All that a rule would have done between two times; `seconds` is what finding it out took."""

    start_at: float
    end_at: float
    ticks: int
    firings: tuple[Firing, ...] = ()
    seconds: float = 0
    errors: tuple[str, ...] = ()
    truncated: bool = False
