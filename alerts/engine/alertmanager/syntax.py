"""Which syntax of matchers and label names holds: classic, UTF-8, or UTF-8 with the classic one behind it."""

import re
from dataclasses import dataclass
from typing import Literal

from alerts.engine.alertmanager import classic, utf8
from alerts.engine.alertmanager.matching import BadMatcher, Matcher

Mode = Literal["classic", "utf8", "fallback"]
CLASSIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear


@dataclass(frozen=True, slots=True)
class Read:
    """Matchers, and a warning where the two syntaxes disagree about the text."""

    matchers: list[Matcher]
    warning: str = ""


def is_classic_name(name: str) -> bool:
    """Tell whether a label name is letters, digits and underscores, no digit first."""
    return CLASSIC_NAME.fullmatch(name) is not None


def is_name(name: str, mode: Mode) -> bool:
    """Tell whether a text may name a label."""
    if mode == "classic":
        return is_classic_name(name)
    return bool(name) and not any(0xD800 <= ord(char) <= 0xDFFF for char in name)


def matchers(text: str, mode: Mode = "fallback") -> list[Matcher]:
    """Read any number of matchers; raises BadMatcher."""
    return read(text, mode).matchers


def matcher(text: str, mode: Mode = "fallback") -> Matcher:
    """Read exactly one matcher; raises BadMatcher."""
    if mode == "classic":
        return classic.parse_matcher(text)
    if text.startswith("{") or text.endswith("}"):
        raise BadMatcher(f"unexpected open or close brace: {text}")
    if mode == "utf8":
        return utf8.parse_matcher(text)
    try:
        newer = utf8.parse_matcher(text)
    except BadMatcher:
        return classic.parse_matcher(text)
    try:
        older = classic.parse_matcher(text)
    except BadMatcher:
        return newer
    return older


def read(text: str, mode: Mode = "fallback") -> Read:
    """Read any number of matchers, and say where the two syntaxes disagree; raises BadMatcher."""
    if mode == "classic":
        return Read(classic.parse_matchers(text))
    if mode == "utf8":
        return Read(utf8.parse_matchers(text))
    try:
        newer = utf8.parse_matchers(text)
    except BadMatcher as problem:
        older = classic.parse_matchers(text)
        better = ",".join(str(each) for each in older)
        return Read(older, f"{text!r} is read by the classic syntax only ({problem}); write {better}")
    try:
        older = classic.parse_matchers(text)
    except BadMatcher:
        return Read(newer)
    if older != newer:
        return Read(older, f"{text!r} means one thing in the classic syntax, which holds, and another in the newer")
    return Read(newer)
