"""The text of one series (name and labels, as a page writes them) to its labels."""

import math
import re
from decimal import Decimal

from metrics.domain import METRIC_NAME_LABEL
from metrics.wire.exposition.forms import ExpositionError

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")  # noqa: TID251 - our own constant, linear
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)  # noqa: TID251 - our own constant, linear
ESCAPE = re.compile(r'\\([\\n"])')  # noqa: TID251 - our own constant, linear
NUMBER = re.compile(r"[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|inf(inity)?|nan)", re.IGNORECASE | re.ASCII)  # noqa: TID251 - our own constant, linear
BLANKS = " \t"
# Numbers of more digits before the point are written with an exponent.
PLAIN_DIGITS = 6


def unescaped(text: str) -> str:
    """Return a quoted text as it was meant; an escape that means nothing stays as it is."""
    return ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text) if "\\" in text else text


def number(text: str) -> float:
    """Return a number of a page, or raise ExpositionError."""
    if not NUMBER.fullmatch(text):
        raise ExpositionError(f"{text[:40]!r} is not a number")
    return float(text)


def canonical(bound: str) -> str:
    """Return a bucket's bound or a quantile as OpenMetrics writes it, so that 1 and 1.0 are one series."""
    try:
        value = number(bound)
    except ExpositionError:
        return bound
    return number_text(value)


def number_text(value: float) -> str:
    """Return a number as OpenMetrics writes it."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign, figures, exponent = Decimal(repr(value)).as_tuple()
    digits = "".join(map(str, figures)).rstrip("0") or "0"
    # The power of ten in front of which the first digit stands.
    power = len(figures) + int(exponent) - 1 if value else 0
    minus = "-" if sign else ""
    if power < -4 or power >= PLAIN_DIGITS:
        mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
        return f"{minus}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{digits}"
    whole, part = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return f"{minus}{whole}.{part or '0'}"


class _Reader:
    """Walks over the braces of a series."""

    def __init__(self, text: str, place: int) -> None:
        self.text, self.place = text, place

    def blanks(self) -> str:
        """Step over blanks; return what comes next."""
        while self.text[self.place : self.place + 1] in BLANKS and self.place < len(self.text):
            self.place += 1
        return self.text[self.place : self.place + 1]

    def quoted(self) -> str:
        found = QUOTED.match(self.text, self.place)
        if found is None:
            raise ExpositionError(f"a label value without quotes in {self.text[:80]!r}")
        self.place = found.end()
        return unescaped(found[1])

    def name(self) -> str:
        found = LABEL.match(self.text, self.place)
        if found is None:
            raise ExpositionError(f"a label name is missing or not allowed in {self.text[:80]!r}")
        self.place = found.end()
        return found[0]

    def expect(self, letter: str) -> None:
        if self.blanks() != letter:
            raise ExpositionError(f"expected {letter!r} at place {self.place + 1} of {self.text[:80]!r}")
        self.place += 1


def _pairs(reader: _Reader, *, named: bool) -> list[tuple[str, str]]:
    """Read from after the opening brace to the end; a quoted text without a value is the metric's name."""
    pairs: list[tuple[str, str]] = []
    while (letter := reader.blanks()) != "}":
        quoted = letter == '"'
        name = reader.quoted() if quoted else reader.name()
        if quoted and reader.blanks() in (",", "}"):
            if named:
                raise ExpositionError(f"the metric is named twice in {reader.text[:80]!r}")
            named = True
            pairs.append((METRIC_NAME_LABEL, name))
        else:
            reader.expect("=")
            reader.blanks()
            pairs.append((name, reader.quoted()))
        if reader.blanks() != "}":
            reader.expect(",")
    reader.place += 1
    return pairs


def labels_of(text: str) -> dict[str, str]:
    """Return the labels of `{…}`, as an exemplar has them."""
    reader = _Reader(text, 0)
    reader.expect("{")
    return _once(_pairs(reader, named=True), text)


def _once(pairs: list[tuple[str, str]], text: str) -> dict[str, str]:
    labels = dict(pairs)
    if len(labels) != len(pairs):
        raise ExpositionError(f"a label name is given twice in {text[:80]!r}")
    return labels


def series_of(raw: bytes) -> dict[str, str]:
    """Return the labels (with `__name__`) of `name{label="value",…}` or `{"name",label="value",…}`."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ExpositionError(f"{raw[:80]!r} is not UTF-8") from None
    found = METRIC.match(text)
    reader = _Reader(text, found.end() if found else 0)
    pairs = [(METRIC_NAME_LABEL, found[0])] if found else []
    if reader.blanks():
        reader.expect("{")
        pairs += _pairs(reader, named=bool(found))
    labels = _once(pairs, text)
    if not labels.get(METRIC_NAME_LABEL):
        raise ExpositionError(f"the metric name is missing or not allowed in {text[:80]!r}")
    if reader.place != len(text):
        raise ExpositionError(f"something stands behind the labels in {text[:80]!r}")
    return labels
