"""The walk over hostile bytes: columns or a clear error, equal to the published decoder where that one agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_pb2.remote_pb2 import WriteRequest

from metrics.wire import kernels, remote_write
from metrics.wire.errors import WireError
from metrics.wire.series_table import SeriesTable
from tests.metrics.senders import write_request

TABLE = SeriesTable()
labels = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=8), max_size=4)
samples = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)), max_size=4)


@settings(deadline=None)
@given(drawn=st.lists(st.tuples(labels, samples), max_size=5))
def test_columns_equal_what_an_independent_sender_encoded(drawn: list[tuple[dict[str, str], list[tuple[int, float]]]]):
    columns = remote_write.decode(write_request(*drawn).SerializeToString(), TABLE)
    assert columns.sample_series.tolist() == [i for i, (_, points) in enumerate(drawn) for _ in points]
    assert columns.timestamps_ms.tolist() == [time for _, points in drawn for time, _ in points]
    assert columns.values.tolist() == [value for _, points in drawn for _, value in points]
    assert [dict(remote_write.label_pairs(columns, i)) for i in range(len(drawn))] == [names for names, _ in drawn]


@settings(deadline=None, max_examples=500)
@given(raw=st.binary(max_size=120))
def test_any_bytes_give_columns_or_an_error(raw: bytes):
    try:
        columns = remote_write.decode(raw, TABLE)
        remote_write.metadata(columns)
    except WireError as error:
        assert "WriteRequest" in str(error)
        return
    assert columns.sample_series.size == columns.values.size
    assert bool((columns.series_end <= len(raw)).all())


@settings(deadline=None, max_examples=300)
@given(edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4), cut=st.integers(0, 200))
def test_a_damaged_request_never_reads_beyond_its_end(edits: list[tuple[int, int]], cut: int):
    good = write_request(*(({"__name__": "a", "i": str(i)}, [(i, 1.0), (i + 1, 2.0)]) for i in range(6)))
    raw = bytearray(good.SerializeToString())
    for place, byte in edits:
        raw[place % len(raw)] = byte
    damaged = bytes(raw[: len(raw) - cut % len(raw)])
    try:
        columns = remote_write.decode(damaged, TABLE)
    except WireError:
        return
    assert bool((columns.series_end <= len(damaged)).all())
    assert columns.sample_series.size <= 2 * len(damaged)


def test_labels_apart_from_each_other_are_read_but_not_remembered_by_their_bytes():
    one = WriteRequest()
    entry = one.timeseries.add()
    entry.labels.add(name="__name__", value="a")
    entry.samples.add(timestamp=1, value=1.0)
    two = WriteRequest()
    two.timeseries.add().labels.add(name="x", value="1")
    inner = one.timeseries[0].SerializeToString() + two.timeseries[0].SerializeToString()
    columns = remote_write.decode(b"\x0a" + bytes([len(inner)]) + inner, TABLE)
    assert columns.series_cacheable.tolist() == [False]
    assert remote_write.label_pairs(columns, 0) == [("__name__", "a"), ("x", "1")]


def test_a_remembered_series_is_found_by_its_bytes_even_after_the_table_grew():
    table = SeriesTable(capacity=8)
    request = write_request(*(({"__name__": "a", "i": str(i)}, [(1, 1.0)]) for i in range(500)))
    raw = request.SerializeToString()
    first = remote_write.decode(raw, table)
    assert first.series_ids.tolist() == [-1] * 500
    table.add(first.series_low, first.series_high, np.arange(500, dtype=np.int64))
    assert remote_write.decode(raw, table).series_ids.tolist() == list(range(500))


def test_a_full_table_starts_again():
    table = SeriesTable(capacity=8, max_series=10)
    for start in (0, 6):
        keys = np.arange(start, start + 6, dtype=np.uint64)
        table.add(keys, keys, keys.astype(np.int64))
    assert table.count == 6


@pytest.mark.parametrize(("length", "expected"), [(b"\x00", 0), (b"\x7f", 127), (b"\x80\x01", 128)])
def test_the_declared_length_is_read(length: bytes, expected: int):
    assert remote_write.declared_length(length) == expected


@given(text=st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_the_shape_of_json_is_never_underrated(text: object):
    import json

    def depth(value: object) -> int:
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inner is None else 1 + max(map(depth, inner), default=0)

    deepest, nodes = kernels.json_shape(np.frombuffer(json.dumps(text).encode(), np.uint8))
    assert deepest == depth(text)
    assert nodes >= 1
