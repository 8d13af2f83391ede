"""Thresholds that rules work out from the past of each series."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.engine.baseline import HOURS_OF_WEEK
from alerts.models import Alert, DynamicThreshold, Rule, ThresholdHistory
from alerts.rules.queries import compiled
from alerts.services.answers import answer
from alerts.services.dynamic import RememberedThresholds, stored_thresholds
from tests.alerts.sampled import feed, prepared, rule_of, run, state_of

pytestmark = pytest.mark.django_db(transaction=True)
SPEC = {"expr": "heat", "baseline_seconds": 7200, "least_history_seconds": 3600, "recalculate_seconds": 1800}


@pytest.fixture
def start() -> datetime:
    """Return a time with two hours of samples before it: 100 of each, as good as evenly spread."""
    start = prepared(minutes_ago=200)
    feed(start, [float(value % 101) for value in range(240)], step_seconds=30)
    return start + timedelta(minutes=120)


def dynamic(start: datetime, **spec: Any) -> Rule:
    return rule_of(start, "dynamic", severity="high", spec={**SPEC, **spec})


def test_a_value_above_the_percentile_of_the_past_times_the_factor_fires(start: datetime) -> None:
    feed(start, [100.0, 100, 130, 130, 100, 100], step_seconds=30)
    rule = dynamic(start)
    run(start, 0)
    row = ThresholdHistory.objects.get()
    assert row.value == pytest.approx(95 * 1.2, abs=1.5)
    assert (row.labels, row.at, row.why) == ({"host": "a"}, start, "")
    assert Alert.objects.count() == 0
    run(start, 1)
    alert = Alert.objects.get()
    assert (alert.state, alert.value, alert.threshold) == ("firing", 130, row.value)
    assert alert.labels == {"host": "a", "severity": "high", "dynamic_threshold": "true"}
    assert (alert.evidence["threshold"], alert.evidence["expression"]) == (row.value, "heat")
    run(start, 2)
    assert Alert.objects.get().resolved_because == "recovered"
    rule.refresh_from_db()
    assert (rule.health, rule.dynamic.series, rule.dynamic.without) == ("ok", 1, 0)


def test_a_series_with_too_little_past_is_not_judged_and_the_rule_says_so(start: datetime) -> None:
    feed(start, [1e6] * 8, host="new")
    rule = dynamic(start)
    run(start, 0)
    rule.refresh_from_db()
    assert (Alert.objects.count(), rule.health) == (0, "unknown")
    assert rule.last_error.startswith("no threshold yet for 1 of 2 series, which are not judged: host=new: ")
    assert rule.last_error.endswith("h of past, and 1.0 h are needed")
    Rule.objects.filter(pk=rule.pk).update(spec={**SPEC, "threshold": 1000})
    run(start, 1)
    rule.refresh_from_db()
    assert (state_of(host="new"), rule.last_error) == ("firing", "")


def test_thresholds_are_worked_out_when_due_and_kept_where_they_changed(start: datetime) -> None:
    feed(start, [110.0] * 80, step_seconds=30)
    rule = dynamic(start)
    run(start, 0, 29)
    first = DynamicThreshold.objects.get()
    assert (first.calculated_at, first.next_at) == (start, start + timedelta(minutes=30))
    run(start, 30)
    mark = DynamicThreshold.objects.get()
    assert mark.calculated_at == start + timedelta(minutes=30)
    # Half an hour of 110 does not fire, and pushes the percentile up by more than a hundredth.
    new, old = ThresholdHistory.objects.filter(rule=rule)
    assert (new.at, old.at) == (start + timedelta(minutes=30), start)
    assert (new.value, old.value) == (pytest.approx(132), pytest.approx(114, abs=1.5))
    assert stored_thresholds(rule, compiled(rule), start + timedelta(minutes=20)).of({"host": "a"}, 0) == old.value
    Rule.objects.filter(pk=rule.pk).update(spec={**SPEC, "factor": 2})
    run(start, 31)
    assert ThresholdHistory.objects.filter(rule=rule).first().value == pytest.approx(220)


def test_floor_and_ceiling_bound_it_and_a_change_within_them_is_none(start: datetime) -> None:
    feed(start, [50.0] * 80, step_seconds=30)
    dynamic(start, ceiling=60)
    run(start, 0, 30)
    assert [row.value for row in ThresholdHistory.objects.all()] == [60]
    assert DynamicThreshold.objects.get().changed == 0


def test_the_time_its_alerts_ran_is_no_past(start: datetime) -> None:
    feed(start, [200.0] * 60, step_seconds=30)
    rule = dynamic(start)
    run(start, 0)
    assert state_of() == "firing"
    run(start, 30)
    assert [round(row.value) for row in ThresholdHistory.objects.filter(rule=rule)] == [
        pytest.approx(114, abs=3)
    ] * ThresholdHistory.objects.count()
    assert RememberedThresholds()(rule, compiled(rule), start + timedelta(minutes=30)).of({"host": "a"}, 0) == 240


def test_a_threshold_rule_with_the_label_follows_the_past_and_has_its_own_until_then(start: datetime) -> None:
    feed(start, [60.0] * 40, step_seconds=30)
    feed(start, [60.0] * 40, step_seconds=30, host="new")
    rule_of(
        start, "threshold", labels={"dynamic_threshold": "true"}, window_seconds=120,
        spec={"metric_path": "heat", "condition": "greater_than", "threshold": 55},
    )  # fmt: skip
    run(start, 3)
    # A day of past is needed unless the rule says otherwise.
    assert {alert.labels["host"]: alert.threshold for alert in Alert.objects.all()} == {"a": 55, "new": 55}


def test_a_seasonal_rule_has_a_threshold_for_each_hour_of_the_week(start: datetime) -> None:
    feed(start, [1.0] * 8)
    rule = dynamic(start, seasonal=True)
    run(start, 0)
    row = ThresholdHistory.objects.get()
    assert (row.value, len(row.slots), set(row.slots)) == (None, HOURS_OF_WEEK, {None})
    assert "fewer than 2 weeks" in row.why
    rule.refresh_from_db()
    assert "no threshold yet for 1 of 1 series" in rule.last_error


def test_a_series_that_left_the_baseline_has_no_threshold_any_more(start: datetime) -> None:
    feed(start - timedelta(minutes=120), [5.0] * 230, step_seconds=30, host="old")
    rule = dynamic(start)
    run(start, 0)
    assert ThresholdHistory.objects.filter(labels={"host": "old"}).count() == 1
    Rule.objects.filter(pk=rule.pk).update(spec={**SPEC, "baseline_seconds": 3600, "expr": 'heat{host="a"}'})
    run(start, 1)
    newest = ThresholdHistory.objects.filter(labels={"host": "old"}).first()
    assert (newest.value, newest.why) == (None, "nothing is known of its past")


def test_looking_at_a_rule_keeps_nothing_also_where_it_is_not_saved(start: datetime) -> None:
    feed(start, [130.0], step_seconds=30)
    rule = dynamic(start)
    draft = Rule(group=rule.group, name="Draft", kind="dynamic", spec=SPEC)
    for looked_at in (rule, draft):
        (held,) = answer(looked_at, start).held
        assert held.threshold == pytest.approx(114, abs=1.5)
    assert (ThresholdHistory.objects.count(), DynamicThreshold.objects.count()) == (0, 0)
