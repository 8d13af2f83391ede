"""Native histograms beside numbers: through blocks, the store and compaction, unchanged."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.native_histograms.codec import encode
from metrics.native_histograms.model import Histogram, Span
from metrics.promql.types import STALE_NAN, Matcher
from metrics.store import compaction, group_block, head_block, histogram_column
from metrics.store.columns import Samples, concatenate
from metrics.store.container import CorruptBlock
from metrics.store.postgres import PostgresStore
from tests.metrics.test_store import make_series

T0 = int(datetime(2026, 11, 21, 4, 0, tzinfo=UTC).timestamp() * 1000)
Row = tuple[int, int, float, bytes | None]

cells = st.one_of(st.none(), st.binary(max_size=40))
rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 9), cells), min_size=1, max_size=50)


def histogram(count: float) -> Histogram:
    return Histogram(0, count, 2.5 * count, 0.001, 1.0, (Span(0, 2),), (count - 3.0, 2.0), (Span(-3, 1),), (count / 2,))


def columns(drawn: list[Row]) -> Samples:
    held = histogram_column.no_histograms(len(drawn))
    held[:] = [row[3] for row in drawn]
    return Samples(
        np.array([row[0] for row in drawn], np.int64),
        np.array([row[1] for row in drawn], np.int64),
        np.array([row[2] for row in drawn], np.float64),
        held,
    )


def plain(samples: Samples) -> list[Row]:
    held = samples.histograms if samples.histograms is not None else [None] * samples.values.size
    return list(
        zip(samples.series_ids.tolist(), samples.timestamps_ms.tolist(), samples.values.tolist(), held, strict=True)
    )


@settings(deadline=None)
@given(drawn=rows)
def test_a_head_block_keeps_histograms_in_their_places(drawn: list[Row]):
    assert plain(head_block.decode(head_block.encode(columns(drawn)))) == drawn


@settings(deadline=None)
@given(drawn=rows)
def test_a_group_block_keeps_the_last_of_each_time_be_it_number_or_histogram(drawn: list[Row]):
    last = {(row[0], row[1]): row for row in drawn}
    block, count = group_block.encode(columns(drawn))
    assert count == len(last)
    assert plain(group_block.decode(block, group_no=0)) == [last[key] for key in sorted(last)]


@settings(deadline=None)
@given(drawn=rows, at=st.integers(0, 10_000), cut=st.integers(1, 40))
def test_a_damaged_section_is_an_error(drawn: list[Row], at: int, cut: int):
    column = columns(drawn).histograms
    assert column is not None
    section = histogram_column.encode(column, level=1)
    if section is None:
        assert all(row[3] is None for row in drawn)
        return
    with pytest.raises(CorruptBlock):
        histogram_column.decode(section[:-cut], len(drawn))
    assert histogram_column.decode(section, len(drawn)).tolist() == [row[3] for row in drawn]


def test_numbers_and_histograms_join():
    numbers = Samples(np.zeros(2, np.int64), np.array([1, 2]), np.array([1.0, 2.0]))
    both = concatenate([numbers, columns([(0, 3, 7, b"h")])])
    assert both.histograms is not None
    assert both.histograms.tolist() == [None, None, b"h"]
    assert concatenate([numbers, numbers]).histograms is None


@pytest.mark.django_db
def test_a_query_sees_histograms_numbers_and_stale_markers_before_and_after_compaction():
    store = PostgresStore()
    one, two = make_series({"__name__": "h", "x": "1"}, {"__name__": "h", "x": "2"})
    plan = [(one, T0 + step * 1000, float(step), encode(histogram(step))) for step in (5, 3, 4)]
    store.append(columns([*plan, (two, T0 + 3000, 1.5, None), (one, T0 + 6000, STALE_NAN, None)]), durable=True)
    store.append(columns([(one, T0 + 4000, 9.0, encode(histogram(9)))]), durable=True)

    def read() -> tuple[list[int], list[Histogram | None], list[float]]:
        found = PostgresStore().select([Matcher("__name__", "=", "h")], T0, T0 + 10_000)
        assert found.histograms is not None
        return found.timestamps_ms.tolist(), found.histograms.tolist(), found.values[:3].tolist()

    wanted = [histogram(3), histogram(9), histogram(5), None, None]
    expected = ([T0 + 3000, T0 + 4000, T0 + 5000, T0 + 6000, T0 + 3000], wanted, [3.0, 9.0, 5.0])
    assert read() == expected
    compaction.compact_once()
    assert read() == expected
    assert compaction.pack_windows(now_ms=T0 + 6 * 3_600_000) == 1
    assert read() == expected


@pytest.mark.django_db
def test_a_selection_without_histograms_carries_no_column():
    store = PostgresStore()
    one, two = make_series({"__name__": "h", "x": "1"}, {"__name__": "h", "x": "2"})
    store.append(columns([(one, T0, 1.0, encode(histogram(4))), (two, T0, 2.0, None)]), durable=True)
    found = store.select([Matcher("x", "=", "2")], T0, T0)
    assert found.histograms is None
    assert found.values.tolist() == [2.0]
