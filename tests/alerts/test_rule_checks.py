"""What is wrong with a rule about samples is said by key, with what to do."""

from typing import Any

import pytest

from alerts.rules.queries import compiled_spec
from alerts.rules.validation import rule_problems
from metrics.promql.questions import only_selector

PATH = {"metric_path": "heat", "condition": "gt", "threshold": 80}


def problem(kind: str, spec: Any, **more: Any) -> str:
    return rule_problems({"kind": kind, "name": "x", "spec": spec, **more}).get("spec", "")


@pytest.mark.parametrize(
    ("kind", "spec", "text"),
    [
        ("promql", {"expr": "up", "levels": [{"severity": "critical", "threshold": 1}]}, "expr: With levels"),
        ("promql", {"expr": "a > bool 1", "recovery_threshold": 0}, "expr: With levels or a recovery threshold"),
        (
            "promql",
            {"expr": "a > 80", "levels": [{"severity": "medium", "threshold": 90}]},
            "medium stands there twice",
        ),
        ("promql", {"expr": "a > 80", "levels": [{"severity": "high", "threshold": 70}]}, "its threshold is above 80"),
        ("promql", {"expr": "a > 80", "levels": [{"threshold": 90}]}, "levels: Level 1: severity is missing."),
        ("promql", {"expr": "a > 80", "levels": [{"severity": "x", "threshold": 9}]}, "is one of critical, high"),
        ("promql", {"expr": "a > 80", "levels": [{"severity": "low", "bar": 9}]}, "Level 1: unknown key bar"),
        ("promql", {"expr": "a > 80", "levels": "high"}, "levels is a list of maps"),
        ("promql", {"expr": "a > 80", "recovery_threshold": 90}, "it recovers below that, not at 90"),
        ("promql", {"expr": "a > 80", "recovery_threshold": "low"}, "recovery_threshold is not a number."),
        ("promql", {"expr": "a > 80", "no_data": "panic"}, "no_data is one of unknown, alert, ok, keep; not 'panic'."),
        ("promql", {"expr": "absent(a)", "no_data": "alert"}, "no_data: For alert the query ends in a comparison"),
        ("promql", {"expr": 7}, "expr is a text."),
        ("threshold", {**PATH, "condition": "above"}, "condition is one of greater_than"),
        ("threshold", {**PATH, "condition": "equals", "recovery_threshold": 3}, "a side to be worse on"),
        ("threshold", {**PATH, "threshold": None}, "threshold is not a number."),
        ("absence", {}, "selector is missing."),
        ("absence", {"selector": "rate(up[5m])"}, "selector: It is one selector without a window"),
        ("absence", {"selector": "up offset 5m"}, "selector: It is one selector"),
        ("absence", {"selector": "up{"}, "selector: "),
        ("absence", {"selector": "up", "missing_seconds": 5}, "missing_seconds is a whole number from 10 to 86400 sec"),
        ("absence", {"selector": "up", "missing_seconds": 60.5}, "whole number"),
        ("absence", {"selector": "up", "missing_seconds": 7200}, "look_back_seconds: It is longer than the 7200 s"),
        ("absence", {"selector": "up", "absent": "yes"}, "absent is true or false."),
        ("dynamic", {}, "metric_path: Give either"),
        ("dynamic", {"expr": "a", "metric_path": "a"}, "metric_path: Give either"),
        ("dynamic", {"expr": "a", "percentile": 101}, "percentile is a number from 0 to 100 percent, not 101."),
        ("dynamic", {"expr": "a", "floor": 5, "ceiling": 4}, "floor: It is at most the ceiling, 4."),
        ("dynamic", {"expr": "a", "condition": "equals"}, "greater_than or less_than"),
        ("dynamic", {"expr": "sum("}, "expr: "),
    ],
)
def test_a_bad_key_is_named_with_what_to_do(kind: str, spec: dict[str, Any], text: str) -> None:
    assert text in problem(kind, spec)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("promql", {"expr": "a > 80", "levels": [{"severity": "page", "threshold": 90, "recovery_threshold": 85}]}),
        ("promql", {"expr": "a > 80", "no_data": "alert", "recovery_threshold": 70}),
        ("threshold", {**PATH, "denominator_path": "all.rate", "levels": [{"severity": "high", "threshold": 90}]}),
        ("threshold", {**PATH, "condition": "<=", "recovery_threshold": 90}),
        ("absence", {"selector": '{job=~"node.*"}', "missing_seconds": 60, "absent": False}),
        ("dynamic", {"metric_path": "a.p95", "condition": "less_than", "percentile": 5, "factor": 0.8}),
        ("dynamic", {"expr": "avg by (host) (a)", "seasonal": True, "floor": 1, "ceiling": 9, "no_data": "keep"}),
    ],
)
def test_a_good_spec_has_no_problems(kind: str, spec: dict[str, Any]) -> None:
    assert problem(kind, spec) == ""


@pytest.mark.parametrize("condition", ["gt", "lt", "eq", "ne", "gte", "lte", ">", "equals", "greater_than_or_equal"])
def test_all_conditions_of_a_threshold_compile(condition: str) -> None:
    assert problem("threshold", {**PATH, "condition": condition}) == ""


def test_levels_ask_the_left_side_once() -> None:
    plain = compiled_spec("promql", {"expr": "sum by (host) (a) > 80"}, 300)
    levels = [{"severity": "critical", "threshold": 95}]
    graded = compiled_spec("promql", {"expr": "sum by (host) (a) > 80", "levels": levels}, 300)
    assert (plain.asked, graded.asked) == ("sum by (host) (a) > 80", "sum by (host) (a)")
    assert graded.query == plain.query


def test_the_severity_of_the_rule_counts_as_a_level() -> None:
    spec = {"expr": "a > 80", "levels": [{"severity": "critical", "threshold": 95}]}
    assert "critical stands there twice" in problem("promql", spec, severity="critical")
    assert "its threshold is above" in problem("promql", {**spec, "levels": [{"severity": "high", "threshold": 70}]})


def test_a_threshold_with_the_label_has_one_threshold() -> None:
    spec = {**PATH, "levels": [{"severity": "high", "threshold": 90}]}
    assert "leave levels" in problem("threshold", spec, labels={"dynamic_threshold": "true"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("up", ("up", {})),
        ('up{job="a", host=~"b.*", env=""}', ("up", {"job": "a"})),
        ('{__name__="up", job="a"}', ("up", {"job": "a"})),
        ('{job="a"}', ("", {"job": "a"})),
        ("up[5m]", None),
        ("up @ 5", None),
        ("sum(up)", None),
        ("(up)", None),
    ],
)
def test_one_selector_is_told_from_any_other_query(text: str, found: object) -> None:
    assert only_selector(text) == found
