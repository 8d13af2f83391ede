"""The walk over hostile bytes: columns or a clear error, equal to the published decoder where that one agrees."""

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remote_pb2.remote_pb2 import WriteRequest

from metrics.wire import kernels, remote_write
from metrics.wire.errors import WireError
from metrics.wire.series_table import SeriesTable
from tests.metrics.senders import snappy, write_request

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
    assert [dict(columns.label_pairs(i)) for i in range(len(drawn))] == [names for names, _ in drawn]


@settings(deadline=None, max_examples=500)
@given(raw=st.binary(max_size=120))
def test_any_bytes_give_columns_or_an_error(raw: bytes):
    try:
        columns = remote_write.decode(raw, TABLE)
        columns.metadata()
    except WireError as error:
        told = str(error)
    else:
        told = "WriteRequest"
        assert columns.sample_series.size == columns.values.size
        assert bool((columns.series_end <= len(raw)).all())
    assert "WriteRequest" in told


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
    assert columns.label_pairs(0) == [("__name__", "a"), ("x", "1")]


def repeated(table: SeriesTable, request: WriteRequest) -> remote_write.Repeated | None:
    return remote_write.decode_repeated(snappy(request), table)


def learnt(request: WriteRequest) -> SeriesTable:
    """Return a table that has seen the request, and knows its series as 0, 1, …"""
    table = SeriesTable()
    raw = request.SerializeToString()
    first = remote_write.decode(raw, table)
    table.add(first.series_low, first.series_high, np.arange(first.series_ids.size))
    remote_write.decode(raw, table)
    return table


@settings(deadline=None)
@given(
    named=st.lists(labels.filter(bool), min_size=1, max_size=6, unique_by=lambda names: tuple(names.items())),
    points=st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)), min_size=6, max_size=6),
)
def test_series_that_come_again_are_read_as_the_whole_walk_reads_them(
    named: list[dict[str, str]], points: list[tuple[int, float]]
):
    table = learnt(write_request(*((names, [(1, 1.0)]) for names in named)))
    request = write_request(*((names, [point]) for names, point in zip(named, points, strict=False)))
    found, whole = repeated(table, request), remote_write.decode(request.SerializeToString(), table)
    assert found is not None
    assert found.series_ids.tolist() == whole.series_ids.tolist()
    assert found.timestamps_ms.tolist() == whole.timestamps_ms.tolist()
    assert found.values.tolist() == whole.values.tolist()
    assert (found.first_ms, found.newest_ms) == (whole.timestamps_ms.min(), whole.timestamps_ms.max())


def test_what_is_not_the_same_series_with_one_sample_each_is_left_to_the_whole_walk():
    a, b, c = ({"__name__": "a", "i": name} for name in "bcd")
    table = learnt(write_request((a, [(1, 1.0)]), (b, [(1, 1.0)])))
    assert repeated(table, write_request((a, [(2, 1.0)]), (b, [(2, 1.0)]))) is not None
    others = [
        write_request((a, [(2, 1.0)])),
        write_request((a, [(2, 1.0)]), (c, [(2, 1.0)])),
        write_request((a, [(2, 1.0)]), (b, [(2, 1.0), (3, 1.0)])),
        write_request((a, [(2, 1.0)]), (b, [])),
        write_request((a, [(2, 1.0)]), ({**b, "j": "x"}, [(2, 1.0)])),
        write_request((a, [(2, 1.0)]), (b, [(2, 1.0)]), (c, [(2, 1.0)])),
    ]
    with_metadata = write_request((a, [(2, 1.0)]), (b, [(2, 1.0)]))
    with_metadata.metadata.add(metric_family_name="a", type=1)
    with_exemplar = write_request((a, [(2, 1.0)]), (b, [(2, 1.0)]))
    with_exemplar.timeseries[1].exemplars.add(value=1.0, timestamp=2)
    assert [repeated(table, other) for other in (*others, with_metadata, with_exemplar)] == [None] * 8
    assert remote_write.decode_repeated(b"\xff\xff\xff\xff\xff", table) is None


@settings(deadline=None, max_examples=300)
@given(edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=3), cut=st.integers(0, 200))
def test_a_damaged_request_is_no_repetition_or_is_read_as_the_whole_walk_reads_it(
    edits: list[tuple[int, int]], cut: int
):
    request = write_request(*(({"__name__": "a", "i": str(i)}, [(i, 1.0)]) for i in range(6)))
    table, raw = learnt(request), bytearray(request.SerializeToString())
    for place, byte in edits:
        raw[place % len(raw)] = byte
    damaged = bytes(raw[: len(raw) - cut % len(raw)])
    found = remote_write.decode_repeated(bytes(cramjam.snappy.compress_raw(damaged)), table)
    if found is None:
        return
    whole = remote_write.decode(damaged, table)
    assert found.timestamps_ms.tolist() == whole.timestamps_ms.tolist()
    assert found.values.tobytes() == whole.values.tobytes()
    assert found.series_ids.tolist() == whole.series_ids.tolist()


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


def _remembering() -> tuple[SeriesTable, bytes]:
    table = SeriesTable()
    raw = write_request(*(({"__name__": "up", "i": f"{i:03d}" * 9}, [(i, 1.0)]) for i in range(9))).SerializeToString()
    first = remote_write.decode(raw, table)
    table.add(first.series_low, first.series_high, np.arange(9))
    remote_write.decode(raw, table)
    assert table.recent.find(raw).ids.tolist() == list(range(9))
    return table, raw


def test_a_request_like_an_earlier_one_gets_the_same_ids_and_its_own_samples():
    table, raw = _remembering()
    newer = write_request(*(({"__name__": "up", "i": f"{i:03d}" * 9}, [(i + 50, 2.0 + i)]) for i in range(9)))
    columns = remote_write.decode(newer.SerializeToString(), table)
    assert columns.series_ids.tolist() == list(range(9))
    assert columns.timestamps_ms.tolist() == list(range(50, 59))
    assert columns.values.tolist() == [2.0 + i for i in range(9)]
    assert table.recent.find(raw).ids.size == 9


@settings(deadline=None, max_examples=300)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_request_that_differs_in_one_byte_from_an_earlier_one_is_read_as_if_there_were_none(at: int, byte: int):
    table, raw = _remembering()
    other = bytearray(raw)
    other[at % len(raw)] = byte
    blank = SeriesTable()
    blank.key, blank.columns = table.key, table.columns
    outcomes = []
    for one in (table, blank):
        try:
            read = remote_write.decode(bytes(other), one)
            outcomes.append((read.series_ids.tolist(), read.timestamps_ms.tolist(), read.values.tobytes()))
        except WireError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_a_label_added_behind_remembered_ones_is_another_series():
    table, raw = _remembering()
    longer = write_request(({"__name__": "up", "i": "000" * 9, "j": "x"}, [(1, 1.0)])).SerializeToString()
    recent = table.recent.find(raw)
    table.recent.remember(longer, recent.label_start, recent.label_end, recent.ids)
    assert remote_write.decode(longer, table).series_ids.tolist() == [-1]


def test_a_request_with_more_than_the_one_before_it_is_read_whole():
    table, _ = _remembering()
    names = [{"__name__": "up", "i": f"{i:03d}" * 9} for i in range(9)]
    more = [
        write_request(*((one, [(1, 1.0), (2, 2.0)]) for one in names)),
        write_request(*((one, [(1, 1.0)]) for one in [*names, {"__name__": "new"}])),
        write_request(*((one, [(1, 1.0)]) for one in names[:5])),
        write_request(*((one, [(1, 1.0)]) for one in names)),
        write_request(*((one, [(1, 1.0)]) for one in names)),
    ]
    more[3].metadata.add(metric_family_name="up", help="Up.")
    more[4].timeseries[3].exemplars.add(value=1.0, timestamp=1)
    read = [remote_write.decode(message.SerializeToString(), table) for message in more]
    assert [columns.values.size for columns in read] == [18, 10, 5, 9, 9]
    assert [columns.series_ids.size for columns in read] == [9, 10, 5, 9, 9]
    assert [len(columns.metadata()) for columns in read] == [0, 0, 0, 1, 0]
    assert [columns.parts.series.tolist() for columns in read] == [[], [], [], [], [3]]
