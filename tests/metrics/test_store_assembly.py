"""Whatever order samples came in and however far they are packed, a selection equals the plain reading of all rows."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.models import GroupBlock, HeadBlock, RecentBlock
from metrics.native_histograms.codec import encode
from metrics.native_histograms.model import Histogram
from metrics.promql.types import Matcher, QueryError, SeriesColumns
from metrics.store import compaction, pages
from metrics.store.columns import Samples
from metrics.store.container import CorruptBlock
from metrics.store.postgres import PostgresStore
from metrics.store.protocol import SelectLimits
from tests.metrics.test_store import make_series

T0 = int(datetime(2026, 11, 21, 4, 0, tzinfo=UTC).timestamp() * 1000)
HOUR_MS = 3_600_000
SERIES = 5

sample = st.tuples(st.integers(0, SERIES - 1), st.integers(0, 40), st.integers(0, 99), st.booleans())
actions = st.lists(
    st.one_of(st.lists(sample, min_size=1, max_size=12), st.sampled_from(["heads", "windows", "days", "late windows"])),
    min_size=1,
    max_size=14,
)


def columns(ids: list[int], drawn: list[tuple[int, int, int, bool]]) -> Samples:
    held = np.full(len(drawn), None, np.object_)
    for row, (_, _, value, is_histogram) in enumerate(drawn):
        held[row] = encode(Histogram(0, float(value), 1.0)) if is_histogram else None
    return Samples(
        np.array([ids[row[0]] for row in drawn]),
        # Steps of 20 minutes: forty of them spread over seven windows.
        T0 + np.array([row[1] for row in drawn]) * HOUR_MS // 3,
        np.array([row[2] for row in drawn], np.float64),
        held if any(row[3] for row in drawn) else None,
    )


def rows_of(found: SeriesColumns) -> dict[tuple[str, int], tuple[float, bool]]:
    rows = {}
    for series, labels in enumerate(found.labels):
        for place in range(found.offsets[series], found.offsets[series + 1]):
            is_histogram = found.histograms is not None and found.histograms[place] is not None
            key = labels["i"], int(found.timestamps_ms[place])
            assert key not in rows
            rows[key] = float(found.values[place]), is_histogram
    return rows


@pytest.mark.django_db(transaction=True)
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=actions, low=st.integers(-1, 20), high=st.integers(10, 45))
def test_every_order_of_arrival_and_packing_reads_the_same(plan: list, low: int, high: int):
    ids = make_series(*({"__name__": "m", "i": str(number)} for number in range(SERIES)))
    store = PostgresStore()
    _empty()
    expected: dict[tuple[str, int], tuple[float, bool]] = {}
    steps = {
        "heads": compaction.compact_once,
        "windows": lambda: compaction.pack_windows(now_ms=T0 + 5 * HOUR_MS),
        "late windows": lambda: compaction.pack_windows(now_ms=T0 + 99 * HOUR_MS),
        "days": lambda: compaction.pack_days(now_ms=T0 + 99 * HOUR_MS),
    }
    for action in plan:
        if isinstance(action, str):
            steps[action]()
            continue
        store.append(columns(ids, action), durable=True)
        for series, step, value, is_histogram in action:
            expected[str(series), T0 + step * HOUR_MS // 3] = float(value), is_histogram
    low_ms, high_ms = T0 + low * HOUR_MS // 3, T0 + high * HOUR_MS // 3
    wanted = {key: row for key, row in expected.items() if low_ms <= key[1] <= high_ms}
    assert rows_of(store.select([Matcher("__name__", "=", "m")], low_ms, high_ms)) == wanted
    few = {key: row for key, row in wanted.items() if key[0] in "14"}
    assert rows_of(store.select([Matcher("i", "=~", "1|4")], low_ms, high_ms)) == few
    _empty()


def _empty() -> None:
    for model in (HeadBlock, RecentBlock, GroupBlock):
        model.objects.all().delete()


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 1_500), min_size=1, max_size=8),
    numbers=st.sampled_from(["whole", "broken"]),
    data=st.data(),
)
def test_pages_of_wanted_series_are_read_without_the_others(lengths: list[int], numbers: str, data: st.DataObject):
    sizes = np.array(lengths)
    random = np.random.default_rng(sum(lengths))
    values = random.integers(0, 1_000, sizes.sum()) * (1.0 if numbers == "whole" else 0.37)
    wanted = np.array(data.draw(st.lists(st.booleans(), min_size=sizes.size, max_size=sizes.size)))
    section = pages.encode(values, sizes, level=4)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    read = pages.opened(section, sizes.size).read(starts, wanted)
    for series in np.flatnonzero(wanted):
        part = slice(starts[series], starts[series + 1])
        assert read[part].tolist() == values[part].tolist()
    for bad in (section[:-1], section + b"x", section[:6], b""):
        with pytest.raises(CorruptBlock):
            pages.opened(bad, sizes.size)


@pytest.mark.django_db
def test_a_selection_that_is_too_late_or_too_large_ends(monkeypatch: pytest.MonkeyPatch):
    ids = make_series({"__name__": "m", "i": "1"})
    PostgresStore().append(columns(ids, [(0, step, 1, False) for step in range(9)]), durable=True)
    with pytest.raises(QueryError, match="more than 8 samples"):
        PostgresStore(SelectLimits(max_samples=8)).select([], T0, T0 + 9 * HOUR_MS)
    store = PostgresStore()
    monkeypatch.setattr(store, "_deadline", lambda: lambda: True)
    with pytest.raises(QueryError, match="too long") as late:
        store.select([], T0, T0 + HOUR_MS)
    assert late.value.kind == "timeout"
