"""What apps above bring: record kinds of the native door, and rules for Prometheus' API to list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from metrics.domain import Rejection


@dataclass(frozen=True, slots=True)
class IngestContext:
    """Who sends, when, and how far back their rows may reach."""

    source_id: UUID
    source_name: str
    now: datetime
    backfill: bool


@dataclass(frozen=True, slots=True)
class RecordKind:
    """A kind of record; `write` runs inside the transaction of its batch and returns the rows it refused."""

    slug: str
    scope: str
    schema: type[msgspec.Struct]
    write: Callable[[Sequence[tuple[int, Any]], IngestContext], list[Rejection]]


RECORD_KINDS: dict[str, RecordKind] = {}


def record_kind_register(kind: RecordKind) -> None:
    """Add a kind; a slug is given once."""
    if kind.slug in RECORD_KINDS:
        raise ValueError(f"the record kind {kind.slug!r} is registered twice")
    RECORD_KINDS[kind.slug] = kind


@dataclass(frozen=True, slots=True)
class RuleAlert:
    """What a rule found: `pending` or `firing`, since when, and its value."""

    labels: dict[str, str]
    annotations: dict[str, str]
    state: str
    active_at: datetime | None
    value: float
    keeps_firing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleShown:
    """A rule as Prometheus' API lists it; `records` where it makes series and no alerts."""

    name: str
    query: str
    labels: dict[str, str]
    health: str
    last_error: str = ""
    last_evaluated_at: datetime | None = None
    evaluation_seconds: float = 0.0
    records: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    alerts: list[RuleAlert] = field(default_factory=list)
    for_seconds: float = 0
    keep_firing_for_seconds: float = 0


@dataclass(frozen=True, slots=True)
class RuleGroupShown:
    """Rules that are evaluated together."""

    name: str
    file: str
    interval_seconds: float
    rules: list[RuleShown]
    last_evaluated_at: datetime | None = None
    evaluation_seconds: float = 0.0


RuleLister = Callable[[object], list[RuleGroupShown]]
RULE_LISTERS: list[RuleLister] = []


def rule_lister_register(lister: RuleLister) -> None:
    """Have the groups of an app listed; it is called with the viewer."""
    if lister not in RULE_LISTERS:
        RULE_LISTERS.append(lister)


def rule_groups(viewer: object) -> list[RuleGroupShown]:
    """Return the groups of all apps by file and name."""
    groups = [group for lister in RULE_LISTERS for group in lister(viewer)]
    return sorted(groups, key=lambda group: (group.file, group.name))
