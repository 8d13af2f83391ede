"""Thresholds from the past of each series: worked out when they are due, kept with their history, looked up at a tick.

The samples are asked for a day at a time through the same query as the rule's own, so a baseline costs a few queries
every few hours and a tick costs one look-up. A threshold once worked out stays a row: what held at any time is known.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from orjson import OPT_SORT_KEYS, dumps

from aivillage_console.lib import clock
from aivillage_console.lib.labels import fingerprint
from alerts.engine.baseline import Key, Past, Worked, differs, without, worked
from alerts.engine.threshold import Compiled
from alerts.models import Alert, AlertEvent, DynamicThreshold, Rule, ThresholdHistory
from alerts.rules import asking
from alerts.rules.queries import baseline_of, baseline_seconds, recalculate_seconds

SLICE_SECONDS = 86_400
POINTS = 4032
SHORTEST_STEP_SECONDS, LONGEST_STEP_SECONDS = 15, 600
MOST_SERIES = 1000
KEPT = timedelta(days=400)
NO_THRESHOLD = "nothing is known of its past"
BEGINS = ("started", "reopened")
Periods = Callable[[Mapping[str, str]], list[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds that hold at a time."""

    by_series: Mapping[Key, Worked] = field(default_factory=dict)

    def of(self, labels: Mapping[str, str], at_seconds: float) -> float | None:
        """Return the threshold of a series at a time."""
        found = self.by_series.get(frozenset(labels.items()))
        return found.at(at_seconds) if found else None

    def why(self, labels: Mapping[str, str]) -> str:
        """Return why a series has none."""
        found = self.by_series.get(frozenset(labels.items()))
        return (found.why if found else "") or NO_THRESHOLD


ThresholdsOf = Callable[[Rule, Compiled, datetime], Thresholds]


def digest_of(rule: Rule, query: Compiled) -> str:
    """Return what the thresholds of a rule depend on, as one short text."""
    depends = (query.asked, vars_of(rule.spec))
    return hashlib.sha256(dumps(depends, option=OPT_SORT_KEYS)).hexdigest()


def vars_of(spec: Mapping[str, Any]) -> list[Any]:
    """Return the parts of a spec that a threshold comes from."""
    base = baseline_of(spec)
    return [
        base.percentile, base.factor, base.floor, base.ceiling, base.least_history_seconds, base.seasonal,
        baseline_seconds(spec),
    ]  # fmt: skip


def step_of(spec: Mapping[str, Any]) -> int:
    """Return how far apart the values of a baseline are."""
    return max(SHORTEST_STEP_SECONDS, min(LONGEST_STEP_SECONDS, baseline_seconds(spec) // POINTS))


def no_periods(_labels: Mapping[str, str]) -> list[tuple[float, float]]:
    """Leave nothing out."""
    return []


def calculated(
    rule: Rule, query: Compiled, at: datetime, *, matrix: asking.Matrix = asking.matrix, left_out: Periods = no_periods
) -> dict[Key, Worked]:
    """Return the threshold of each series, from the samples before a time without some periods.

    Raises ValueError (QueryError) where the past cannot be read.
    """
    spec, step = rule.spec, step_of(rule.spec)
    end = int(at.timestamp()) // step * step
    start = end - baseline_seconds(spec) // step * step
    past = Past(MOST_SERIES)
    for begin in range(start, end + 1, SLICE_SECONDS):
        until = min(begin + SLICE_SECONDS - step, end)
        past.add(*matrix(query.expression, begin * 1000, until * 1000, step * 1000))
    times, keys, values = past.joined()
    for place, key in enumerate(keys):
        periods = [(begin * 1000, until * 1000) for begin, until in left_out(dict(key))]
        if periods:
            values[place] = without(times, values[place], periods)
    found = worked(times, values, baseline_of(spec), step_seconds=step)
    return dict(zip(keys, found, strict=True))


def incidents_of(rule: Rule, since: datetime, until: datetime) -> Periods:
    """Return when alerts of a rule ran, by the labels of a series: that is no past to learn from."""
    alerts = {alert.pk: alert for alert in Alert.objects.filter(rule=rule)}
    events = AlertEvent.objects.filter(alert__in=alerts, at__lte=until, kind__in=(*BEGINS, "resolved")).order_by("id")
    ran: dict[int, list[tuple[float, float]]] = {}
    begun: dict[int, float] = {}
    for row in events.values_list("alert_id", "kind", "at"):
        number, kind, moment = row
        if kind in BEGINS:
            begun.setdefault(number, moment.timestamp())
        elif number in begun:
            ran.setdefault(number, []).append((begun.pop(number), moment.timestamp()))
    for number, began_at in begun.items():
        ran.setdefault(number, []).append((began_at, until.timestamp()))
    own = set(rule.all_labels)
    known = [(alerts[number].labels, periods) for number, periods in ran.items()]

    def periods_of(labels: Mapping[str, str]) -> list[tuple[float, float]]:
        return [
            period
            for theirs, periods in known
            if all(theirs.get(name) == text for name, text in labels.items() if name not in own)
            for period in periods
            if period[1] >= since.timestamp()
        ]

    return periods_of


def due_thresholds(rule: Rule, query: Compiled, at: datetime) -> Thresholds:
    """Return the thresholds that hold at a time; those that are due are worked out and kept first."""
    mark = DynamicThreshold.objects.filter(rule=rule).first()
    fresh = mark is None or mark.digest != digest_of(rule, query)
    if mark is None or fresh or mark.next_at <= at:
        thresholds_calculate(rule, query, at, fresh=fresh)
    return Thresholds(_rows_at(rule, at))


def stored_thresholds(rule: Rule, query: Compiled, at: datetime) -> Thresholds:
    """Return the thresholds as they are kept; for a rule that has none yet, what they would be. Keeps nothing."""
    if DynamicThreshold.objects.filter(rule_id=rule.pk, digest=digest_of(rule, query)).exists():
        return Thresholds(_rows_at(rule, at))
    return Thresholds(calculated(rule, query, at))


def _rows_at(rule: Rule, at: datetime) -> dict[Key, Worked]:
    newest = ThresholdHistory.objects.filter(rule_id=rule.pk, at__lte=at).order_by("series", "-at").distinct("series")
    return {
        frozenset(row.labels.items()): Worked(
            value=row.value, slots=tuple(row.slots), samples=row.samples, history_seconds=row.history_seconds,
            why=row.why,
        )
        for row in newest
    }  # fmt: skip


def thresholds_calculate(rule: Rule, query: Compiled, at: datetime, *, fresh: bool = False) -> int:
    """Work the thresholds of a rule out and keep those that are worth a change; return how many were.

    `fresh`: what is kept came of other settings, so every series gets a row.
    """
    began = monotonic()
    since = at - timedelta(seconds=baseline_seconds(rule.spec))
    found = calculated(rule, query, at, left_out=incidents_of(rule, since, at))
    before = {} if fresh else _rows_at(rule, at)
    news = [(key, after) for key, after in found.items() if differs(before.get(key), after)]
    # A series that is gone from the baseline has no past to judge it by any more.
    old = _rows_at(rule, at) if fresh else before
    news += [(key, Worked(why=NO_THRESHOLD)) for key, one in old.items() if key not in found and _says(one)]
    with transaction.atomic():
        ThresholdHistory.objects.filter(rule=rule, at=at).delete()
        ThresholdHistory.objects.bulk_create([_row(rule, key, after, at) for key, after in news])
        ThresholdHistory.objects.filter(rule=rule, at__lt=at - KEPT).delete()
        DynamicThreshold.objects.update_or_create(
            rule=rule,
            defaults={
                "digest": digest_of(rule, query), "calculated_at": at,
                "next_at": at + timedelta(seconds=recalculate_seconds(rule.spec)), "series": len(found),
                "without": sum(not _says(one) for one in found.values()), "changed": len(news),
                "took_seconds": monotonic() - began,
            },
        )  # fmt: skip
    return len(news)


def _says(one: Worked) -> bool:
    return one.value is not None or any(slot is not None for slot in one.slots)


def _row(rule: Rule, key: Key, after: Worked, at: datetime) -> ThresholdHistory:
    labels = dict(sorted(key))
    return ThresholdHistory(
        rule=rule, series=fingerprint("", labels), labels=labels, at=at, value=after.value, slots=list(after.slots),
        samples=after.samples, history_seconds=after.history_seconds, why=after.why[:200],
    )  # fmt: skip


class RememberedThresholds:
    """The thresholds a backtest works out as it goes, at the times they would have been due; nothing is kept."""

    def __init__(self, matrix: asking.Matrix = asking.matrix) -> None:
        """Begin with none."""
        self._matrix, self._next_at = matrix, clock.at_seconds(0)
        self._known: dict[Key, Worked] = {}

    def __call__(self, rule: Rule, query: Compiled, at: datetime) -> Thresholds:
        """Return the thresholds at a time."""
        if at >= self._next_at:
            found = calculated(rule, query, at, matrix=self._matrix)
            kept = {key: old for key, old in self._known.items() if key in found and not differs(old, found[key])}
            self._known, self._next_at = found | kept, at + timedelta(seconds=recalculate_seconds(rule.spec))
        return Thresholds(self._known)
