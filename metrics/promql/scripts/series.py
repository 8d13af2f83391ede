"""One line of a script that describes a series: its labels and the points it expands to."""

import math
import re
from dataclasses import dataclass

from metrics.native_histograms.model import Histogram
from metrics.promql.labels import NAME
from metrics.promql.scripts.durations import BadScript, duration_ms
from metrics.promql.scripts.notation import histogram_of, histograms_expanded
from metrics.promql.syntax.strings import BadText, unquote
from metrics.promql.types import STALE_NAN

# As many points as one item may expand to; a script is small.
MOST_POINTS = 1_000_000
NAME_PATTERN = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
STRING_PATTERN = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
NUMBER_PATTERN = r"(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN]"
HEAD = re.compile(rf"({NAME_PATTERN})?(\{{(?!\{{))?")  # noqa: TID251 - our own constant, linear
LABEL = re.compile(  # noqa: TID251 - our own constant, linear
    rf"\s*(?P<name>{NAME_PATTERN}|{STRING_PATTERN})\s*(?:=\s*(?P<value>{STRING_PATTERN}))?\s*(?P<end>,\s*\}}|,|\}})"
)
NO_LABELS = re.compile(r"\s*\}")  # noqa: TID251 - our own constant, linear
BLANK = re.compile(r"_(?:x(\d+))?")  # noqa: TID251 - our own constant, linear
NUMBERS = re.compile(  # noqa: TID251 - our own constant, linear
    rf"(?P<first>stale|[+-]?(?:{NUMBER_PATTERN}))(?P<step>[+-](?:{NUMBER_PATTERN}))?(?:x(?P<times>\d+))?"
)
HISTOGRAMS = re.compile(  # noqa: TID251 - our own constant, linear
    r"\{\{(?P<first>[^{}]*)\}\}(?:(?P<sign>[+-])\{\{(?P<step>[^{}]*)\}\})?(?:x(?P<times>\d+))?"
)
SHIFT = re.compile(r"([+-]?)(\d+[a-z]*)")  # noqa: TID251 - our own constant, linear
ITEM_END = re.compile(r"\s+|$")  # noqa: TID251 - our own constant, linear


@dataclass(frozen=True, slots=True)
class Point:
    """A number, a histogram, or nothing where both are None; `hinted` when the reset hint is to be compared."""

    value: float | None = None
    histogram: Histogram | None = None
    hinted: bool = False

    @property
    def omitted(self) -> bool:
        """Tell whether there is nothing here."""
        return self.value is None and self.histogram is None

    @property
    def number(self) -> float:
        """Return the number, 0 where there is none."""
        return 0.0 if self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Series:
    """A series of a script."""

    labels: dict[str, str]
    points: list[Point]


def number_of(text: str) -> float:
    """Read a number as the query language does."""
    bare = text.lstrip("+-")
    if bare.lower() in {"inf", "nan"}:
        value = math.inf if bare.lower() == "inf" else math.nan
    else:
        try:
            value = float(int(bare, 0)) if bare[:2].lower() in {"0x", "0o", "0b"} else float(bare)
        except ValueError:
            raise BadScript(f"not a number: {text!r}") from None
    return -value if text.startswith("-") else value


def series_of(line: str) -> Series:
    """Read labels and points."""
    labels, rest = labels_of(line)
    return Series(labels, points_of(rest))


def labels_of(line: str) -> tuple[dict[str, str], str]:
    """Read the labels at the start of a line; returns them and what follows."""
    head = HEAD.match(line)
    if head is None or not head.group():
        raise BadScript(f"no series in {line!r}")
    labels = {NAME: head.group(1)} if head.group(1) else {}
    at = head.end()
    if not head.group(2):
        return labels, line[head.end(1) :]
    empty = NO_LABELS.match(line, at)
    if empty:
        return labels, line[empty.end() :]
    while True:
        found = LABEL.match(line, at)
        if found is None:
            raise BadScript(f"labels cannot be read from {line[at:]!r}")
        _add_label(labels, found)
        at = found.end()
        if found["end"] != ",":
            return labels, line[at:]


def _add_label(labels: dict[str, str], found: re.Match[str]) -> None:
    name = _text(found["name"]) if found["name"][0] in "\"'`" else found["name"]
    if found["value"] is not None:
        value = _text(found["value"])
        if value:
            labels[name] = value
        return
    if found["name"][0] not in "\"'`" or NAME in labels:
        raise BadScript(f"label {name!r} has no value")
    labels[NAME] = name


def _text(literal: str) -> str:
    try:
        return unquote(literal)
    except BadText as problem:
        raise BadScript(str(problem)) from problem


def points_of(text: str) -> list[Point]:
    """Expand a sequence of points."""
    points: list[Point] = []
    rest = text.strip()
    while rest:
        found = BLANK.match(rest) or NUMBERS.match(rest) or HISTOGRAMS.match(rest)
        end = None if found is None else ITEM_END.match(rest, found.end())
        if found is None or end is None:
            raise BadScript(f"no point can be read from {rest!r}")
        points += _expanded(found)
        if len(points) > MOST_POINTS:
            raise BadScript(f"a series has more than {MOST_POINTS} points")
        rest = rest[end.end() :]
    return points


def _count(text: str | None) -> int:
    if text is None:
        return 0
    if len(text) > len(str(MOST_POINTS)) or int(text) > MOST_POINTS:
        raise BadScript(f"a series has more than {MOST_POINTS} points")
    return int(text)


def _expanded(found: re.Match[str]) -> list[Point]:
    if found.re is BLANK:
        return [Point()] * (1 if found.group(1) is None else _count(found.group(1)))
    times = _count(found["times"])
    if found["step"] is not None and found["times"] is None:
        raise BadScript(f"{found.group()!r} does not say how often, as in 1+2x3")
    if found.re is HISTOGRAMS:
        return _histograms(found, times)
    if found["first"] == "stale":
        return [Point(STALE_NAN)] * (times + 1)
    value, step = number_of(found["first"]), number_of(found["step"]) if found["step"] else None
    points = []
    for _ in range(times + 1):
        points.append(Point(value))
        value = value if step is None else value + step
    return points


def _histograms(found: re.Match[str], times: int) -> list[Point]:
    first, hinted = histogram_of(found["first"])
    if found["step"] is None:
        return [Point(None, first, hinted)] * (times + 1)
    step, hinted = histogram_of(found["step"])
    return [
        Point(None, histogram, hinted)
        for histogram in histograms_expanded(first, step, times, added=found["sign"] == "+")
    ]


def shifts_of(text: str) -> list[int | None]:
    """Expand a sequence of start times, each in milliseconds from its sample; None where there is none."""
    shifts: list[int | None] = []
    for item in text.split():
        blank = BLANK.fullmatch(item)
        shifts += [None] * (_count(blank.group(1)) if blank.group(1) else 1) if blank else _shifts(item)
    return shifts


def _shifts(item: str) -> list[int | None]:
    body, _, times = item.partition("x")
    first = SHIFT.match(body)
    if first is None:
        raise BadScript(f"invalid start time {item!r}")
    step = SHIFT.fullmatch(body, first.end()) if first.end() < len(body) else None
    if first.end() < len(body) and (step is None or not times):
        raise BadScript(f"invalid start time {item!r}")
    count = _count(times) if times else 0
    base, delta = _signed_ms(first), 0 if step is None else _signed_ms(step)
    return [base + delta * place for place in range(count + 1)]


def _signed_ms(found: re.Match[str]) -> int:
    return duration_ms(found.group(2)) * (-1 if found.group(1) == "-" else 1)
