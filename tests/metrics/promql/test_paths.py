"""Metric paths: what each suffix means for each type of metric, and that every answer is PromQL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.promql.parsing import parse
from metrics.promql.paths import (
    JOINED,
    QUANTILES,
    SUFFIXES,
    BadPath,
    Kind,
    MetricPath,
    Question,
    duration_text,
    kind_of,
    over_samples,
    parse_path,
    promql_of,
)
from metrics.promql.questions import selectors_of

KINDS: list[Kind] = ["counter", "gauge", "histogram", "native", "summary", "unknown"]
KEPT = ["0", "0.5", "0.9", "0.95", "0.99", "1", "odd"]


def asked(metric: str, what: str, kind: Kind, by: tuple[str, ...] = (), window_seconds: int = 300) -> str:
    """Return the PromQL of one question."""
    path = MetricPath(metric, "", "" if what == "value" else what)
    return promql_of(Question(path, by, window_seconds), kind, KEPT)


@pytest.mark.parametrize(
    ("kind", "what", "plain", "grouped"),
    [
        ("gauge", "value", "m", "avg by (host) (m)"),
        ("gauge", "rate", "deriv(m[5m])", "sum by (host) (deriv(m[5m]))"),
        ("gauge", "increase", "delta(m[5m])", "sum by (host) (delta(m[5m]))"),
        ("gauge", "avg", "avg_over_time(m[5m])", "avg by (host) (avg_over_time(m[5m]))"),
        ("gauge", "min", "min_over_time(m[5m])", "min by (host) (min_over_time(m[5m]))"),
        ("gauge", "max", "max_over_time(m[5m])", "max by (host) (max_over_time(m[5m]))"),
        ("gauge", "sum", "sum_over_time(m[5m])", "sum by (host) (sum_over_time(m[5m]))"),
        ("gauge", "count", "count_over_time(m[5m])", "sum by (host) (count_over_time(m[5m]))"),
        ("gauge", "last", "last_over_time(m[5m])", "avg by (host) (last_over_time(m[5m]))"),
        ("gauge", "p95", "quantile_over_time(0.95, m[5m])", "max by (host) (quantile_over_time(0.95, m[5m]))"),
        ("unknown", "value", "m", "avg by (host) (m)"),
        ("unknown", "rate", "rate(m[5m])", "sum by (host) (rate(m[5m]))"),
        ("unknown", "increase", "increase(m[5m])", "sum by (host) (increase(m[5m]))"),
        ("unknown", "p50", "quantile_over_time(0.5, m[5m])", "max by (host) (quantile_over_time(0.5, m[5m]))"),
        ("counter", "value", "m", "sum by (host) (m)"),
        ("counter", "last", "last_over_time(m[5m])", "sum by (host) (last_over_time(m[5m]))"),
        ("counter", "count", "count_over_time(m[5m])", "sum by (host) (count_over_time(m[5m]))"),
        ("counter", "rate", "rate(m[5m])", "sum by (host) (rate(m[5m]))"),
        ("counter", "avg", "rate(m[5m])", "sum by (host) (rate(m[5m]))"),
        ("counter", "increase", "increase(m[5m])", "sum by (host) (increase(m[5m]))"),
        ("counter", "sum", "increase(m[5m])", "sum by (host) (increase(m[5m]))"),
        ("counter", "max", "max_over_time(rate(m[5m])[5m:15s])", "max_over_time(sum by (host) (rate(m[5m]))[5m:15s])"),
        ("counter", "min", "min_over_time(rate(m[5m])[5m:15s])", "min_over_time(sum by (host) (rate(m[5m]))[5m:15s])"),
        ("counter", "p99", "quantile_over_time(0.99, rate(m[5m])[5m:15s])",
         "quantile_over_time(0.99, sum by (host) (rate(m[5m]))[5m:15s])"),
        ("histogram", "value", "sum(rate(m_sum[5m])) / sum(rate(m_count[5m]))",
         "sum by (host) (rate(m_sum[5m])) / sum by (host) (rate(m_count[5m]))"),
        ("histogram", "avg", "sum(rate(m_sum[5m])) / sum(rate(m_count[5m]))",
         "sum by (host) (rate(m_sum[5m])) / sum by (host) (rate(m_count[5m]))"),
        ("histogram", "rate", "sum(rate(m_count[5m]))", "sum by (host) (rate(m_count[5m]))"),
        ("histogram", "increase", "sum(increase(m_count[5m]))", "sum by (host) (increase(m_count[5m]))"),
        ("histogram", "count", "sum(increase(m_count[5m]))", "sum by (host) (increase(m_count[5m]))"),
        ("histogram", "sum", "sum(increase(m_sum[5m]))", "sum by (host) (increase(m_sum[5m]))"),
        ("histogram", "min", "histogram_quantile(0, sum by (le) (rate(m_bucket[5m])))",
         "histogram_quantile(0, sum by (le, host) (rate(m_bucket[5m])))"),
        ("histogram", "max", "histogram_quantile(1, sum by (le) (rate(m_bucket[5m])))",
         "histogram_quantile(1, sum by (le, host) (rate(m_bucket[5m])))"),
        ("histogram", "p95", "histogram_quantile(0.95, sum by (le) (rate(m_bucket[5m])))",
         "histogram_quantile(0.95, sum by (le, host) (rate(m_bucket[5m])))"),
        ("native", "value", "histogram_avg(sum(rate(m[5m])))", "histogram_avg(sum by (host) (rate(m[5m])))"),
        ("native", "rate", "histogram_count(sum(rate(m[5m])))", "histogram_count(sum by (host) (rate(m[5m])))"),
        ("native", "increase", "histogram_count(sum(increase(m[5m])))",
         "histogram_count(sum by (host) (increase(m[5m])))"),
        ("native", "sum", "histogram_sum(sum(increase(m[5m])))", "histogram_sum(sum by (host) (increase(m[5m])))"),
        ("native", "max", "histogram_quantile(1, sum(rate(m[5m])))",
         "histogram_quantile(1, sum by (host) (rate(m[5m])))"),
        ("native", "p90", "histogram_quantile(0.9, sum(rate(m[5m])))",
         "histogram_quantile(0.9, sum by (host) (rate(m[5m])))"),
        ("summary", "value", "m", "max by (host) (m)"),
        ("summary", "p50", 'm{quantile="0.5"}', 'max by (host) (m{quantile="0.5"})'),
        ("summary", "max", 'm{quantile="1"}', 'max by (host) (m{quantile="1"})'),
        ("summary", "avg", "sum(rate(m_sum[5m])) / sum(rate(m_count[5m]))",
         "sum by (host) (rate(m_sum[5m])) / sum by (host) (rate(m_count[5m]))"),
        ("summary", "rate", "sum(rate(m_count[5m]))", "sum by (host) (rate(m_count[5m]))"),
    ],
)  # fmt: skip
def test_a_question_becomes_what_its_type_of_metric_can_answer(kind: Kind, what: str, plain: str, grouped: str) -> None:
    assert (asked("m", what, kind), asked("m", what, kind, ("host",))) == (plain, grouped)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", sorted(JOINED))
@pytest.mark.parametrize("by", [(), ("host",), ("host", "odd.label")])
@pytest.mark.parametrize("metric", ["m", "http.server.duration"])
def test_every_question_of_every_type_is_promql(kind: Kind, what: str, by: tuple[str, ...], metric: str) -> None:
    for window_seconds in (1, 90, 3600):
        assert parse(asked(metric, what, kind, by, window_seconds)).depth >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_matchers_reach_every_part_of_a_metric(kind: Kind) -> None:
    for what in JOINED:
        path = parse_path('m{a="x}\\"", b=~"y",}' + ("" if what == "value" else f".{what}"))
        query = promql_of(Question(path, ("host",)), kind, KEPT)
        assert query.count('a="x}\\""') == len(selectors_of(query))


def test_a_summary_says_which_quantiles_it_keeps() -> None:
    with pytest.raises(BadPath, match=r"m is a summary and keeps 0\.5, 0\.9; 0\.95 was not measured"):
        promql_of(Question(parse_path("m.p95")), "summary", ["0.9", "0.5"])
    with pytest.raises(BadPath, match="keeps no quantiles"):
        promql_of(Question(parse_path("m.p95")), "summary")


def test_a_question_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadPath, match="Unknown question p42"):
        promql_of(Question(MetricPath("m", "", "p42")), "gauge")
    with pytest.raises(BadPath, match="at least a second"):
        promql_of(Question(MetricPath("m"), (), 0), "gauge")


@pytest.mark.parametrize("text", ["", "a b", "a.", "a.P95", "1a", 'm{a="}', "m{}{}", "a.b.c"])
def test_what_is_no_path_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadPath, match="metric path"):
        parse_path(text)


def test_an_unknown_suffix_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(BadPath, match=r"Unknown suffix \.p42; known are avg, count, increase, .*, rate, sum"):
        parse_path("a.p42")


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_a_rule_reads_the_same_grammar_over_samples(suffix: str) -> None:
    path = parse_path('m{a="b"}' + (f".{suffix}" if suffix else ""))
    query = over_samples(path, 300)
    assert 'm{a="b"}[300s]' in query
    assert parse(query).depth >= 2


@pytest.mark.parametrize(
    ("metric", "declared", "names", "expected"),
    [
        ("cpu", "gauge", {"cpu"}, ("gauge", "cpu")),
        ("cpu", "", {"cpu"}, ("unknown", "cpu")),
        ("errors_total", "", {"errors_total"}, ("counter", "errors_total")),
        ("errors", "counter", {"errors"}, ("counter", "errors")),
        ("d", "histogram", {"d_bucket", "d_sum", "d_count"}, ("histogram", "d")),
        ("d", "", {"d_bucket", "d_sum", "d_count"}, ("histogram", "d")),
        ("d_bucket", "", {"d_bucket"}, ("histogram", "d")),
        ("d_count", "histogram", {"d_bucket", "d_sum", "d_count"}, ("counter", "d_count")),
        ("d_sum", "", {"d_sum", "d_count"}, ("counter", "d_sum")),
        ("d", "histogram", {"d"}, ("native", "d")),
        ("d", "histogram", {"d", "d_bucket"}, ("native", "d")),
        ("d", "summary", {"d", "d_sum", "d_count"}, ("summary", "d")),
        ("d_bucket", "", set(), ("unknown", "d_bucket")),
        ("row_count", "gauge", {"row_count"}, ("gauge", "row_count")),
    ],
)
def test_a_metric_is_what_it_was_declared_and_what_is_stored_of_it(
    metric: str, declared: str, names: set[str], expected: tuple[Kind, str]
) -> None:
    assert kind_of(metric, declared, names) == expected


@given(st.integers(1, 10**7))
def test_a_duration_is_read_back_as_what_it_was(seconds: int) -> None:
    query = f"m[{duration_text(seconds)}]"
    assert f"range_ms={seconds * 1000}" in repr(parse(query).root)


def test_every_quantile_is_a_suffix_and_can_be_joined() -> None:
    assert set(QUANTILES) <= set(SUFFIXES) & set(JOINED)
