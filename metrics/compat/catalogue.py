"""What there is: labels, their values, series, metadata."""

from metrics import selectors
from metrics.compat.answers import Asked, cut_answer, data_answer, endpoint
from metrics.compat.parameters import limit_of, matcher_sets, number_of, period_of
from metrics.promql.types import QueryError

ESCAPED = "U__"
# What Prometheus calls a metric nobody has told the type of.
UNTOLD = {"untyped": "unknown", "": "unknown"}
# The longest run of hexadecimal digits that can be a character.
LONGEST_CODE = 6


def unescaped(name: str) -> str:
    """Return the UTF-8 name that `U__…` stands for; a text that is no such escape comes back as it is.

    Each `_xx_` is the character of that hexadecimal number, and two underscores are one.
    """
    if not name.startswith(ESCAPED):
        return name
    rest, found, index = name.removeprefix(ESCAPED), [], 0
    while index < len(rest):
        if rest[index] != "_":
            found.append(rest[index])
            index += 1
        elif rest[index : index + 2] == "__":
            found.append("_")
            index += 2
        else:
            end = rest.find("_", index + 1)
            character = _character(rest[index + 1 : end]) if end > 0 else None
            if character is None:
                return name
            found.append(character)
            index = end + 1
    return "".join(found)


def _character(digits: str) -> str | None:
    if not 0 < len(digits) <= LONGEST_CODE or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        return None
    number = int(digits, 16)
    return None if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF else chr(number)


@endpoint("GET", "POST")
def labels(asked: Asked) -> bytes:
    """GET or POST /api/v1/labels."""
    limit, period = limit_of(asked.values), period_of(asked.values)
    found = selectors.label_names(matcher_sets(asked.values), period=period, viewer=asked.viewer)
    return cut_answer(found, limit)


@endpoint("GET")
def label_values(asked: Asked, name: str) -> bytes:
    """GET /api/v1/label/<name>/values."""
    name = unescaped(name)
    if not name or "\0" in name:
        raise QueryError(f'invalid label name: "{name[:60]}"', kind="bad_data")
    limit, period = limit_of(asked.values), period_of(asked.values)
    found = selectors.label_values(name, matcher_sets(asked.values), period=period, viewer=asked.viewer)
    return cut_answer(found, limit)


@endpoint("GET", "POST")
def series(asked: Asked) -> bytes:
    """GET or POST /api/v1/series."""
    wanted, limit = matcher_sets(asked.values, required=True), limit_of(asked.values)
    found = selectors.series_matching(wanted, period=period_of(asked.values), viewer=asked.viewer)
    return cut_answer(found, limit)


@endpoint("GET")
def metadata(asked: Asked) -> bytes:
    """GET /api/v1/metadata; a family has one entry here, so any limit per metric leaves it."""
    values = asked.values
    limit, _ = number_of(values, "limit"), number_of(values, "limit_per_metric")
    found = {} if limit == 0 else selectors.metadata(
        metric=values.get("metric", ""), limit=max(limit, 0), viewer=asked.viewer
    )  # fmt: skip
    for entries in found.values():
        for entry in entries:
            entry["type"] = UNTOLD.get(entry["type"], entry["type"])
    return data_answer(found)
