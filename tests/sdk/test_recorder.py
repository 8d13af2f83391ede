"""Recording: what a service may do to it, and what comes out at a flush."""

import math
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aivillage_observability.buckets import Folded, bounds_for
from aivillage_observability.recorder import MetricRecorder
from aivillage_observability.rows import Row, label_text, metric_name


class Clock:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> MetricRecorder:
    return MetricRecorder(now_ms=clock, labels={"service": "billing", "instance": "host:1"})


def shown(rows: list[Row]) -> list[tuple[str, float, int]]:
    return [(row.metric.name, row.value, row.timestamp_ms) for row in rows]


def test_counters_travel_as_totals_that_begin_with_a_zero(recorder: MetricRecorder, clock: Clock) -> None:
    recorder.record_counter("requests_total")
    recorder.record_counter("requests_total", 2)
    clock.now_ms += 500
    assert shown(recorder.drain()) == [("requests_total", 0.0, 999_999), ("requests_total", 3.0, 1_000_500)]
    recorder.record_counter("requests_total")
    clock.now_ms += 500
    assert shown(recorder.drain()) == [("requests_total", 4.0, 1_001_000)]
    assert shown(recorder.drain()) == [("requests_total", 4.0, 1_001_000)]


def test_gauges_keep_the_time_they_were_recorded(recorder: MetricRecorder, clock: Clock) -> None:
    recorder.record_gauge("queue_depth", 3)
    clock.now_ms += 10
    recorder.record_gauge("queue_depth", 5)
    assert shown(recorder.drain()) == [("queue_depth", 3.0, 1_000_000), ("queue_depth", 5.0, 1_000_010)]
    assert recorder.drain() == []


def test_observations_travel_as_cumulative_buckets(recorder: MetricRecorder) -> None:
    for seconds in (0.004, 0.005, 0.2, 99.0):
        recorder.record_histogram("http_request_duration_seconds", seconds, {"endpoint": "/"})
    rows = [row for row in recorder.drain() if row.timestamp_ms == 1_000_000]
    buckets = {row.labels["le"]: row.value for row in rows if row.metric.name.endswith("_bucket")}
    assert (buckets["0.005"], buckets["0.25"], buckets["2.5"], buckets["+Inf"]) == (2, 3, 3, 4)
    totals = {row.metric.name: row.value for row in rows if "le" not in row.labels}
    assert totals["http_request_duration_seconds_count"] == 4
    assert totals["http_request_duration_seconds_sum"] == pytest.approx(99.209)
    assert {row.labels["endpoint"] for row in rows} == {"/"}


@pytest.mark.parametrize("name", ["handle", "handle_duration", "handle_duration_ms", "handle_ms"])
def test_a_timer_names_its_unit_once(recorder: MetricRecorder, name: str) -> None:
    recorder.record_timer(name, 12.5)
    assert {row.metric.name.rsplit("_", 1)[0] for row in recorder.drain()} == {"handle_duration_ms"}


def test_labels_are_cleaned_and_booleans_are_lower_case(recorder: MetricRecorder) -> None:
    recorder.record_gauge("p2p.mesh-size", 1, {"up.now": True, "none": None, "error": KeyError("k"), "n": 3})
    (row,) = recorder.drain()
    assert row.metric.name == "p2p_mesh_size"
    assert row.labels == {
        "service": "billing", "instance": "host:1", "up_now": "true", "error": "KeyError", "n": "3",
    }  # fmt: skip


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("not to be asked")


BAD_CALLS: list[tuple[str, Callable[[MetricRecorder], None]]] = [
    ("not_a_number", lambda recorder: recorder.record_gauge("g", "many")),  # type: ignore[arg-type]
    ("not_a_number", lambda recorder: recorder.record_counter("c", None)),  # type: ignore[arg-type]
    ("not_a_number", lambda recorder: recorder.record_timer("t", 10**400)),
    ("not_finite", lambda recorder: recorder.record_histogram("h", math.nan)),
    ("not_finite", lambda recorder: recorder.record_gauge("g", math.inf)),
    ("negative_counter", lambda recorder: recorder.record_counter("c", -1)),
]


@pytest.mark.parametrize(("reason", "call"), BAD_CALLS)
def test_what_cannot_be_kept_is_counted_and_never_raises(
    recorder: MetricRecorder, reason: str, call: Callable[[MetricRecorder], None]
) -> None:
    call(recorder)
    assert dict(recorder.dropped) == {reason: 1}
    (row,) = recorder.drain()
    assert (row.metric.name, row.labels["reason"], row.value) == ("sdk_rows_dropped_total", reason, 1)


def test_an_object_of_the_host_is_never_asked_for_its_text(recorder: MetricRecorder) -> None:
    recorder.record_gauge("g", 1, {"who": Hostile()})
    assert recorder.drain()[0].labels["who"] == "Hostile"


def test_memory_is_bounded_by_rows_and_by_series(clock: Clock) -> None:
    rung = threading.Event()
    recorder = MetricRecorder(now_ms=clock, labels={}, max_rows=100, on_half_full=rung.set)
    for number in range(250):
        recorder.record_gauge("g", number)
        recorder.record_counter("c", 1, {"n": number})
    recorder.record_histogram("h", 1)
    assert rung.is_set()
    assert dict(recorder.dropped) == {"buffer_full": 150, "too_many_series": 151}
    assert sum(row.metric.kind == "gauge" for row in recorder.drain()) == 100


def test_many_threads_lose_no_count(recorder: MetricRecorder) -> None:
    def work() -> None:
        for _ in range(2000):
            recorder.record_counter("c")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.drain()[-1].value == 8000


@given(st.text())
def test_any_text_becomes_a_legal_metric_name(raw: str) -> None:
    name = metric_name(raw)
    assert name
    assert not name[0].isdigit()
    assert all(character.isascii() and (character.isalnum() or character in "_:") for character in name)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32)), st.sampled_from(["a_ms", "a_mb", "a"]))
def test_folding_equals_counting(values: list[float], name: str) -> None:
    bounds = bounds_for(name)
    folded = Folded(bounds)
    for value in values:
        folded.observe(value)
    wanted = [sum(value <= bound for value in values) for bound in (*bounds, math.inf)]
    assert [count for _, count in folded.cumulative()] == wanted


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (False, "false"),
        (1.5, "1.5"),
        (Path("/a"), "/a"),
        (uuid.UUID(int=0), str(uuid.UUID(int=0))),
        (OSError, "OSError"),
    ],
)
def test_values_of_labels_become_text(value: object, text: str) -> None:
    assert label_text(value) == text
