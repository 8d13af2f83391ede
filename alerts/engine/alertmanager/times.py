"""Time intervals: times of day, weekdays, days of the month, months and years, in a place's own time."""

import calendar
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from alerts.engine.alertmanager.documents import BadConfig, Reading, list_of, plain_text, struct

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
LONGEST_MONTH = 31
SHORTEST_MONTH = 28
DAY_MINUTES = 1440
Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """When all that is given holds; nothing given is always. Minutes exclude their end, the rest includes it."""

    times: tuple[Range, ...] | None = None
    weekdays: tuple[Range, ...] | None = None
    days_of_month: tuple[Range, ...] | None = None
    months: tuple[Range, ...] | None = None
    years: tuple[Range, ...] | None = None
    location: str | None = None

    def contains(self, at: datetime) -> bool:
        """Tell whether a moment is inside."""
        here = at.astimezone(zone(self.location) if self.location is not None else UTC)
        minute = here.hour * 60 + here.minute
        return (
            (self.times is None or any(begin <= minute < end for begin, end in self.times))
            and (self.days_of_month is None or any(_day_within(here, each) for each in self.days_of_month))
            and _within(self.months, here.month)
            and _within(self.weekdays, here.isoweekday() % 7)
            and _within(self.years, here.year)
        )


def _within(ranges: Iterable[Range] | None, value: int) -> bool:
    return ranges is None or any(begin <= value <= end for begin, end in ranges)


def _day_within(here: datetime, days: Range) -> bool:
    """Tell whether a day is in a range; negative days count from the month's end."""
    last = calendar.monthrange(here.year, here.month)[1]
    begin, end = (last + day + 1 if day < 0 else day for day in days)
    return begin <= last and max(begin, -last) <= here.day <= min(max(end, -last), last)


def zone(name: str) -> ZoneInfo:
    """Return a time zone by name; raises BadConfig."""
    try:
        return ZoneInfo("UTC" if name in {"", "Local"} else name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise BadConfig(f"unknown time zone {name}") from problem


def muted(names: Iterable[str], intervals: Mapping[str, Iterable[TimeInterval]], at: datetime) -> list[str]:
    """Return which of the named intervals hold at a moment; a name nobody defined raises BadConfig."""
    found = []
    for name in names:
        if name not in intervals:
            raise BadConfig(f"time interval {name} doesn't exist in config")
        found += [name for each in intervals[name] if each.contains(at)]
    return found


def time_range(reading: Reading, node: yaml.Node) -> Range:
    """Read start_time and end_time as minutes of the day; raises BadConfig."""
    before = len(reading.mistakes)
    values = struct({"start_time": plain_text, "end_time": plain_text})(reading, node)
    if len(reading.mistakes) > before:
        return 0, 0
    if not values.get("start_time") or not values.get("end_time"):
        raise BadConfig("both start and end times must be provided")
    start, end = _minute(values["start_time"]), _minute(values["end_time"])
    if start >= end:
        raise BadConfig("start time cannot be equal or greater than end time")
    return start, end


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    whole = all(len(part) == len("00") and part.isascii() and part.isdigit() for part in (hours, minutes))
    if not whole or int(minutes) >= 60 or int(hours) * 60 + int(minutes) > DAY_MINUTES:
        raise BadConfig(f"couldn't parse timestamp {text}, invalid format")
    return int(hours) * 60 + int(minutes)


def _range(reading: Reading, node: yaml.Node, member: Callable[[str], int]) -> tuple[str, Range] | None:
    before, text = len(reading.mistakes), plain_text(reading, node)
    if len(reading.mistakes) > before:
        return None
    parts = text.lower().split(":")
    if len(parts) > len(("begin", "end")):
        raise BadConfig(f"couldn't parse range {text.lower()}, invalid format")
    begin = member(parts[0])
    return text, (begin, member(parts[-1]) if len(parts) > 1 else begin)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as problem:
        raise BadConfig(f'strconv.Atoi: parsing "{text}": invalid syntax') from problem


def _weekday(text: str) -> int:
    if text not in DAYS:
        raise BadConfig(f"{text} is not a valid weekday")
    return DAYS.index(text)


def _month(text: str) -> int:
    if text in MONTHS:
        return MONTHS.index(text) + 1
    try:
        return int(text)
    except ValueError as problem:
        raise BadConfig(f"{text} is not a valid month") from problem


def weekdays(reading: Reading, node: yaml.Node) -> Range:
    """Read a weekday or a range of them; raises BadConfig."""
    found = _range(reading, node, _weekday)
    if found is None:
        return 0, 0
    begin, end = found[1]
    if begin > end:
        raise BadConfig("start day cannot be before end day")
    return begin, end


def days_of_month(reading: Reading, node: yaml.Node) -> Range:
    """Read a day of the month or a range of them; raises BadConfig."""
    found = _range(reading, node, _whole)
    if found is None:
        return 1, 1
    begin, end = found[1]
    for day in (begin, end):
        if day == 0 or abs(day) > LONGEST_MONTH:
            raise BadConfig(f"{day} is not a valid day of the month: out of range")
    if begin < 0 < end:
        raise BadConfig("end day must be negative if start day is negative")
    first, last = (SHORTEST_MONTH + day if day < 0 else day for day in (begin, end))
    if first > last:
        raise BadConfig(f"end day {end} is always before start day {begin}")
    return begin, end


def months(reading: Reading, node: yaml.Node) -> Range:
    """Read a month, by name or number, or a range of them; raises BadConfig."""
    found = _range(reading, node, _month)
    if found is None:
        return 1, 1
    begin, end = found[1]
    if begin > end:
        raise BadConfig(f"end month {_month_name(end)} is before start month {_month_name(begin)}")
    return begin, end


def _month_name(month: int) -> str:
    return MONTHS[month - 1] if 1 <= month <= len(MONTHS) else ""


def years(reading: Reading, node: yaml.Node) -> Range:
    """Read a year or a range of them; raises BadConfig."""
    found = _range(reading, node, _whole)
    if found is None:
        return 1, 1
    begin, end = found[1]
    if begin > end:
        raise BadConfig(f"end year {end} is before start year {begin}")
    return begin, end


def location(reading: Reading, node: yaml.Node) -> str:
    """Read the name of a time zone; raises BadConfig."""
    name = plain_text(reading, node)
    zone(name)
    return name


_FIELDS = struct(
    {
        "times": list_of(time_range),
        "weekdays": list_of(weekdays),
        "days_of_month": list_of(days_of_month),
        "months": list_of(months),
        "years": list_of(years),
        "location": location,
    },
    name="timeinterval.TimeInterval",
)


def time_interval(reading: Reading, node: yaml.Node) -> TimeInterval:
    """Read one interval; raises BadConfig."""
    values: dict[str, Any] = _FIELDS(reading, node)
    ranges = {
        name: tuple(each for each in found if each is not None)
        for name, found in values.items()
        if isinstance(found, list)
    }
    return TimeInterval(**ranges, location=values.get("location"))
