"""When recurring times hold: the windows of a mute time between two moments, and the next of them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo

from alerts.engine.alertmanager.times import TimeInterval, zone

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DAY_MINUTES = 1440
# How far ahead the next window is looked for: 29 February comes after eight years at most.
FARTHEST_DAYS = 366 * 8 + 1


@dataclass(frozen=True, slots=True)
class Window:
    """From one moment to another, the end left out."""

    start_at: datetime
    end_at: datetime


def windows(intervals: Sequence[TimeInterval], start_at: datetime, end_at: datetime) -> list[Window]:
    """Return when any of the intervals holds between two moments, in order and apart from each other."""
    found = [window for each in intervals for window in _of_one(each, start_at, end_at)]
    return list(_joined(_clipped(found, start_at, end_at)))


def upcoming(intervals: Sequence[TimeInterval], start_at: datetime, count: int) -> list[Window]:
    """Return the windows that are open or come next, at most so many; one without an end stops at the horizon."""
    days = 32
    while True:
        horizon = start_at + timedelta(days=days)
        found = windows(intervals, start_at, horizon)
        # The last one may go on beyond the horizon, so its end is known only once another follows.
        if len(found) > count or days >= FARTHEST_DAYS:
            return found[:count]
        days = min(days * 4, FARTHEST_DAYS)


def gaps(held: Sequence[Window], start_at: datetime, end_at: datetime) -> list[Window]:
    """Return when none of the windows holds between two moments."""
    edges = [start_at, *(edge for window in held for edge in (window.start_at, window.end_at)), end_at]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [Window(begin, end) for begin, end in pairs if begin < end]


def _clipped(found: Iterable[Window], start_at: datetime, end_at: datetime) -> list[Window]:
    inside = [Window(max(each.start_at, start_at), min(each.end_at, end_at)) for each in found]
    return sorted((each for each in inside if each.start_at < each.end_at), key=lambda each: each.start_at)


def _joined(found: Iterable[Window]) -> Iterator[Window]:
    held: Window | None = None
    for each in found:
        if held is not None and each.start_at <= held.end_at:
            held = replace(held, end_at=max(held.end_at, each.end_at))
            continue
        if held is not None:
            yield held
        held = each
    if held is not None:
        yield held


def _of_one(interval: TimeInterval, start_at: datetime, end_at: datetime) -> Iterator[Window]:
    place = zone(interval.location) if interval.location is not None else UTC
    day = datetime.combine(start_at.astimezone(place).date() - DAY, time(), place)
    while day.astimezone(UTC) < end_at:
        following = datetime.combine(day.date() + DAY, time(), place)
        if _whole(day, following):
            yield from _of_day(interval, day, place)
        else:
            yield from _by_minutes(interval, day, following)
        day = following


def _whole(day: datetime, following: datetime) -> bool:
    return following.astimezone(UTC) - day.astimezone(UTC) == DAY and day.utcoffset() == following.utcoffset()


def _of_day(interval: TimeInterval, day: datetime, place: tzinfo) -> Iterator[Window]:
    if not replace(interval, times=None).contains(day):
        return
    for begin, end in interval.times if interval.times is not None else ((0, DAY_MINUTES),):
        yield Window(_moment(day, begin, place), _moment(day, end, place))


def _moment(day: datetime, minute: int, place: tzinfo) -> datetime:
    at = datetime.combine(day.date(), time(), place) + timedelta(minutes=minute)
    return at.astimezone(UTC)


def _by_minutes(interval: TimeInterval, day: datetime, following: datetime) -> Iterator[Window]:
    """Walk the minutes of a day on which clocks are put forward or back."""
    at, end_at = day.astimezone(UTC), following.astimezone(UTC)
    while at < end_at:
        if interval.contains(at):
            yield Window(at, at + MINUTE)
        at += MINUTE
