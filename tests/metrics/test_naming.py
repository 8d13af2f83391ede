"""The linter says what breaks the conventions, and is silent about what keeps them."""

import pytest

from metrics.naming import MANY_VALUES, MetricFacts, advice_on


def codes(name: str, kind: str = "untyped", **more: object) -> list[str]:
    return [advice.code for advice in advice_on(MetricFacts(name, kind, **{"help": "Said.", **more}))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("http_requests_total", "counter"),
        ("process_start_time_seconds", "gauge"),
        ("http_request_duration_seconds_bucket", "histogram"),
        ("http_request_duration_seconds_sum", "summary"),
        ("disk_used_ratio", "gauge"),
        ("up", "untyped"),
    ],
)
def test_what_keeps_the_conventions_is_left_alone(name: str, kind: str) -> None:
    assert codes(name, kind) == []


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("http_requests", "counter", "counter_total"),
        ("queue_total", "gauge", "only_counters_total"),
        ("rows_count", "gauge", "reserved_suffix"),
        ("response_time_ms", "gauge", "base_unit"),
        ("memory_mb", "gauge", "base_unit"),
        ("cpu_usage_percent", "gauge", "base_unit"),
        ("wait_milliseconds_total", "counter", "base_unit"),
        ("requestCount", "untyped", "camel_case"),
        ("job:requests:rate5m", "gauge", "colon"),
        ("queue_gauge", "gauge", "type_in_name"),
    ],
)
def test_each_break_of_a_name_is_told(name: str, kind: str, code: str) -> None:
    assert code in codes(name, kind)


def test_a_metric_nobody_explained_is_told() -> None:
    assert codes("up_seconds", "gauge", help="") == ["no_help"]


def test_a_unit_belongs_into_the_name() -> None:
    assert codes("wait", "gauge", unit="seconds") == ["unit_suffix"]
    assert codes("wait_seconds", "gauge", unit="seconds") == []


def test_a_recording_rule_may_have_colons_and_no_help() -> None:
    assert codes("job:requests:rate5m", "gauge", recorded=True, help="") == []


@pytest.mark.parametrize(
    ("labels", "kind", "found"),
    [
        ({"user_id": 3}, "gauge", ["unbounded_label"]),
        ({"path": MANY_VALUES + 1}, "gauge", ["many_values"]),
        ({"path": MANY_VALUES}, "gauge", []),
        ({"le": MANY_VALUES + 1}, "histogram", []),
        ({"le": 3}, "gauge", ["le_label"]),
        ({"quantile": 3}, "gauge", ["quantile_label"]),
        ({"hostName": 3}, "gauge", ["camel_case_label"]),
        ({"__name__": 1000}, "gauge", []),
    ],
)
def test_labels_that_break_the_conventions_are_told(labels: dict[str, int], kind: str, found: list[str]) -> None:
    assert codes("wait_seconds", kind, labels=labels) == found
