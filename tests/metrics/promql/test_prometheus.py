import pytest

from bench import peers, promql_diff
from bench.harness import Report

QUERIES = 60


@pytest.mark.skipif(promql_diff.PROGRAM not in peers.installed(), reason="prometheus is not installed")
def test_the_engine_answers_as_a_running_prometheus_does():
    report = Report("promql_diff", quick=True)
    promql_diff.compare(report, QUERIES)
    assert report.figures["queries answered alike"]["value"] == QUERIES


def test_generated_queries_are_the_same_every_time():
    assert list(promql_diff.queries(40)) == list(promql_diff.queries(40))


@pytest.mark.parametrize(
    ("mine", "other", "expected"),
    [
        (None, None, True),
        (None, {}, False),
        ({frozenset(): {1: 2.0}}, {frozenset(): {1: 2.0 + 1e-9}}, True),
        ({frozenset(): {1: 2.0}}, {frozenset(): {1: 2.1}}, False),
        ({frozenset(): {1: 2.0}}, {frozenset(): {2: 2.0}}, False),
    ],
)
def test_answers_agree_in_series_instants_and_values_or_in_failing(mine, other, expected):
    assert promql_diff.agree(mine, other) is expected
