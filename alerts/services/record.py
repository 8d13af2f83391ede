"""Evaluates recording rules: what an expression answers becomes series of its own, in one transaction a tick."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.utils.module_loading import import_string

from aivillage_console.accounts.services import source_named
from aivillage_console.lib import clock
from alerts.measures import RECORDED
from alerts.models import RecordedSeries, Rule, RuleGroup
from alerts.models.rules import RuleKind

SOURCE = "recording rules"


def loaded(name: str) -> Any:
    """Return something of the metrics app or of the query side; the dispatcher imports this file and needs neither."""
    return import_string(name)


def at_ms(at: datetime) -> int:
    """Return a time as the store has it."""
    return round(at.timestamp() * 1000)


def record(rule: Rule, at: datetime) -> str:
    """Evaluate a recording rule at a time and write what it answers; return why some of it was not stored.

    Series it had the last time and has no more get stale markers. Raises what the query raises; then nothing is
    written and no series has ended.
    """
    at -= timedelta(seconds=rule.group.query_offset_seconds)
    grid = loaded("alerts.rules.recording.Grid")(at_ms(at), at_ms(at), 0)
    limits = [limit for limit in (rule.spec.get("limit"), rule.group.limit) if limit]
    spec = {**rule.spec, "limit": min(limits)} if limits else rule.spec
    batch = loaded("alerts.rules.recording.computed")(spec, rule.all_labels, grid)
    with transaction.atomic():
        kept, _ = RecordedSeries.objects.select_for_update().get_or_create(rule=rule, defaults={"at": at})
        appended = append(batch, before=bytes(kept.series), at=at)
        RecordedSeries.objects.filter(pk=kept.pk).update(series=appended.series, at=at)
    RECORDED.labels(work="evaluate").inc(appended.samples)
    return str(appended.refused)


def append(batch: Any, *, before: bytes, at: datetime) -> Any:
    """Store what rules computed; series of `before` that are not in it end at that time."""
    source = source_named(SOURCE)
    return loaded("metrics.services.result_append")(
        batch, source=source, now=clock.now(), before=before, at_ms=at_ms(at)
    )


def recording_end(rules: Iterable[Rule], at: datetime) -> None:
    """End the series of rules that are switched off or deleted, so that queries do not find them a while longer."""
    for kept in RecordedSeries.objects.filter(rule__in=list(rules)).exclude(series=b""):
        with transaction.atomic():
            append(_nothing(), before=bytes(kept.series), at=at)
            RecordedSeries.objects.filter(pk=kept.pk).update(series=b"", at=at)


def _nothing() -> Any:
    return loaded("alerts.rules.recording.nothing")()


def recording_rules_of(obj: models.Model) -> list[Rule]:
    """Return the recording rules that go when an object is deleted."""
    rules = Rule.objects.filter(kind=RuleKind.RECORDING)
    if isinstance(obj, RuleGroup):
        return list(rules.filter(group=obj))
    return list(rules.filter(pk=obj.pk)) if isinstance(obj, Rule) else []
