"""A selection of many series is worked on in parts, on threads, and comes out as if it had been read at once."""

import threading

import numpy as np
import pytest

from metrics.promql.engine import evaluate
from metrics.promql.types import Matcher, QueryError, SeriesColumns
from metrics.store import compaction
from metrics.store.columns import Samples
from metrics.store.postgres import PostgresStore
from metrics.store.protocol import SelectLimits, TooManySamples
from metrics.store.selected import PART_SERIES
from tests.metrics.test_store import make_series

pytestmark = pytest.mark.django_db
T0 = 1_795_233_600_000
NAMED = [Matcher("__name__", "=", "many")]
COUNT = 3 * PART_SERIES + 7


@pytest.fixture
def store() -> PostgresStore:
    held = PostgresStore()
    ids = np.array(make_series(*({"__name__": "many", "i": f"{i:04d}"} for i in range(COUNT))), np.int64)
    for step in range(4):
        times = np.full(ids.size, T0 + step * 15_000, np.int64)
        held.append(Samples(ids, times, np.arange(ids.size, dtype=np.float64) * step), durable=True)
        if step == 1:
            compaction.compact_once()
    return held


def test_parts_hold_every_series_once_and_in_order(store: PostgresStore) -> None:
    parts = store.each(NAMED, T0, T0 + 60_000, lambda columns: [labels["i"] for labels in columns.labels])
    assert len(parts) > 2
    assert max(map(len, parts)) <= PART_SERIES
    assert [name for part in parts for name in part] == [f"{i:04d}" for i in range(COUNT)]


def test_selecting_puts_the_parts_together(store: PostgresStore) -> None:
    found = store.select(NAMED, T0, T0 + 60_000)
    assert found.offsets.tolist() == list(range(0, 4 * COUNT + 1, 4))
    assert found.values.reshape(COUNT, 4).tolist() == [[float(i * step) for step in range(4)] for i in range(COUNT)]
    assert found.timestamps_ms.reshape(COUNT, 4)[-1].tolist() == [T0 + step * 15_000 for step in range(4)]


def test_the_engine_answers_from_parts_what_it_answers_from_the_whole(store: PostgresStore) -> None:
    class Whole:
        def select(self, matchers: list[Matcher], t_min_ms: int, t_max_ms: int) -> SeriesColumns:
            return store.select(matchers, t_min_ms, t_max_ms)

    aggregations = [
        f"{op} {by} ({inner})"
        for op in ("sum", "avg", "min", "max", "count", "group", "stddev")
        for by in ("", "by (i)", "without (i)")
        for inner in ("many", "rate(many[1m])", "last_over_time(many[30s])", "many * 2", "max_over_time(many[30s:15s])")
    ]
    for query in (*aggregations, "rate(many[1m])", "quantile_over_time(0.5, many[1m])", "absent_over_time(many[1m])"):
        grid = {"start_ms": T0 + 30_000, "end_ms": T0 + 60_000, "step_ms": 15_000}
        ours = evaluate(query, source=store, **grid)  # type: ignore[arg-type]
        plain = evaluate(query, source=Whole(), **grid)  # type: ignore[arg-type]
        assert ours.labels == plain.labels
        np.testing.assert_array_equal(ours.present, plain.present)
        np.testing.assert_allclose(ours.values[ours.present], plain.values[plain.present], rtol=1e-14)


def test_the_work_is_spread_over_threads_and_keeps_the_callers_context(store: PostgresStore) -> None:
    seen: set[str] = set()

    def work(columns: SeriesColumns) -> str:
        seen.add(threading.current_thread().name)
        return np.geterr()["divide"]

    with np.errstate(divide="ignore"):
        assert set(store.each(NAMED, T0, T0 + 60_000, work)) == {"ignore"}
    assert all(name.startswith("query") for name in seen)


def test_what_goes_wrong_in_a_part_reaches_the_caller(store: PostgresStore) -> None:
    def work(columns: SeriesColumns) -> None:
        raise QueryError("no", "execution")

    with pytest.raises(QueryError, match="no"):
        store.each(NAMED, T0, T0 + 60_000, work)


def test_the_limit_on_samples_counts_all_parts() -> None:
    held = PostgresStore(SelectLimits(max_samples=COUNT))
    ids = np.array(make_series(*({"__name__": "many", "i": str(i)} for i in range(COUNT))), np.int64)
    for step in range(2):
        held.append(Samples(ids, np.full(COUNT, T0 + step, np.int64), np.ones(COUNT)), durable=True)
    with pytest.raises(TooManySamples):
        held.select(NAMED, T0, T0 + 60_000)
