"""What a request carries, value by value, and what the scorers make of it. Pure."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, unquote_plus

from aivillage_observability.scoring import Injection, score_injection

VALUES_MAX = 100
DEPTH_MAX = 8
SHOWN_CHARS = 2000
FORM = "application/x-www-form-urlencoded"
READABLE = (FORM, "application/json", "text/plain")


@dataclass(slots=True)
class Seen:
    """One request as the watch sees it."""

    method: str
    path: str
    query: str
    address: str
    user_id: str = ""
    user_agent: str = ""
    content_type: str = ""
    content_bytes: int | None = None
    body: bytes = b""

    @property
    def endpoint(self) -> str:
        """Return the path with ids left out, so that a window counts requests to one thing."""
        return "/".join("*" if _is_id(part) else part for part in self.path[:300].split("/"))

    @property
    def readable(self) -> bool:
        """Return whether the body is of a kind whose values can be told apart."""
        return self.content_type.partition(";")[0].strip().lower() in READABLE


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A value that attacks, where it stood, and how sure the scorers are."""

    event_type: str
    where: str
    field: str
    text: str
    found: Injection

    def details(self, seen: Seen) -> dict[str, object]:
        """Return what travels; the text is data, shown and stored as such."""
        reasons = self.found.worst.reasons
        at = max(self.text.find(reasons[0].excerpt), 0) if reasons else 0
        start = max(at - SHOWN_CHARS // 4, 0) if len(self.text) > SHOWN_CHARS else 0
        return {
            "input_data": self.text[start : start + SHOWN_CHARS],
            "where": self.where,
            "field": self.field[:100],
            "endpoint": seen.endpoint,
            "method": seen.method,
            "user_agent": seen.user_agent[:300],
            "reasons": [reason.code for reason in reasons],
        }


def _is_id(part: str) -> bool:
    return part.isdigit() or (len(part) >= 32 and all(sign in "0123456789abcdefABCDEF-" for sign in part))


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("&", VALUES_MAX)[:VALUES_MAX] if "=" in text else [text]:
        name, _, value = part.partition("=")
        yield (unquote_plus(name), unquote_plus(value)) if "=" in part else ("", unquote_plus(part))


def _of_json(value: object, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            yield from _of_json(inner, str(key), depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _of_json(inner, name, depth - 1)


def body_values(seen: Seen) -> Iterator[tuple[str, str]]:
    """Yield the named values of a form or a JSON document; another body is one value."""
    if not seen.body or not seen.readable:
        return
    text = seen.body.decode("utf-8", "replace")
    if seen.content_type.lower().startswith(FORM):
        yield from _pairs(text)
        return
    if "json" in seen.content_type.lower():
        with suppress(ValueError, RecursionError):
            yield from _of_json(json.loads(text), "", DEPTH_MAX)
            return
    # A body cut at the bound, or not what its head says, is still worth a look as text.
    yield "", text


def values(seen: Seen, *, body: bool = True) -> Iterator[tuple[str, str, str]]:
    """Yield (where, name, text) of what a request carries; names are values too."""
    yield "path", "", unquote(seen.path)
    if seen.query:
        for name, text in _pairs(seen.query):
            yield "query", name, text
            yield "query name", name, name
    for name, text in body_values(seen) if body else ():
        yield "body", name, text
        yield "body name", name, name


def suspicions(seen: Seen, least: float, *, body: bool = True) -> list[Suspicion]:
    """Return the worst value of each event type that scores at least so much."""
    worst: dict[str, Suspicion] = {}
    for _, (where, name, text) in zip(range(2 * VALUES_MAX), values(seen, body=body), strict=False):
        if len(text) < 2:
            continue
        found = score_injection(text)
        value = found.worst.value
        if value < least:
            continue
        held = worst.get(found.event_type)
        if held is None or held.found.worst.value < value:
            worst[found.event_type] = Suspicion(found.event_type, where, name, text, found)
    return list(worst.values())


def user_named(seen: Seen, fields: tuple[str, ...]) -> str:
    """Return who a log-in form or document says it is for."""
    given = {name.lower(): text for _, (name, text) in zip(range(VALUES_MAX), body_values(seen), strict=False)}
    return next((given[name][:200] for name in fields if given.get(name)), "")
