"""Parameters as Prometheus takes them: times, durations, limits, selectors."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from django.http import HttpRequest, QueryDict

from metrics.promql.nodes import Selector
from metrics.promql.parsing import parse
from metrics.promql.types import Matcher, QueryError
from metrics.store.catalogue import accepts
from metrics.store.protocol import Period

DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)  # noqa: TID251
NUMBER = re.compile(r"[+-]?\d{1,12}", re.ASCII)  # noqa: TID251
UNITS_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
MAX_MS = 253_402_300_799_999
# The ends of time as Prometheus' own clients write them, beyond the years a calendar here has.
BOUNDS = {"-292273086-05-16T16:47:06Z": -MAX_MS, "292277025-08-18T07:12:54.999999999Z": MAX_MS}


def parameters(request: HttpRequest) -> QueryDict:
    """Return the parameters of the address and of a form body together; the body's come last and win."""
    if request.method != "POST":
        return request.GET
    joined = request.GET.copy()
    joined.update(request.POST)
    return joined


def bad(name: str, problem: str) -> QueryError:
    """Return the error for a parameter."""
    return QueryError(f'invalid parameter "{name}": {problem}', kind="bad_data")


def quoted(text: str) -> str:
    """Return what was sent, shortened, between quotes."""
    return '"' + text[:60].replace("\\", "\\\\").replace('"', '\\"') + '"'


def moment_ms(values: QueryDict, name: str) -> int:
    """Return a time that must be there."""
    text = values.get(name, "")
    at_ms = parsed_time_ms(text)
    if at_ms is None:
        raise bad(name, f"cannot parse {quoted(text)} to a valid timestamp")
    return at_ms


def time_ms(values: QueryDict, name: str, default: int) -> int:
    """Return a time that may be left out, given as unix seconds or RFC 3339, in milliseconds."""
    text = values.get(name, "")
    if not text:
        return default
    at_ms = parsed_time_ms(text)
    if at_ms is None:
        raise bad(name, f"invalid time value for '{name}': cannot parse {quoted(text)} to a valid timestamp")
    return at_ms


def parsed_time_ms(text: str) -> int | None:
    """Return unix seconds or an RFC 3339 time in milliseconds, None where it is neither."""
    if text in BOUNDS:
        return BOUNDS[text]
    try:
        seconds = _unix(text)
    except ValueError:
        return None
    return round(seconds * 1000) if math.isfinite(seconds) and abs(seconds * 1000) <= MAX_MS else None


def _unix(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def span_ms(values: QueryDict) -> tuple[int, int]:
    """Return start and end, each the end of time where it is missing."""
    return time_ms(values, "start", -MAX_MS), time_ms(values, "end", MAX_MS)


def period_of(values: QueryDict) -> Period | None:
    """Return the period of start and end, open where one is missing, None without either."""
    start_ms, end_ms = span_ms(values)
    return None if start_ms == -MAX_MS and end_ms == MAX_MS else Period(start_ms, end_ms)


def duration_ms(values: QueryDict, name: str, default: int | None = None) -> int:
    """Return a duration given as seconds or in Prometheus' notation, in milliseconds."""
    text = values.get(name, "")
    if not text and default is not None:
        return default
    found = parsed_duration_ms(text)
    if found is None:
        raise bad(name, f"cannot parse {quoted(text)} to a valid duration")
    return found


def parsed_duration_ms(text: str) -> int | None:
    """Return a duration in milliseconds, None where it is none."""
    try:
        total = float(text) * 1000
    except ValueError:
        match = DURATION.fullmatch(text) if text else None
        if match is None:
            return None
        total = float(sum(int(part) * unit for part, unit in zip(match.groups(), UNITS_MS, strict=True) if part))
    return round(total) if math.isfinite(total) and abs(total) <= MAX_MS else None


def lookback_ms(values: QueryDict, default: int) -> int:
    """Return the look-back a query asks for; zero asks for the default."""
    text = values.get("lookback_delta", "")
    found = parsed_duration_ms(text) if text else 0
    if found is None:
        problem = f"error parsing lookback delta duration: cannot parse {quoted(text)} to a valid duration"
        raise QueryError(problem, kind="bad_data")
    return found or default


def limit_of(values: QueryDict) -> int:
    """Return the limit, 0 for none."""
    text = values.get("limit", "") or "0"
    if not NUMBER.fullmatch(text):
        raise bad("limit", f"{quoted(text)} is not a whole number")
    if int(text) < 0:
        raise bad("limit", "limit must be non-negative")
    return int(text)


def number_of(values: QueryDict, name: str) -> int:
    """Return a whole number, -1 where it is missing."""
    text = values.get(name, "")
    if not text:
        return -1
    if not NUMBER.fullmatch(text):
        raise QueryError(f"{name} must be a number", kind="bad_data")
    return int(text)


def matcher_sets(values: QueryDict, *, required: bool = False) -> Sequence[Sequence[Matcher]]:
    """Return the selectors of match[]; without any, one that takes every series."""
    texts = values.getlist("match[]")
    if required and not texts:
        raise QueryError("no match[] parameter provided", kind="bad_data")
    sets = [matchers for text in texts for matchers in selector_of(text)]
    if not all(any(not accepts(matcher, [""])[0] for matcher in matchers) for matchers in sets):
        raise QueryError("match[] must contain at least one non-empty matcher", kind="bad_data")
    return sets or [[]]


def selector_of(text: str, name: str = "match[]") -> Sequence[Sequence[Matcher]]:
    """Return the matchers of a series selector; alternatives joined by `or` come one by one."""
    try:
        root = parse(text).root
    except QueryError as error:
        raise bad(name, str(error)) from None
    if not isinstance(root, Selector) or root.offset_ms or root.anchor is not None:
        raise bad(name, "only a series selector is taken here")
    return root.alternatives
