"""Recording rules: expressions that become series, evaluated in order with the alerting rules of their group."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest

from aivillage_console.accounts.models import Source
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.models import Alert, RecordedSeries, Rule, RuleGroup
from alerts.rules import limits, recording
from alerts.rules.showing import groups_shown
from alerts.rules.validation import rule_problems
from alerts.services import evaluate_due
from alerts.services.configuration import configured_delete
from metrics.domain import SeriesBatch
from metrics.ingest.rows import MetricRow
from metrics.native_histograms import codec
from metrics.native_histograms.model import Histogram, Span
from metrics.selectors import instant_query
from metrics.services import partitions_prepare, result_append, samples_append

ALICE = Actor(kind="user", id="1", label="alice")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(settings: Any) -> datetime:
    """Return a grid time in the recent past; the storage is ready for samples around it."""
    now = clock.now()
    partitions_prepare(now=now)
    return clock.at_seconds(now.timestamp() - now.timestamp() % 60 - 1800)


def feed(start: datetime, values: list[float | None], host: str = "a", name: str = "heat") -> None:
    """Store one value every 15 s from the start."""
    source, _ = Source.objects.get_or_create(name="test", defaults={"service": "test"})
    first_ms = round(start.timestamp() * 1000)
    rows = [
        MetricRow(name=name, type="gauge", value=value, labels={"host": host}, timestamp_ms=first_ms + i * 15_000)
        for i, value in enumerate(values)
        if value is not None
    ]
    assert samples_append(rows, source=source, now=clock.now()) == []


@pytest.fixture
def group(start: datetime) -> RuleGroup:
    return RuleGroup.objects.create(name="g", interval_seconds=60, due_at=start)


def recording_rule(group: RuleGroup, expr: str, record: str = "heat:avg", **fields: Any) -> Rule:
    """Return a saved recording rule."""
    values: dict[str, Any] = {"name": f"record {record}", "position": 0, **fields}
    spec = {"record": record, "expr": expr, **values.pop("more", {})}
    return Rule.objects.create(group=group, kind="recording", spec=spec, **values)


def run(start: datetime, *minutes: float) -> None:
    for number in minutes:
        evaluate_due(hand="celery", read_clock=partial(minute, start, number))


def asked(query: str, at: datetime) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the answer of a query by its labels."""
    result = instant_query(query, at_ms=round(at.timestamp() * 1000))
    return {
        tuple(sorted(labels.items())): float(result.values[row, 0])
        for row, labels in enumerate(result.labels)
        if result.present[row, 0]
    }


def minute(start: datetime, number: float) -> datetime:
    return start + timedelta(minutes=number)


def test_an_expression_becomes_series_with_the_labels_of_the_rule(start: datetime, group: RuleGroup):
    feed(start, [10.0] * 20)
    feed(start, [30.0] * 20, host="b")
    recording_rule(group, "heat * 2", labels={"job": "oven", "host": ""})
    recording_rule(group, "sum(heat)", "heat:sum", position=1)
    recording_rule(group, "heat * 2", "heat:double", position=2, labels={"job": "oven"})
    run(start, 1)
    assert asked("heat:double", minute(start, 1)) == {
        (("__name__", "heat:double"), ("host", "a"), ("job", "oven")): 20.0,
        (("__name__", "heat:double"), ("host", "b"), ("job", "oven")): 60.0,
    }
    assert asked("heat:sum", minute(start, 1)) == {(("__name__", "heat:sum"),): 40.0}
    failed = Rule.objects.get(name="record heat:avg")
    assert (failed.health, "same labels" in failed.last_error) == ("unknown", True)
    assert asked("heat:avg", minute(start, 1)) == {}


def test_samples_carry_the_grid_time_and_not_that_of_the_work(start: datetime, group: RuleGroup):
    feed(start, [10.0] * 20)
    recording_rule(group, "heat")
    run(start, 1.3, 2.4)
    got = instant_query("heat:avg[5m]", at_ms=round(minute(start, 4).timestamp() * 1000)).range_vector
    assert got is not None
    assert got.timestamps_ms.tolist() == [round(minute(start, n).timestamp() * 1000) for n in (1, 2)]


def test_a_later_rule_of_the_group_sees_what_an_earlier_one_wrote_at_this_tick(start: datetime, group: RuleGroup):
    feed(start, [91.0] * 20)
    recording_rule(group, "avg(heat)", position=0)
    Rule.objects.create(group=group, position=1, name="Hot", spec={"expr": "heat:avg > 80"}, cooldown_seconds=0)
    recording_rule(group, "heat:avg + 1", "heat:more", position=2)
    run(start, 1)
    assert Alert.objects.get(name="Hot").value == 91.0
    assert asked("heat:more", minute(start, 1)) == {(("__name__", "heat:more"),): 92.0}


def test_series_that_are_gone_end_at_once(start: datetime, group: RuleGroup):
    feed(start, [90.0] * 8 + [10.0] * 12)
    feed(start, [90.0] * 20, host="b")
    recording_rule(group, "heat > 50")
    run(start, 1, 2.1)
    both = asked("heat:avg", minute(start, 1.9))
    assert [dict(key)["host"] for key in both] == ["a", "b"]
    only_b = asked("heat:avg", minute(start, 2.2))
    assert [dict(key)["host"] for key in only_b] == ["b"]
    assert len(RecordedSeries.objects.get().series) == 8


def test_a_rule_that_is_switched_off_or_deleted_ends_its_series(start: datetime, group: RuleGroup):
    feed(start, [90.0] * 20)
    first = recording_rule(group, "heat")
    recording_rule(group, "heat", "heat:other", position=1)
    run(start, 1)
    Rule.objects.filter(pk=first.pk).update(enabled=False)
    run(start, 2)
    assert asked("heat:avg", minute(start, 2)) == {}
    assert len(asked("heat:other", minute(start, 2))) == 1
    configured_delete(group, actor=ALICE, now=minute(start, 2.5))
    assert asked("heat:other", minute(start, 3)) == {}


def test_an_error_is_kept_with_the_rule_and_ends_no_series(start: datetime, group: RuleGroup):
    feed(start, [90.0] * 20)
    feed(start, [90.0] * 20, host="b")
    rule = recording_rule(group, "heat", more={"limit": 2})
    run(start, 1)
    rule.refresh_from_db()
    assert (rule.health, rule.last_error, rule.evaluation_seconds > 0) == ("ok", "", True)
    feed(start, [90.0] * 20, host="c")
    run(start, 2, 3)
    rule.refresh_from_db()
    assert (rule.health, rule.failed_evaluations) == ("unknown", 2)
    assert "answers 3 series; at most 2 are recorded" in rule.last_error
    assert len(asked("heat:avg", minute(start, 2))) == 2
    assert Alert.objects.get(name="RuleNotEvaluated").state == "firing"


def test_native_histograms_are_recorded_as_such(start: datetime, group: RuleGroup):
    source = Source.objects.create(name="edge", service="edge")
    histogram = Histogram(0, 4.0, 10.0, 0.001, 0.0, (Span(0, 2),), (1.0, 3.0), (), (), ())
    packed = np.array([codec.encode(histogram)], object)
    at_ms = round(start.timestamp() * 1000)
    times = np.array([at_ms], np.int64)
    batch = SeriesBatch([{"__name__": "took"}], np.zeros(1, np.int64), times, np.array([4.0]), packed)
    assert result_append(batch, source=source, now=clock.now()).samples == 1
    recording_rule(group, "took * 2", "took:double")
    run(start, 1)
    assert list(asked("histogram_count(took:double)", minute(start, 1)).values()) == [8.0]
    assert list(asked("histogram_sum(took:double)", minute(start, 1)).values()) == [20.0]


def test_prometheus_api_lists_them_as_recording(start: datetime, group: RuleGroup):
    feed(start, [90.0] * 20)
    recording_rule(group, "heat > 1", labels={"team": "a"})
    run(start, 1)
    (shown,) = groups_shown(None)
    (rule,) = shown.rules
    assert (rule.records, rule.name, rule.query, rule.labels) == (True, "heat:avg", "heat > 1", {"team": "a"})
    assert (rule.health, rule.last_error, rule.last_evaluated_at) == ("ok", "", minute(start, 1))
    assert rule.evaluation_seconds > 0
    assert shown.evaluation_seconds >= rule.evaluation_seconds


@pytest.mark.parametrize(
    ("spec", "more", "field", "words"),
    [
        ({"expr": "up"}, {}, "spec", "record is missing"),
        ({"record": "a{b}", "expr": "up"}, {}, "spec", "no metric name"),
        ({"record": "a:b"}, {}, "spec", "expr is missing"),
        ({"record": "a:b", "expr": "sum("}, {}, "spec", "expr:"),
        ({"record": "a:b", "expr": "up", "limit": -1}, {}, "spec", "whole number"),
        ({"record": "a:b", "expr": "up", "limit": limits.MOST_SERIES + 1}, {}, "spec", "whole number"),
        ({"record": "a:b", "expr": "up", "for": 1}, {}, "spec", "Unknown keys for"),
        ({"record": "a:b", "expr": "up"}, {"annotations": {"summary": "x"}}, "annotations", "no annotations"),
        ({"record": "a:b", "expr": "up"}, {"labels": {"__name__": "x"}}, "labels", "__name__"),
    ],
)
def test_what_cannot_be_recorded_is_refused_with_a_reason(
    spec: dict[str, Any], more: dict[str, Any], field: str, words: str
):
    found = rule_problems({"kind": "recording", "name": "r", "spec": spec, **more})
    assert words in found[field]


def test_a_good_recording_rule_has_no_problems():
    spec = {"record": "job:up:sum", "expr": "sum by (job) (up)", "limit": 10}
    assert rule_problems({"kind": "recording", "name": "r", "spec": spec, "labels": {"team": "a"}}) == {}


def test_series_that_end_inside_a_range_get_a_marker_there(start: datetime):
    feed(start, [90.0] * 4 + [10.0] * 8 + [90.0] * 4)
    begin_ms = round(start.timestamp() * 1000)
    grid = recording.Grid(begin_ms + 30_000, begin_ms + 225_000, 15_000, lead=True)
    batch = recording.computed({"record": "hot", "expr": "heat > 50"}, {}, grid)
    stale = batch.values.view(np.uint64) == 0x7FF0000000000002
    assert (batch.timestamps_ms[stale] - begin_ms).tolist() == [60_000]
    assert sorted((batch.timestamps_ms[~stale] - begin_ms).tolist()) == [
        30_000, 45_000, 180_000, 195_000, 210_000, 225_000,
    ]  # fmt: skip


def test_a_rule_may_ask_for_either_spelling_of_a_name(start: datetime, group: RuleGroup):
    feed(start, [3.0] * 20, name="p2p_mesh_peers_connected")
    recording_rule(group, "sum(p2p_peers_connected)", "peers:sum")
    run(start, 1)
    assert asked("peers:sum", minute(start, 1)) == {(("__name__", "peers:sum"),): 3.0}
