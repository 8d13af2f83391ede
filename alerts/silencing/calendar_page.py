"""The calendar of quiet: a month or a week of silences and mute times, in the reader's zone, drawn by the server."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.accounts.selectors import zone_of
from aivillage_console.lib import clock
from alerts.engine.occurrences import Window
from alerts.services.quiet_calendar import Entry, entries
from alerts.silencing import listing

VIEWS = ("month", "week")
DAYS_OF_WEEK, DAY_MINUTES = 7, 1440
MOST_OF_DAY = 4
FIRST_YEAR, LAST_YEAR = 2000, 2100


@dataclass(slots=True)
class Piece:
    """The part of a stretch of quiet that lies on one day."""

    entry: Entry
    url: str
    said: str  # From-to, as the day sees it.
    x: int  # Minutes from the day's beginning.
    width: int


@dataclass(slots=True)
class Day:
    """One day of the calendar."""

    at: date
    today: bool
    inside: bool  # Of the month that is shown.
    pieces: list[Piece] = field(default_factory=list)

    @property
    def first(self) -> list[Piece]:
        """Return what a month has room for."""
        return self.pieces[:MOST_OF_DAY]

    @property
    def more(self) -> int:
        """Return how much is left out."""
        return max(0, len(self.pieces) - MOST_OF_DAY)


@require_GET
@role_required(Role.VIEWER)
def calendar(request: HttpRequest) -> HttpResponse:
    """Show a month or a week; which one is in the address."""
    now, place = clock.now(), zone_of(request)
    today = now.astimezone(place).date()
    view = request.GET.get("view", "month")
    view = view if view in VIEWS else "month"
    at = _asked(request.GET.get("at", ""), today)
    first, last = _span(view, at)
    found = entries(_midnight(first, place), _midnight(last, place))
    days = [_day(first + timedelta(days=n), today, at, found, place) for n in range((last - first).days)]
    weeks = [days[n : n + DAYS_OF_WEEK] for n in range(0, len(days), DAYS_OF_WEEK)]
    context: dict[str, Any] = {
        "view": view, "at": at, "weeks": weeks, "days": days, "zone": place, "may": listing.may(request),
        "title": f"{at:%B %Y}" if view == "month" else f"{first:%-d %B} to {last - timedelta(days=1):%-d %B %Y}",
        "before": _address(view, _moved(view, at, -1)), "after": _address(view, _moved(view, at, 1)),
        "now_url": _address(view, today), "empty": not found,
        "views": [(name, _address(name, at)) for name in VIEWS],
    }  # fmt: skip
    return render(request, "silences/calendar.html", context)


def _asked(text: str, today: date) -> date:
    try:
        at = date.fromisoformat(text)
    except ValueError:
        return today
    return at if FIRST_YEAR <= at.year < LAST_YEAR else today


def _span(view: str, at: date) -> tuple[date, date]:
    """Return the first day shown and the one after the last; weeks begin on Monday."""
    first = at.replace(day=1) if view == "month" else at
    first -= timedelta(days=first.weekday())
    if view == "week":
        return first, first + timedelta(days=DAYS_OF_WEEK)
    end = (at.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first, end + timedelta(days=-end.weekday() % DAYS_OF_WEEK)


def _moved(view: str, at: date, by: int) -> date:
    if view == "week":
        return at + timedelta(days=DAYS_OF_WEEK * by)
    first = at.replace(day=1)
    return (first + timedelta(days=31)).replace(day=1) if by > 0 else (first - timedelta(days=1)).replace(day=1)


def _address(view: str, at: date) -> str:
    return f"{reverse('silences:calendar')}?{urlencode({'view': view, 'at': at.isoformat()})}"


def _midnight(day: date, place: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), place)


def _day(day: date, today: date, at: date, found: list[Entry], place: ZoneInfo) -> Day:
    begins, ends = _midnight(day, place), _midnight(day + timedelta(days=1), place)
    pieces = [
        _piece(each, begins, ends, place)
        for each in found
        if each.window.start_at < ends and each.window.end_at > begins
    ]
    return Day(day, day == today, day.month == at.month, pieces)


def _piece(entry: Entry, begins: datetime, ends: datetime, place: ZoneInfo) -> Piece:
    from_here, to_here = max(entry.window.start_at, begins), min(entry.window.end_at, ends)
    name = "silences:detail" if entry.kind == "silence" else "silences:mute-time"
    length = max(1.0, (ends - begins).total_seconds())
    x = round((from_here - begins).total_seconds() / length * DAY_MINUTES)
    width = max(8, round((to_here - from_here).total_seconds() / length * DAY_MINUTES))
    said = _said(Window(from_here, to_here), begins, ends, place)
    return Piece(entry, reverse(name, args=[entry.id]), said, x, width)


def _said(part: Window, begins: datetime, ends: datetime, place: ZoneInfo) -> str:
    whole_from, whole_to = part.start_at <= begins, part.end_at >= ends
    if whole_from and whole_to:
        return "all day"
    start, end = part.start_at.astimezone(place), part.end_at.astimezone(place)
    return f"{'00:00' if whole_from else f'{start:%H:%M}'}\N{EN DASH}{'24:00' if whole_to else f'{end:%H:%M}'}"
