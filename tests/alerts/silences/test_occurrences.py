"""Windows of recurring times: by the day, and to the minute where clocks change."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.engine.alertmanager.times import TimeInterval
from alerts.engine.occurrences import Window, gaps, upcoming, windows

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)  # A Saturday.
BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def shown(found: list[Window]) -> list[str]:
    return [f"{each.start_at:%m-%dT%H:%M} {each.end_at:%m-%dT%H:%M}" for each in found]


def test_a_weekend_is_one_window_and_the_one_that_runs_begins_now() -> None:
    weekend = TimeInterval(weekdays=((6, 6), (0, 0)))
    assert shown(upcoming([weekend], NOON, 2)) == ["11-21T12:00 11-23T00:00", "11-28T00:00 11-30T00:00"]


def test_several_intervals_join_where_they_touch() -> None:
    nights = [TimeInterval(times=((0, 360),)), TimeInterval(times=((1320, 1440),))]
    assert shown(upcoming(nights, NOON, 2)) == ["11-21T22:00 11-22T06:00", "11-22T22:00 11-23T06:00"]


def test_times_are_those_of_their_place() -> None:
    lunch = TimeInterval(times=((720, 780),), location="Asia/Tokyo")
    assert shown(upcoming([lunch], NOON, 1)) == ["11-22T03:00 11-22T04:00"]


def test_rare_days_are_found_and_what_never_holds_ends_the_search() -> None:
    leap = TimeInterval(days_of_month=((29, 29),), months=((2, 2),))
    assert [each.start_at.year for each in upcoming([leap], NOON, 2)] == [2028, 2032]
    assert upcoming([TimeInterval(years=((2020, 2020),))], NOON, 10) == []


def test_the_last_days_of_a_month_are_counted_from_its_end() -> None:
    last = TimeInterval(days_of_month=((-1, -1),))
    found = upcoming([last], at("2026-01-15T00:00"), 3)
    assert [f"{each.start_at:%m-%d}" for each in found] == ["01-31", "02-28", "03-31"]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-03-28T23:00", ["03-29T00:30 03-29T01:00"]),  # 01:30 to 02:30, and there is no 02:00 to 03:00.
        ("2026-10-24T22:00", ["10-24T23:30 10-25T00:30", "10-25T01:00 10-25T01:30"]),  # 02:00 to 02:30 comes twice.
    ],
)
def test_where_clocks_change_the_minutes_are_walked(day: str, expected: list[str]) -> None:
    early = TimeInterval(times=((90, 150),), location=BERLIN)
    assert shown(windows([early], at(day), at(day) + timedelta(days=1))) == expected


def test_gaps_are_what_is_left() -> None:
    held = windows([TimeInterval(times=((0, 60), (120, 180)))], at("2026-11-21T00:30"), at("2026-11-21T04:00"))
    assert shown(held) == ["11-21T00:30 11-21T01:00", "11-21T02:00 11-21T03:00"]
    left = gaps(held, at("2026-11-21T00:30"), at("2026-11-21T04:00"))
    assert shown(left) == ["11-21T01:00 11-21T02:00", "11-21T03:00 11-21T04:00"]


RANGES = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).map(sorted).filter(lambda pair: pair[0] < pair[1])
INTERVALS = st.builds(
    TimeInterval,
    times=st.none() | st.lists(RANGES.map(tuple), min_size=1, max_size=2).map(tuple),
    weekdays=st.none() | st.lists(st.integers(0, 6).map(lambda day: (day, day)), min_size=1, max_size=3).map(tuple),
    days_of_month=st.none() | st.sampled_from([((1, 15),), ((-2, -1),), ((25, 25),), ((29, 29),)]),
    location=st.sampled_from([None, BERLIN, "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe"]),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(INTERVALS, min_size=1, max_size=2),
    st.sampled_from([NOON, at("2026-10-24T12:34"), at("2026-03-28T20:00"), at("2026-04-04T06:00")]),
    st.lists(st.integers(0, 3 * 1440 - 1), min_size=1, max_size=40),
)
def test_the_windows_hold_the_minutes_that_the_intervals_contain(
    intervals: list[TimeInterval], start_at: datetime, minutes: list[int]
) -> None:
    found = windows(intervals, start_at, start_at + timedelta(days=3))
    for minute in minutes:
        moment = start_at + timedelta(minutes=minute)
        held = any(each.start_at <= moment < each.end_at for each in found)
        assert held == any(each.contains(moment) for each in intervals), moment
