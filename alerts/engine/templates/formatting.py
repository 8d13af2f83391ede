"""Values as Go's fmt package writes them."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from alerts.engine.templates.times import moment_text, span_text
from alerts.engine.templates.values import Moment, Sample, Span, type_name

VERB = re.compile(  # noqa: TID251 - our own constant, linear
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|\d{1,9})?(?:\.(?P<precision>\*|\d{0,9}))?(?:\[(?P<place>\d{1,3})\])?"
    r"(?P<verb>[^\n]|$)"
)
# Wider and more exact than this is no text for people; Go has such a bound too, a higher one.
WIDEST = 1000
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Style:
    """How one verb wants its value."""

    verb: str
    flags: str = ""
    width: int = 0
    precision: int | None = None

    def padded(self, text: str, *, zeros: bool = False) -> str:
        """Return the text at its width."""
        if "-" in self.flags:
            return text.ljust(self.width)
        if zeros and "0" in self.flags and len(text) < self.width:
            sign = text[0] if text[:1] in ("+", "-", " ") else ""
            return sign + text[len(sign) :].rjust(self.width - len(sign), "0")
        return text.rjust(self.width)

    def signed(self, text: str) -> str:
        """Return a number with the sign the flags ask for."""
        if text.startswith("-"):
            return text
        return f"+{text}" if "+" in self.flags else f" {text}" if " " in self.flags else text


def float_text(value: float, verb: str = "g", precision: int | None = None) -> str:
    """Return a float in Go's `%g`, `%f` or `%e`; without a precision, the shortest text that reads back."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if precision is not None:
        return f"{value:.{precision}{verb}}"
    if verb in "feEF":
        return f"{value:.6{verb}}"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int) or digits == (0,):
        return "-0" if sign else "0"
    power = len(digits) + exponent - 1
    text, minus = "".join(map(str, digits)), "-" if sign else ""
    if power < -4 or power > 5:
        point = f".{text[1:]}" if len(text) > 1 else ""
        return f"{minus}{text[0]}{point}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return f"{minus}{Decimal(repr(abs(value))).normalize():f}"


def shown(value: Any, depth: int = 0) -> str:
    """Return a value as `%v` shows it."""
    if isinstance(value, bool) or value is None:
        return "<nil>" if value is None else str(value).lower()
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return float_text(value)
    return _composed(value, depth)


def _composed(value: Any, depth: int) -> str:
    if depth > DEEPEST:
        return "…"
    if isinstance(value, dict):
        if type_name(value).startswith("map"):
            return f"map[{' '.join(f'{name}:{shown(value[name], depth + 1)}' for name in sorted(value))}]"
        return f"{{{' '.join(shown(one, depth + 1) for one in value.values())}}}"
    if isinstance(value, list):
        return f"[{' '.join(shown(one, depth + 1) for one in value)}]"
    if isinstance(value, Sample):
        return f"{{{shown(dict(value.labels), depth + 1)} {shown(value.value, depth + 1)}}}"
    if isinstance(value, Moment):
        return moment_text(value)
    return span_text(value) if isinstance(value, Span) else str(value)


def printed(values: Sequence[Any], *, lines: bool = False) -> str:
    """Return values beside each other: spaces between all of them in lines, else where neither is a text."""
    pieces = [shown(one) for one in values]
    if lines:
        return " ".join(pieces) + "\n"
    spaces = ["" if isinstance(a, str) or isinstance(b, str) else " " for a, b in pairwise(values)]
    return "".join(piece + space for piece, space in zip(pieces, [*spaces, ""], strict=bool(pieces)))


def quoted(text: str) -> str:
    """Return a text in double quotes."""
    special = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\a": "\\a", "\b": "\\b", "\f": "\\f",
               "\v": "\\v"}  # fmt: skip
    return '"' + "".join(special.get(letter) or _readable(letter) for letter in text) + '"'


def _readable(letter: str) -> str:
    if letter.isprintable():
        return letter
    number = ord(letter)
    return f"\\x{number:02x}" if number < 128 else f"\\u{number:04x}" if number < 65_536 else f"\\U{number:08x}"


def _text(style: Style, value: str) -> str | None:
    cut = value if style.precision is None else value[: style.precision]
    if style.verb == "q" or (style.verb == "v" and "#" in style.flags):
        return style.padded(quoted(cut))
    if style.verb in "xX":
        return style.padded(cut.encode("utf-8", "replace").hex() if style.verb == "x" else cut.encode().hex().upper())
    return style.padded(cut) if style.verb in "sv" else None


def _whole(style: Style, value: int) -> str | None:
    forms: dict[str, Callable[[], str]] = {
        "d": lambda: str(value), "v": lambda: str(value), "x": lambda: f"{value:{'#' if '#' in style.flags else ''}x}",
        "X": lambda: f"{value:X}", "o": lambda: f"{value:o}", "b": lambda: f"{value:b}", "O": lambda: f"0o{value:o}",
    }  # fmt: skip
    if style.verb in forms:
        return style.padded(style.signed(forms[style.verb]()), zeros=True)
    if style.verb in "cqU" and 0 <= value < 0x110000:
        letter = chr(value)
        return style.padded({"c": letter, "q": f"'{letter}'", "U": f"U+{value:04X}"}[style.verb])
    return None


def _float(style: Style, value: float) -> str | None:
    if style.verb not in "vgGeEfF":
        return None
    verb = "g" if style.verb == "v" else style.verb
    text = float_text(value, verb, style.precision)
    finite = math.isfinite(value)
    if text.startswith("+") and "+" not in style.flags:
        return style.padded(text)
    return style.padded(text if text.startswith("+") else style.signed(text), zeros=finite)


def _other(style: Style, value: Any) -> str | None:
    if style.verb == "s" and isinstance(value, Moment | Span):
        return style.padded(shown(value))
    if isinstance(value, bool):
        return style.padded(shown(value)) if style.verb in "tv" else None
    if isinstance(value, Span) and style.verb == "d":
        return style.padded(str(value.nanoseconds))
    if isinstance(value, dict | list) and style.verb == "s":
        return style.padded(shown(value))
    return style.padded(shown(value)) if style.verb == "v" else None


def _formatted(style: Style, value: Any) -> str:
    if style.verb == "T":
        return style.padded(type_name(value))
    if isinstance(value, bool):
        text = _other(style, value)
    elif isinstance(value, str):
        text = _text(style, value)
    elif isinstance(value, int):
        text = _whole(style, value)
    else:
        text = _float(style, value) if isinstance(value, float) else _other(style, value)
    if text is not None:
        return text
    return f"%!{style.verb}(<nil>)" if value is None else f"%!{style.verb}({type_name(value)}={shown(value)})"


class _Values:
    """The values of a pattern, taken in order or by their place."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values, self.next, self.reordered = values, 0, False

    def go_to(self, place: str | None) -> None:
        if place is not None:
            self.next, self.reordered = int(place) - 1, True

    def take(self) -> tuple[Any, bool]:
        """Return the next value, and whether there is one."""
        there = 0 <= self.next < len(self.values)
        self.next += 1
        return self.values[self.next - 1] if there else None, there

    def extra(self) -> str:
        left = [] if self.reordered else self.values[self.next :]
        texts = ["<nil>" if one is None else f"{type_name(one)}={shown(one)}" for one in left]
        return f"%!(EXTRA {', '.join(texts)})" if texts else ""


def sprintf(pattern: str, values: Sequence[Any]) -> str:
    """Return a pattern with its verbs filled in; mistakes show in the text, as in Go."""
    pieces: list[str] = []
    given, at = _Values(values), 0
    for found in VERB.finditer(pattern):
        pieces += [pattern[at : found.start()], _verb(found, given)]
        at = found.end()
    return "".join([*pieces, pattern[at:], given.extra()])


def _verb(found: re.Match[str], given: _Values) -> str:
    if found["verb"] == "%":
        return "%"
    if not found["verb"]:
        return "%!(NOVERB)"
    width, precision = _number(found["width"], given), _number(found["precision"], given)
    if width is None or abs(width) > WIDEST:
        return "%!(BADWIDTH)"
    if precision is None or precision > WIDEST:
        return "%!(BADPREC)"
    given.go_to(found["place"])
    value, there = given.take()
    if not there:
        return f"%!{found['verb']}({'BADINDEX' if given.reordered else 'MISSING'})"
    flags = found["flags"] + ("-" if width < 0 else "")
    exact = None if found["precision"] is None else max(precision, 0)
    return _formatted(Style(found["verb"], flags, abs(width), exact), value)


def _number(text: str | None, given: _Values) -> int | None:
    if text != "*":
        return int(text) if text else 0
    value, _ = given.take()
    return value if isinstance(value, int) and not isinstance(value, bool) else None
