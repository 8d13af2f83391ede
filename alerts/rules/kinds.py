"""Rule kinds that ask other tables than the samples; their owners, the apps above, register them.

The evaluator treats them like every other rule: a row is a label set whose condition holds at the time asked about,
and a label set that is no longer among the rows is over. So `for`, cool-down, silence and replay are the same code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aivillage_console.lib.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One label set for which the condition of a rule holds."""

    labels: Mapping[str, str]
    value: float | None = None
    # Where a kind knows better than its rule: the severity then is no part of what tells alerts apart, and may worsen.
    severity: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedKind:
    """A kind of rule: what its spec may hold, and the label sets it holds for.

    `ask(spec, window_seconds, at)` reads stored rows only, so that asking about a past time gives the past answer.
    """

    label: str
    keys: frozenset[str]
    problems: Callable[[Mapping[str, Any]], dict[str, str]]
    ask: Callable[[Mapping[str, Any], int, datetime], Sequence[Case]]
    threshold: Callable[[Mapping[str, Any]], float | None] = lambda _spec: None
    over: str = "no longer true"


ASKED_KINDS: Registry[AskedKind] = Registry(
    "rule kinds", ("security_event", "phase_failed", "run_stalled", "component")
)
