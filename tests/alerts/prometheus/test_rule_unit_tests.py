"""Rule unit tests: own files run here and, where it is installed, through Prometheus' own tool for the same verdict."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from alerts.engine.prometheus.rule_files import read_rule_file
from alerts.engine.prometheus.unit_tests.choosing import BadPattern, chosen_of
from alerts.engine.prometheus.unit_tests.files import read_test_file
from alerts.engine.prometheus.unit_tests.running import Outcome, Rules, run_tests

PROMTOOL = shutil.which("promtool")
RULES = """
groups:
  - name: second
    rules:
      - record: doubled
        expr: base * 2
  - name: first
    rules:
      - record: base
        expr: sum by (job) (load)
        labels: {from: rule}
      - alert: Busy
        expr: load > 5
        for: 2m
        keep_firing_for: 2m
        labels: {severity: page, dc: "{{ $externalLabels.dc }}", empty: ""}
        annotations: {summary: "{{ $labels.host }} at {{ $value | humanize }} ({{ $externalURL }})"}
      - alert: Busy
        expr: load > 8
      - record: asked
        expr: count_over_time(load[3m:])
      - alert: Watching
        expr: count by (alertname) (ALERTS{alertstate="firing"}) > 1
"""
SERIES = """
      - {series: 'load{host="a",job="j"}', values: '0 6 7 8 9 1 _ 3 stale'}
      - {series: 'load{host="b",job="j"}', values: '1x4 9x2 2'}
"""


def whole_file(cases: str, more: str) -> str:
    return (
        f"rule_files: [rules.yml]\nevaluation_interval: 1m\n{more}\ntests:\n  - interval: 1m\n"
        "    external_labels: {dc: x}\n"
        f"    external_url: http://p\n    input_series:{SERIES}{cases}"
    )


def ran(text: str, rules: str = RULES) -> list[Outcome]:
    file = read_test_file(text)
    assert not file.mistakes, file.mistakes
    found = read_rule_file(rules)
    errors = [f"rules.yml: {mistake}" for mistake in found.mistakes]
    return list(run_tests(file, Rules(found.groups, errors), chosen_of(file, [])))


def busy(host: str, value: str) -> str:
    return (
        f"{{exp_labels: {{severity: page, dc: x, host: {host}, job: j}}, "
        f"exp_annotations: {{summary: '{host} at {value} (http://p)'}}}}"
    )


def alert(at: str, *expected: str, name: str = "Busy") -> str:
    return f"      - {{eval_time: {at}, alertname: {name}, exp_alerts: [{', '.join(expected)}]}}\n"


def sample(expr: str, at: str, *expected: str) -> str:
    return f"      - {{expr: '{expr}', eval_time: {at}, exp_samples: [{', '.join(expected)}]}}\n"


HIGHER_A, HIGHER_B = "{exp_labels: {host: a, job: j}}", "{exp_labels: {host: b, job: j}}"
GOOD = whole_file(
    "    alert_rule_test:\n"
    + alert("2m59s")
    + alert("3m", busy("a", "8"))
    + alert("4m", busy("a", "9"), HIGHER_A)
    # Over since 5m, and kept firing until 7m.
    + alert("6m30s", busy("a", "9"), HIGHER_B)
    + alert("7m", busy("b", "9"), HIGHER_B)
    + alert("8m", busy("b", "9"))
    + alert("4m", "{exp_labels: {alertname: Watching}}", name="Watching")
    + alert("3m", name="Nobody")
    + "    promql_expr_test:\n"
    + sample("base", "1m", '{labels: \'base{from="rule",job="j"}\', value: 7}')
    + sample("doubled", "3m", '{labels: \'doubled{from="rule",job="j"}\', value: 18}')
    + sample(
        'ALERTS{alertstate="pending"}',
        "2m",
        '{labels: \'ALERTS{alertname="Busy",alertstate="pending",dc="x",host="a",job="j",severity="page"}\', value: 1}',
    )
    + sample("max(ALERTS_FOR_STATE)", "4m", "{value: 240}")
    + sample('ALERTS{alertstate="firing",host="a",severity=""}', "5m")
    + sample("time()", "5m30s", "{value: 330}")
    + sample("load", "8m", '{labels: \'load{host="b",job="j"}\', value: 2}'),
    "group_eval_order: [first, second]",
)


def test_alerts_and_series_come_and_go_as_the_rules_say() -> None:
    [outcome] = ran(GOOD)
    assert not outcome.errors, "\n".join(outcome.errors)
    assert (outcome.passed, outcome.cases) == (15, 15)


WRONG = whole_file(
    "    alert_rule_test:\n"
    + alert("3m", busy("a", "9"))
    + "    promql_expr_test:\n"
    + sample("base", "1m", '{labels: \'base{from="rule",job="j"}\', value: 7.5}')
    + sample("load +", "1m")
    + sample("load[5m]", "1m")
    + sample("load", "1m", "{labels: 'load{', value: 1}"),
    "",
)


def test_what_is_not_so_is_told_with_what_was_expected_and_what_came() -> None:
    [outcome] = ran(WRONG)
    assert (outcome.passed, outcome.cases) == (0, 5)
    alerts, value, syntax, kind, labels = outcome.errors
    assert "alertname: Busy, time: 3m" in alerts
    assert 'summary="a at 9 (http://p)"' in alerts.split("got:")[0]
    assert 'summary="a at 8 (http://p)"' in alerts.split("got:")[1]
    assert 'exp: {__name__="base", from="rule", job="j"} 7.5E+00' in value
    assert 'got: {__name__="base", from="rule", job="j"} 7E+00' in value
    assert "parse error" in syntax
    assert "rule result is not a vector or scalar" in kind
    assert "labels cannot be read" in labels


def one_rule(*rules: str, group: str = "") -> str:
    return f"groups:\n  - name: g\n{group}    rules:\n" + "".join(f"      - {rule}\n" for rule in rules)


TWO = "      - {series: 'm{a=\"1\"}', values: '1x5'}\n      - {series: 'm{a=\"2\"}', values: '2x5'}\n"


def small(cases: str, more: str = "") -> str:
    return f"rule_files: [rules.yml]\ntests:\n  - input_series:\n{TWO}{more}{cases}"


PASSES = "    promql_expr_test:\n" + sample("vector(1)", "2m", "{value: 1}")
PROBLEMS = [
    (one_rule("{record: r, expr: 'm + on(b) m'}"), PASSES, "rule: r, time: 0s, err: found duplicate series"),
    (
        one_rule("{record: r, expr: m, labels: {a: ''}}"),
        PASSES,
        "vector contains metrics with the same labelset after applying rule labels",
    ),
    (
        one_rule("{alert: A, expr: m, labels: {a: x}}"),
        PASSES,
        "vector contains metrics with the same labelset after applying alert labels",
    ),
    (one_rule("{alert: A, expr: m}", group="    limit: 1\n"), PASSES, "exceeded limit of 1 with 2 alerts"),
    (one_rule("{record: r, expr: m}", group="    limit: 1\n"), PASSES, "exceeded limit of 1 with 2 series"),
    (one_rule("{record: r, expr: 'm +'}"), PASSES, "could not parse expression"),
    (one_rule("{record: r, expr: 1}", "{record: r, expr: 2}"), PASSES, "duplicate sample for timestamp"),
    (one_rule("{record: r, expr: '{a=\"1\"}[5m]'}"), PASSES, "rule result is not a vector or scalar"),
    (
        one_rule("{alert: A, expr: 1}"),
        "    alert_rule_test:\n      - {eval_time: 1m}\n",
        "misses required attribute alertname",
    ),
]


@pytest.mark.parametrize(("rules", "cases", "said"), PROBLEMS)
def test_rules_that_cannot_be_evaluated_fail_the_test(rules: str, cases: str, said: str) -> None:
    [outcome] = ran(small(cases), rules)
    assert said in "\n".join(outcome.errors)
    assert outcome.passed == 0


FINE = [
    # The same value at the same time from two rules is no conflict.
    (
        one_rule("{record: r, expr: 1}", "{record: r, expr: 1}"),
        "    promql_expr_test:\n" + sample("r", "1m", "{labels: r, value: 1}"),
    ),
    # A recorded series that ends is marked as ended.
    (
        one_rule("{record: r, expr: 'm and on() (vector(time()) < 60)'}"),
        "    promql_expr_test:\n" + sample("r", "1m30s"),
    ),
    (
        one_rule("{record: r, expr: 'count_over_time(m[10m:])'}"),
        "    promql_expr_test:\n" + sample('r{a="1"}', "4m", "{labels: 'r{a=\"1\"}', value: 5}"),
    ),
    # Before the time of a sample has come, rules do not see it; queries at the end do.
    (
        one_rule("{record: r, expr: 'm offset -2m'}"),
        "    promql_expr_test:\n"
        + sample("r - m offset -2m", "2m", "{labels: '{a=\"1\"}', value: 0}", "{labels: '{a=\"2\"}', value: 0}"),
    ),
    (
        one_rule("{alert: A, expr: 'absent(nothing{x=\"y\"})'}"),
        "    alert_rule_test:\n" + alert("0", "{exp_labels: {x: y}}", name="A"),
    ),
    (
        one_rule("{alert: A, expr: 'm > 1', for: 1m}"),
        "    alert_rule_test:\n" + alert("59s", name="A") + alert("1m", "{exp_labels: {a: '2'}}", name="A"),
    ),
]


@pytest.mark.parametrize(("rules", "cases"), FINE)
def test_what_holds_in_prometheus_holds_here(rules: str, cases: str) -> None:
    [outcome] = ran(small(cases), rules)
    assert not outcome.errors, "\n".join(outcome.errors)


def verdict(folder: Path, rules: str, tests: str) -> bool:
    (folder / "rules.yml").write_text(rules)
    (folder / "tests.yml").write_text(tests)
    assert PROMTOOL is not None
    found = subprocess.run([PROMTOOL, "test", "rules", "tests.yml"], cwd=folder, capture_output=True, check=False)
    return found.returncode == 0


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize(
    ("rules", "tests"),
    [
        (RULES, GOOD),
        (RULES, WRONG),
        *((rules, small(cases)) for rules, cases, _ in PROBLEMS if "record: r, expr: 2" not in rules),
        *((rules, small(cases)) for rules, cases in FINE),
    ],
)
def test_prometheus_own_tool_says_the_same(tmp_path: Path, rules: str, tests: str) -> None:
    assert verdict(tmp_path, rules, tests) is all(one.ok for one in ran(tests, rules))


def test_a_start_time_moves_everything() -> None:
    text = (
        "tests:\n  - start_timestamp: 2024-01-01T00:00:00+01:00\n    input_series: [{series: m, values: 1+1x3}]\n"
        "    promql_expr_test:\n"
        + sample("timestamp(m)", "1m", "{value: 1704063660}")
        + sample("m @ 1704063600", "3m", "{labels: m, value: 1}")
    )
    [outcome] = ran(text)
    assert not outcome.errors


@pytest.mark.parametrize(
    ("value", "fuzzy", "holds"),
    [
        ("3", False, True),
        ("2.9999999999999996", False, False),
        ("2.9999999999999996", True, True),
        ("3.0000000000000004", True, True),
        ("2.9999999999999987", True, False),
    ],
)
def test_a_fuzzy_comparison_forgives_the_last_bit(value: str, fuzzy: bool, holds: bool) -> None:
    text = (
        f"fuzzy_compare: {str(fuzzy).lower()}\ntests:\n  - input_series: [{{series: m, values: '{value}'}}]\n"
        "    promql_expr_test:\n" + sample("m", "0", "{labels: m, value: 3}")
    )
    [outcome] = ran(text)
    assert outcome.ok is holds


def test_histograms_are_compared_whole() -> None:
    text = (
        (
            "tests:\n  - input_series: [{series: m, values: '{{schema:1 sum:4 count:5 buckets:[2 3] offset:1}}x2'}]\n"
            "    promql_expr_test:\n"
            + sample("m", "0", "{labels: m, histogram: '{{schema:1 sum:4 count:5 buckets:[2 3] offset:1}}'}")
            + sample("m", "0", "{labels: m, histogram: '{{schema:1 sum:4 count:5 buckets:[2 4] offset:1}}'}")
            + sample("m", "0", "{labels: m, histogram: '1'}")
        )
        .replace("'{{", '"{{')
        .replace("}}'}", '}}"}')
        .replace("}}x2'", '}}x2"')
    )
    [outcome] = ran(text)
    assert (outcome.passed, outcome.cases) == (1, 3)
    assert 'got: {__name__="m"} {{schema:1 count:5 sum:4 offset:1 buckets:[2 3]}}' in outcome.errors[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("testz: []\n", "1:1: field testz not found in a test file"),
        ("tests:\n  - {start_timestamp: yesterday}\n", 'cannot parse "yesterday" to a valid timestamp'),
        ("tests:\n  - {start_timestamp: 2024-01-01}\n", 'cannot parse "2024-01-01" to a valid timestamp'),
        ("group_eval_order: [a, b, a]\n", "group name repeated in evaluation order: a"),
        ("evaluation_interval: soon\n", "1:22: not a valid duration string: 'soon'"),
        ("fuzzy_compare: maybe\n", "1:16: cannot unmarshal !!str `maybe` into true or false"),
        (
            "tests:\n  - promql_expr_test: [{expr: m, exp_samples: [{value: many}]}]\n",
            "cannot unmarshal !!str `many` into a number",
        ),
    ],
)
def test_what_is_wrong_with_a_test_file_is_said_with_its_place(text: str, said: str) -> None:
    assert said in "\n".join(map(str, read_test_file(text).mistakes))


def test_numbers_are_read_as_yaml_has_them() -> None:
    values = "1, -2.5, 1e3, .5, .inf, -.Inf, .NaN, 0x10, 1_000"
    cases = ", ".join(f"{{value: {one.strip()}}}" for one in values.split(","))
    file = read_test_file(f"tests:\n  - promql_expr_test: [{{expr: m, exp_samples: [{cases}]}}]\n")
    found: list[Any] = [one.value for one in file.tests[0].queries[0].expected]
    assert str(found) == "[1.0, -2.5, 1000.0, 0.5, inf, -inf, nan, 16.0, 1000.0]"


def test_tests_are_chosen_by_name() -> None:
    file = read_test_file("tests: [{name: one}, {name: two}, {}]\n")
    assert chosen_of(file, ["tw", "^one$"]) == [0, 1]
    with pytest.raises(BadPattern, match="no regular expression"):
        chosen_of(file, ["("])


def test_a_test_that_would_take_for_ever_is_refused() -> None:
    text = "evaluation_interval: 1s\ntests:\n  - promql_expr_test:\n" + sample("vector(1)", "1y", "{value: 1}")
    [outcome] = ran(text)
    assert "more than 200000 times" in outcome.errors[0]


def test_input_that_meets_what_a_rule_wrote_is_refused() -> None:
    text = small(PASSES, "      - {series: r, values: '_ 5'}\n")
    [outcome] = ran(text, one_rule("{record: r, expr: 1}"))
    assert "duplicate sample for timestamp" in outcome.errors[0]
