"""Times and lengths of time as Go shows and lays them out; always UTC."""

import re
from datetime import UTC, datetime, timedelta

from alerts.engine.templates.values import NANOSECONDS, Moment, Span

START = datetime(1970, 1, 1, tzinfo=UTC)
LAYOUT = re.compile(  # noqa: TID251 - our own constant, linear
    r"January|Jan|Monday|Mon|MST|2006|-07:00|Z07:00|-0700|Z0700|-07|_2|01|02|03|04|05|06|15|002|PM|pm"
    r"|[.,](?:0+|9+)(?!\d)|1|2|3|4|5"
)
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December")  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def date_of(moment: Moment) -> datetime:
    """Return the date of a moment, to the second; raises OverflowError outside of the years 1 to 9999."""
    return START + timedelta(seconds=moment.nanoseconds // NANOSECONDS)


def moment_text(moment: Moment) -> str:
    """Return a time as Go shows it."""
    return laid_out(moment, "2006-01-02 15:04:05.999999999 -0700 MST")


def laid_out(moment: Moment, layout: str) -> str:
    """Return a time in one of Go's layouts."""
    try:
        at = date_of(moment)
    except OverflowError:
        return str(moment.nanoseconds // NANOSECONDS)
    return LAYOUT.sub(lambda found: _part(found.group(), at, moment.nanoseconds % NANOSECONDS), layout)


def _part(part: str, at: datetime, nanoseconds: int) -> str:
    if part[0] in ".,":
        digits = f"{nanoseconds:09d}"[: len(part) - 1].ljust(len(part) - 1, "0")
        shown = digits.rstrip("0") if part[1] == "9" else digits
        return part[0] + shown if shown else ""
    month, day, hour = MONTHS[at.month - 1], DAYS[at.weekday()], at.hour % 12 or 12
    parts = {
        "January": month, "Jan": month[:3], "Monday": day, "Mon": day[:3], "MST": "UTC", "2006": f"{at.year:04d}",
        "06": f"{at.year % 100:02d}", "01": f"{at.month:02d}", "1": str(at.month), "02": f"{at.day:02d}",
        "2": str(at.day), "_2": f"{at.day:2d}", "002": f"{at.timetuple().tm_yday:03d}", "15": f"{at.hour:02d}",
        "03": f"{hour:02d}", "3": str(hour), "04": f"{at.minute:02d}", "4": str(at.minute), "05": f"{at.second:02d}",
        "5": str(at.second), "PM": "PM" if at.hour > 11 else "AM", "pm": "pm" if at.hour > 11 else "am",
        "-0700": "+0000", "-07:00": "+00:00", "-07": "+00", "Z07:00": "Z", "Z0700": "Z",
    }  # fmt: skip
    return parts[part]


def span_text(span: Span) -> str:
    """Return a length of time as Go shows it: `1h2m3.5s`, `250ms`, `0s`."""
    size, sign = abs(span.nanoseconds), "-" if span.nanoseconds < 0 else ""
    for unit, nanoseconds in (("ns", 1), ("µs", 1000), ("ms", 1_000_000)):
        if 0 < size < nanoseconds * 1000:
            return f"{sign}{_fraction(size, nanoseconds)}{unit}"
    minutes, rest = divmod(size, 60 * NANOSECONDS)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{_fraction(rest, NANOSECONDS)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else f"{sign}{seconds}"


def _fraction(size: int, unit: int) -> str:
    whole, rest = divmod(size, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
