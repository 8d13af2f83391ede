"""Buckets: never more than the burst at once, never more than the rate in the long run."""

from hypothesis import given
from hypothesis import strategies as st

from aivillage_console.lib.ratelimit import Buckets, Limit

STEPS = st.lists(st.floats(min_value=0, max_value=10, allow_nan=False), min_size=1, max_size=60)


@given(steps=STEPS, rate=st.floats(min_value=0.1, max_value=20), burst=st.integers(min_value=1, max_value=20))
def test_no_window_lets_more_through_than_burst_and_rate(steps: list[float], rate: float, burst: int) -> None:
    buckets, now, taken = Buckets(Limit(rate, burst)), 0.0, 0
    for step in steps:
        now += step
        taken += buckets.take("a", now_seconds=now) == 0
    assert taken <= burst + rate * now + 1e-6


@given(rate=st.floats(min_value=0.1, max_value=20), burst=st.integers(min_value=1, max_value=20))
def test_the_wait_it_names_is_enough(rate: float, burst: int) -> None:
    buckets = Buckets(Limit(rate, burst))
    for _ in range(burst):
        assert buckets.take("a", now_seconds=0) == 0
    wait = buckets.take("a", now_seconds=0)
    assert wait > 0
    assert buckets.take("a", now_seconds=wait + 1e-6) == 0


def test_a_cost_above_the_burst_waits_for_a_full_bucket_and_not_for_ever() -> None:
    assert Buckets(Limit(1, 5)).take("a", cost=50, now_seconds=0) == 0


def test_keys_do_not_share_and_the_oldest_is_dropped() -> None:
    buckets = Buckets(Limit(1, 1), max_keys=2)
    assert [buckets.take(key, now_seconds=0) for key in "abc"] == [0, 0, 0]
    assert buckets.take("a", now_seconds=0) == 0
    assert buckets.take("c", now_seconds=0) > 0


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    buckets = Buckets(Limit(1, 1))
    buckets.take("a", now_seconds=100)
    assert buckets.take("a", now_seconds=0) > 0
