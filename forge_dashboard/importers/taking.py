"""Hands the events of a file to the intake, once whatever is imported again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from aivillage_console.accounts.services import Actor, audit, source_named
from forge_dashboard.importers.documents import events_of
from forge_dashboard.intake import EventRow, write_events
from forge_dashboard.models import Run
from metrics.registry import IngestContext

SOURCE = "pipeline-import"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file."""

    run_id: UUID | None
    external_id: str
    events: int
    refused: list[str]


def import_document(document: object, *, name: str, actor: Actor, now: datetime, source: str = SOURCE) -> Imported:
    """Take in one file; raises NotImportable for what is neither a report nor a checkpoint.

    What it tells counts as heard of when it happened: what ended over an hour ago alerts nobody and moves no counter.
    """
    rows = events_of(document, name=name, now=now)
    with transaction.atomic():
        sender = source_named(source)
        good, refused = _converted(rows)
        context = IngestContext(sender.pk, sender.name, now, backfill=True)
        refused += [rejected.reason for rejected in write_events(good, context)]
        external_id = str(rows[0]["run_id"])
        run = Run.objects.filter(source=sender, external_id=external_id).first()
        done = Imported(run.pk if run else None, external_id, len(rows) - len(refused), refused[:50])
        if run is not None:
            audit(actor, "run.import", run, now=now, after={"file": name[:200], "events": done.events})
    return done


def _converted(rows: Sequence[dict[str, Any]]) -> tuple[list[tuple[int, EventRow]], list[str]]:
    good: list[tuple[int, EventRow]] = []
    refused: list[str] = []
    for number, row in enumerate(rows):
        try:
            good.append((number, msgspec.convert(row, EventRow)))
        except msgspec.ValidationError as error:
            refused.append(str(error))
    return good, refused
