"""The older, tolerant syntax of matchers: classic label names, values with or without quotes."""

import re

from alerts.engine.alertmanager.matching import BadMatcher, Matcher, matcher
from alerts.engine.alertmanager.quoting import SPACES

FORM = re.compile(  # noqa: TID251 - our own constant; the value is cut by hand below, so it is linear
    r"[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)"
)
BLANKS = "\t\n\f\r "
UNESCAPED = "matcher value contains unescaped double quote: "


def parse_matchers(text: str) -> list[Matcher]:
    """Read matchers separated by commas, braces around them or not; raises BadMatcher."""
    return [parse_matcher(part) for part in _parts(text.removeprefix("{").removesuffix("}"))]


def _parts(text: str) -> list[str]:
    """Cut at the commas outside of quotes."""
    parts, current, quoted, escaped = [], "", False, False
    for char in text:
        if char == "," and not quoted:
            parts.append(current)
            current = ""
            continue
        if char == '"':
            quoted = quoted if escaped else not quoted
            escaped = False
        elif char == "\\":
            escaped = not escaped
        elif char != ",":
            escaped = False
        current += char
    last = current.strip(SPACES)
    return [*parts, last] if last else parts


def parse_matcher(text: str) -> Matcher:
    """Read one matcher; raises BadMatcher."""
    found = FORM.match(text)
    if found is None:
        raise BadMatcher(f"bad matcher format: {text}")
    raw = text[found.end() :].strip(BLANKS)
    return matcher(found[2], found[1], _value(raw))


def _value(raw: str) -> str:
    """Return a value without its quotes and escapes."""
    opened = raw.startswith('"')
    body = raw[1:] if opened else raw
    value, escaped = "", False
    for at, char in enumerate(body):
        last = at == len(body) - 1
        if escaped:
            value += {"n": "\n", '"': '"', "\\": "\\"}.get(char, "\\" + char)
            escaped = False
        elif char == "\\" and not last:
            escaped = True
        elif char == '"':
            if not opened or not last:
                raise BadMatcher(UNESCAPED + raw)
            opened = False
        else:
            value += char
    if opened:
        raise BadMatcher(UNESCAPED + raw)
    return value
