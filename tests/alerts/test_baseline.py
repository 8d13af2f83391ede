"""Thresholds from the past of a series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from alerts.engine.baseline import (
    HOURS_OF_WEEK,
    Baseline,
    Past,
    Worked,
    differs,
    hour_of_week,
    without,
    worked,
)

MONDAY = 1_699_833_600  # 2023-11-13 00:00 UTC
STEP = 600


def times(hours: float, start: int = MONDAY) -> np.ndarray:
    return (start + np.arange(int(hours * 3600 / STEP)) * STEP) * 1000


def threshold(values: list[float] | np.ndarray, baseline: Baseline) -> Worked:
    row = np.asarray(values, float)
    return worked(times(row.size * STEP / 3600), row[None, :], baseline, step_seconds=STEP)[0]


@given(arrays.arrays(float, st.integers(6, 60), elements=st.floats(-1e6, 1e6)), st.floats(0, 100), st.floats(0, 10))
def test_it_is_the_percentile_times_the_factor(values: np.ndarray, percentile: float, factor: float) -> None:
    found = threshold(values, Baseline(percentile=percentile, factor=factor, least_history_seconds=3600))
    ordered = sorted(values.tolist())
    place = percentile / 100 * (len(ordered) - 1)
    low = ordered[int(place)]
    high = ordered[min(int(place) + 1, len(ordered) - 1)]
    assert found.value == pytest.approx((low + (high - low) * (place - int(place))) * factor, rel=1e-6, abs=1e-6)
    assert (found.samples, found.why) == (values.size, "")


@given(st.floats(-1e3, 1e3), st.none() | st.floats(-50, 0), st.none() | st.floats(1, 50))
def test_it_stays_within_floor_and_ceiling(value: float, floor: float | None, ceiling: float | None) -> None:
    found = threshold([value] * 6, Baseline(factor=1, floor=floor, ceiling=ceiling, least_history_seconds=0)).value
    assert found is not None
    assert floor is None or found >= floor
    assert ceiling is None or found <= ceiling
    if (floor is None or value >= floor) and (ceiling is None or value <= ceiling):
        assert found == pytest.approx(value)


def test_too_little_past_is_no_threshold_and_says_how_much_there_is() -> None:
    found = threshold([1.0] * 18, Baseline())
    assert (found.value, found.why) == (None, "3.0 h of past, and 24.0 h are needed")
    assert threshold([float("nan")] * 200, Baseline()).why == "0.0 h of past, and 24.0 h are needed"


def test_gaps_are_no_past() -> None:
    values = np.ones(288)
    values[::2] = np.nan
    assert threshold(values, Baseline(least_history_seconds=86_400)).value == pytest.approx(1.2)
    assert threshold(values, Baseline(least_history_seconds=86_401)).value is None


def test_each_hour_of_the_week_has_a_threshold_of_its_own_from_two_weeks_on() -> None:
    hours = np.arange(14 * 24)
    values = np.repeat(np.where((hours % 24 >= 9) & (hours % 24 < 17), 100.0, 10.0), 6)
    found = threshold(values, Baseline(seasonal=True, factor=2))
    assert len(found.slots) == HOURS_OF_WEEK
    assert (found.at(MONDAY + 10 * 3600), found.at(MONDAY + 3 * 3600)) == (200.0, 20.0)
    assert found.at(MONDAY + (7 * 24 + 10) * 3600) == 200.0
    assert found.why == ""


def test_hours_with_a_single_week_have_none() -> None:
    found = threshold(np.ones(8 * 24 * 6), Baseline(seasonal=True))
    assert found.at(MONDAY) == pytest.approx(1.2)
    assert found.at(MONDAY + 30 * 3600) is None
    assert found.why == "144 of 168 hours of the week have fewer than 2 weeks"
    assert set(threshold(np.ones(12), Baseline(seasonal=True)).slots) == {None}


@given(st.integers(0, 2_000_000_000))
def test_hours_of_the_week_begin_on_monday(seconds: int) -> None:
    assert hour_of_week(seconds) == ((seconds - MONDAY) // 3600) % HOURS_OF_WEEK


def test_incidents_are_left_out() -> None:
    at, row = times(2), np.arange(12.0)
    kept = without(at, row, [(float(at[2]), float(at[4]))])
    assert np.isnan(kept[2:5]).all()
    assert not np.isnan(row).any()
    assert np.isfinite(kept).sum() == 9


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        (None, Worked(value=1), True),
        (Worked(value=100), Worked(value=101), False),
        (Worked(value=100), Worked(value=101.5), True),
        (Worked(value=100), Worked(value=98.5), True),
        (Worked(value=0), Worked(value=0), False),
        (Worked(value=0), Worked(value=1e-9), True),
        (Worked(value=100), Worked(), True),
        (Worked(), Worked(), False),
        (Worked(slots=(1.0, None)), Worked(slots=(1.005, None)), False),
        (Worked(slots=(1.0, None)), Worked(slots=(1.0, 2.0)), True),
        (Worked(value=1), Worked(slots=(1.0,)), True),
    ],
)
def test_a_threshold_applies_when_it_differs_by_more_than_one_percent(
    before: Worked | None, after: Worked, new: bool
) -> None:
    assert differs(before, after) is new


def test_the_past_is_read_in_pieces() -> None:
    a, b = frozenset({("host", "a")}), frozenset({("host", "b")})
    past = Past(2)
    past.add(np.array([1, 2]), {a: np.array([1.0, 2.0])})
    past.add(np.array([3]), {a: np.array([3.0]), b: np.array([9.0])})
    at, keys, values = past.joined()
    assert (at.tolist(), keys) == ([1, 2, 3], [a, b])
    assert np.array_equal(values, [[1, 2, 3], [np.nan, np.nan, 9]], equal_nan=True)
    with pytest.raises(ValueError, match="more than 2 series"):
        past.add(np.array([4]), {frozenset({("host", "c")}): np.array([1.0])})
    assert Past(1).joined()[2].shape == (0, 0)
