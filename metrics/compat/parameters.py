"""Parameters as Prometheus takes them: times, durations, selectors."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from django.http import HttpRequest, QueryDict

from metrics.promql.nodes import Selector
from metrics.promql.parsing import parse
from metrics.promql.types import Matcher, QueryError
from metrics.store.protocol import Period

DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")  # noqa: TID251
UNITS_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
MAX_MS = 253_402_300_799_999


def parameters(request: HttpRequest) -> QueryDict:
    """Return the parameters of the address and of a form body together."""
    joined = request.GET.copy()
    if request.method == "POST":
        joined.update(request.POST)
    return joined


def bad(name: str, problem: str) -> QueryError:
    """Return the error for a parameter."""
    return QueryError(f'invalid parameter "{name}": {problem}', kind="bad_data")


def time_ms(values: QueryDict, name: str, default: int | None = None) -> int:
    """Return a time given as unix seconds or RFC 3339, in milliseconds."""
    text = values.get(name, "")
    if not text:
        if default is None:
            raise bad(name, 'cannot parse "" to a valid timestamp')
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = _rfc3339(name, text)
    if not math.isfinite(seconds) or abs(seconds * 1000) > MAX_MS:
        raise bad(name, f'cannot parse "{text[:60]}" to a valid timestamp')
    return round(seconds * 1000)


def period_of(values: QueryDict) -> Period | None:
    """Return the period of start and end, open where one is missing, None without either."""
    if not values.get("start") and not values.get("end"):
        return None
    return Period(time_ms(values, "start", -MAX_MS), time_ms(values, "end", MAX_MS))


def _rfc3339(name: str, text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise bad(name, f'cannot parse "{text[:60]}" to a valid timestamp') from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def duration_ms(values: QueryDict, name: str, default: int | None = None) -> int:
    """Return a duration given as seconds or in Prometheus' notation, in milliseconds."""
    text = values.get(name, "")
    if not text and default is not None:
        return default
    try:
        total = float(text) * 1000
    except ValueError:
        match = DURATION.fullmatch(text) if text else None
        if match is None:
            raise bad(name, f'cannot parse "{text[:60]}" to a valid duration') from None
        total = float(sum(int(part) * unit for part, unit in zip(match.groups(), UNITS_MS, strict=True) if part))
    if not math.isfinite(total) or abs(total) > MAX_MS:
        raise bad(name, f'cannot parse "{text[:60]}" to a valid duration')
    return round(total)


def limit_of(values: QueryDict) -> int:
    """Return the limit, 0 for none."""
    text = values.get("limit", "") or "0"
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise bad("limit", "limit must be a whole number, 0 or more")
    return int(text)


def matcher_sets(values: QueryDict, *, required: bool = False) -> Sequence[Sequence[Matcher]]:
    """Return the selectors of match[]; without any, one that takes every series."""
    texts = values.getlist("match[]")
    if required and not texts:
        raise QueryError("no match[] parameter provided", kind="bad_data")
    return [matchers for text in texts for matchers in _selector(text)] or [[]]


def _selector(text: str) -> Sequence[Sequence[Matcher]]:
    root = parse(text).root
    if not isinstance(root, Selector):
        raise bad("match[]", "only a series selector is taken here")
    return root.alternatives
