"""Times as senders write them: RFC 3339 and its careless cousins, epochs in any unit, mail's and Go's."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# The largest number each unit of an epoch can be before the year 2286.
UNITS = ((1e10, 1.0), (1e13, 1e3), (1e16, 1e6), (1e19, 1e9))
OLDEST_SECONDS = 946_684_800  # 2000: what is before is a counter, not a time.
FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S",
    "%Y.%m.%d %H:%M:%S",
    "%a %b %d %H:%M:%S %Y", "%b %d %Y %H:%M:%S", "%b %d, %Y %H:%M:%S", "%b %d, %Y, %I:%M:%S %p", "%B %d, %Y %H:%M:%S",
    "%d %b %Y %H:%M:%S", "%d %b %Y, %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%Y-%m-%d %H:%M",
    "%Y-%m-%d", "%Y%m%dT%H%M%S",
)  # fmt: skip
ZONES = ("UTC", "GMT", "Z")
LONGEST = 60


def moment(value: object) -> datetime | None:
    """Return the time a value means, or None for none, for a zero and for what is no time."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _epoch(float(value))
    text = str(value).strip()
    if not text or len(text) > LONGEST:
        return None
    try:
        return _epoch(float(text))
    except ValueError:
        return _written(text)


def _epoch(number: float) -> datetime | None:
    for limit, per_second in UNITS:
        if number < limit:
            seconds = number / per_second
            return datetime.fromtimestamp(seconds, UTC) if seconds >= OLDEST_SECONDS else None
    return None


def _written(text: str) -> datetime | None:
    for attempt in _attempts(text):
        if attempt.year >= 2000:  # Go's zero time is the year 1
            return attempt if attempt.tzinfo else attempt.replace(tzinfo=UTC)
    return None


def _attempts(text: str) -> Iterator[datetime]:
    """Yield what each way of reading makes of a text."""
    tidy = _tidied(text)
    for candidate in (text, tidy):
        try:
            yield datetime.fromisoformat(candidate)
        except ValueError:
            continue
    for form in FORMATS:
        try:
            yield datetime.strptime(_zoneless(text), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    try:
        yield parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return


def _zoneless(text: str) -> str:
    words = [word for word in text.split() if word not in ZONES]
    return " ".join(words).rpartition(".")[0] if "." in (words[-1] if words else "") else " ".join(words)


def _tidied(text: str) -> str:
    """Return a time with at most microseconds, a zone with a colon, and no name of the zone."""
    words = [word for word in text.replace("/", "-").split() if word not in ZONES]
    joined = "T".join(words[:2]) if len(words) > 1 and ":" not in words[0] else "".join(words[:1])
    zone = words[2] if len(words) > 2 and words[2][0] in "+-" else ""  # date, time, zone
    head, dot, rest = joined.partition(".")
    cut = next((place for place, letter in enumerate(rest) if not letter.isdecimal()), len(rest))
    fraction, inner = rest[:cut][:6], rest[cut:]
    # A careless sender writes +01.00.
    return head + (dot + fraction if fraction else "") + (inner or zone).replace(".", ":")
