"""The record kinds of the native door: each is a slug, a schema and what writes its rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
