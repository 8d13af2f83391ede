"""Blocks give back every bit of what was put in, and refuse damage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.promql.types import STALE_NAN_BITS
from metrics.store import group_block, head_block
from metrics.store.columns import Samples, distinct, whole_numbers
from metrics.store.container import CorruptBlock

EDGES = [0, STALE_NAN_BITS, 0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 1 << 63, 1]
bits = st.one_of(
    st.sampled_from(EDGES),
    st.integers(-(2**53) - 2, 2**53 + 2).map(lambda n: int(np.float64(n).view(np.uint64))),
    st.integers(0, 2**64 - 1),
)
rows = st.lists(st.tuples(st.integers(0, 199), st.integers(-(2**63), 2**63 - 1), bits), max_size=60)
few = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), bits), min_size=1, max_size=40)


def columns(drawn: list[tuple[int, int, int]], group_no: int = 0) -> Samples:
    ids = np.array([row[0] + group_no * 200 for row in drawn], np.int64)
    times = np.array([row[1] for row in drawn], np.int64)
    return Samples(ids, times, np.array([row[2] for row in drawn], np.uint64).view(np.float64))


def plain(samples: Samples) -> list[tuple[int, int, int]]:
    raw = samples.values.view(np.uint64).tolist()
    return list(zip(samples.series_ids.tolist(), samples.timestamps_ms.tolist(), raw, strict=True))


@settings(deadline=None)
@given(drawn=rows)
def test_a_head_block_gives_back_every_bit_in_order(drawn: list[tuple[int, int, int]]):
    samples = columns(drawn)
    assert plain(head_block.decode(head_block.encode(samples))) == plain(samples)


@settings(deadline=None)
@given(drawn=st.one_of(few, rows.filter(bool)), group_no=st.integers(0, 2**40))
def test_a_group_block_gives_back_the_last_sample_of_each_time(drawn: list[tuple[int, int, int]], group_no: int):
    samples = columns(drawn, group_no)
    last = {(series, time): value for series, time, value in plain(samples)}
    block, count = group_block.encode(samples)
    assert count == len(last)
    assert plain(group_block.decode(block, group_no=group_no)) == [(*key, last[key]) for key in sorted(last)]


@settings(deadline=None)
@given(drawn=few, at=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.integers(1, 50))
def test_damage_is_an_error_and_never_a_wrong_number(drawn, at: int, flip: int, cut: int):
    for encoded in (head_block.encode(columns(drawn)), group_block.encode(columns(drawn))[0]):
        damaged = bytearray(encoded)
        damaged[8 + at % (len(damaged) - 8)] ^= flip
        for bad in (bytes(damaged), encoded[:-cut], b""):
            with pytest.raises(CorruptBlock):
                (head_block if encoded[:1] == b"H" else group_block).decode(
                    bad, **({} if encoded[:1] == b"H" else {"group_no": 0})
                )


def test_whole_numbers_cost_less_than_their_fractions():
    base = np.arange(2_000)
    whole = Samples(base % 100, base // 100 * 15_000, (base * 7).astype(np.float64))
    broken = Samples(whole.series_ids, whole.timestamps_ms, whole.values + np.random.default_rng(1).random(2_000))
    assert len(group_block.encode(whole)[0]) < len(group_block.encode(broken)[0])


@settings(deadline=None)
@given(drawn=st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 9), st.floats(allow_nan=False)), max_size=50))
def test_arranging_equals_the_plain_reference(drawn: list[tuple[int, int, float]]):
    series, times, values = (list(column) for column in zip(*drawn, strict=True)) if drawn else ([], [], [])
    samples = Samples(np.array(series, np.int64), np.array(times, np.int64), np.array(values, np.float64))
    offsets, ordered = group_block.arrange(samples, 5)
    last = {(one, time): value for one, time, value in drawn if one >= 0}
    keys = sorted(last)
    assert ordered.timestamps_ms.tolist() == [time for _, time in keys]
    assert ordered.values.tolist() == [last[key] for key in keys]
    assert offsets.tolist() == [sum(one < limit for one, _ in keys) for limit in range(6)]


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(), st.integers(-(2**54), 2**54).map(float), st.just(-0.0)), max_size=20))
def test_numbers_are_whole_where_integers_lose_nothing(numbers: list[float]):
    found = whole_numbers(np.array(numbers, np.float64))
    lossless = all(
        abs(one) <= 2**53 and one == int(one) and not (one == 0 and math.copysign(1, one) < 0) for one in numbers
    )
    assert (found is not None) is lossless
    assert found is None or found.tolist() == numbers


@given(st.lists(st.integers(-(10**6), 10**6) | st.integers(0, 20), max_size=50))
def test_distinct_numbers_are_each_there_once_and_rise(numbers: list[int]):
    assert distinct(np.array(numbers, np.int64)).tolist() == sorted(set(numbers))


@given(st.lists(st.integers(0, 3_000) | st.integers(0, 2**40), max_size=30))
def test_groups_are_split_in_the_order_of_their_samples(ids: list[int]):
    places = np.arange(len(ids))
    samples = Samples(np.array(ids, np.int64), places, places.astype(np.float64))
    found = [(group, part.timestamps_ms.tolist()) for group, part in group_block.split_groups(samples)]
    expected = sorted({one // 200 for one in ids})
    assert found == [(group, [place for place, one in enumerate(ids) if one // 200 == group]) for group in expected]
