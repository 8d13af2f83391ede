"""A source and a way to send events as it would."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
import pytest
from django.db import transaction

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from forge_dashboard.intake import EventRow, write_events
from metrics.domain import Rejection
from metrics.registry import IngestContext

Send = Callable[..., list[Rejection]]


def told(kind: str, event_id: str, **row: Any) -> dict[str, Any]:
    """Return a row of run `r`."""
    return {"event_id": event_id, "run_id": "r", "kind": kind, **row}


@pytest.fixture
def now() -> datetime:
    """Return what the clock says."""
    return clock.now()


@pytest.fixture
def source(db: None) -> Source:
    """Return who sends."""
    return Source.objects.create(name="trainer")


@pytest.fixture
def send(source: Source, now: datetime) -> Send:
    """Return a sender of rows; `at` is when the console gets them."""

    def sent(*rows: dict[str, Any], at: datetime | None = None, backfill: bool = False) -> list[Rejection]:
        with transaction.atomic():
            return write_events(numbered(rows), IngestContext(source.pk, source.name, at or now, backfill))

    return sent


def numbered(rows: Sequence[dict[str, Any]]) -> list[tuple[int, EventRow]]:
    """Return rows as the door hands them on."""
    return [(number, msgspec.convert(row, EventRow)) for number, row in enumerate(rows)]
