"""The functions Prometheus adds, and the texts of an alert."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import re2

from alerts.engine.templates.executing import Bounds, execute
from alerts.engine.templates.functions import ANY, GO, Callee, url_query
from alerts.engine.templates.humanizing import (
    humanize,
    humanize1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
    to_duration,
    to_time,
)
from alerts.engine.templates.mistakes import BadTemplate, TemplateFailed
from alerts.engine.templates.nodes import Template
from alerts.engine.templates.parsing import parse
from alerts.engine.templates.values import AnyMap, Safe, Sample, Struct
from metrics.promql.scripts.durations import BadScript, duration_ms

Query = Callable[[str], Sequence[Sample]]
MOST_QUERIES = 10
LONGEST_PATTERN = 1000
# What Prometheus puts before each text; places in messages count it.
SHORT_NAMES = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)


def no_queries(_query: str) -> Sequence[Sample]:
    """Refuse to ask."""
    raise TemplateFailed("queries are not answered here")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What templates know beside the alert itself."""

    at_seconds: float = 0.0
    query: Query = no_queries
    external_url: str = ""  # What `$externalURL` says.
    base_url: str | None = None  # What `externalURL` and `pathPrefix` answer with.
    external_labels: Mapping[str, str] = field(default_factory=dict)


@lru_cache(maxsize=256)
def _pattern(text: str) -> Any:
    if len(text) > LONGEST_PATTERN:
        raise TemplateFailed(f"the pattern is longer than {LONGEST_PATTERN} letters")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as problem:
        said = problem.args[0] if problem.args else b""
        message, _, part = (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)).partition(": ")
        message = "missing closing )" if message == "missing )" else message
        raise TemplateFailed(f"error parsing regexp: {message}: `{part}`") from None


def _replaced(pattern: str, replacement: str, text: str) -> str:
    compiled = _pattern(pattern)
    return str(compiled.sub(lambda found: _filled(replacement, found), text))


def _filled(replacement: str, found: Any) -> str:
    """Fill `$1`, `${name}` and `$$` of a replacement; what was not caught is empty."""
    pieces, at = [], 0
    for mark in _pattern(r"\$(?:(\$)|(\w+)|\{(\w+)\})").finditer(replacement):
        pieces += [
            replacement[at : mark.start()],
            "$" if mark.group(1) else _group(found, mark.group(2) or mark.group(3)),
        ]
        at = mark.end()
    return "".join([*pieces, replacement[at:]])


def _group(found: Any, name: str) -> str:
    try:
        return found.group(int(name) if name.isdigit() else name) or ""
    except (IndexError, KeyError, re2.error):
        return ""


def _first(rows: list[Sample]) -> Sample:
    if not rows:
        raise TemplateFailed("first() called on vector with no elements")
    return rows[0]


def _arguments(*values: Any) -> AnyMap:
    return AnyMap({f"arg{place}": value for place, value in enumerate(values)})


def split_host_port(text: str) -> tuple[str, str] | None:
    """Return host and port, or None where there is no port."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return (host, rest[1:]) if bracket and rest.startswith(":") and ":" not in rest[1:] else None
    host, colon, port = text.rpartition(":")
    return (host, port) if colon and ":" not in host and "[" not in text and "]" not in text else None


def _without_port(text: str) -> str:
    found = split_host_port(text)
    return text if found is None else found[0]


def _without_domain(text: str) -> str:
    host, port = split_host_port(text) or (text, "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        host = host.split(".", maxsplit=1)[0]
        return f"{host}:{port}" if port else host
    return text


def _title(text: str) -> str:
    """Raise the first letter of each word and leave the others, as Go's title case without lowering."""
    letters, inside = [], False
    for letter in text:
        letters.append(letter if inside or not letter.isalnum() else letter.title())
        inside = letter.isalnum() or (inside and letter in "'’_")
    return "".join(letters)


def _seconds(text: str) -> float:
    sign, bare = (-1.0, text[1:]) if text.startswith("-") else (1.0, text)
    try:
        return sign * duration_ms(bare) / 1000
    except BadScript:
        raise TemplateFailed(f'not a valid duration string: "{text}"') from None


def _link(tab: int) -> Callable[[str], str]:
    return lambda expression: f"/graph?g0.expr={url_query(expression)}&g0.tab={tab}"


PURE: Mapping[str, Callee] = {
    **GO,
    "first": Callee(_first, (list,)),
    "label": Callee(lambda name, row: row.labels.get(name, ""), (str, Sample)),
    "value": Callee(lambda row: row.value, (Sample,)),
    "strvalue": Callee(lambda row: row.labels.get("__value__", ""), (Sample,)),
    "sortByLabel": Callee(lambda name, rows: sorted(rows, key=lambda row: row.labels.get(name, "")), (str, list)),
    "args": Callee(_arguments, (), ANY),
    "reReplaceAll": Callee(_replaced, (str, str, str)),
    "match": Callee(lambda pattern, text: _pattern(pattern).search(text) is not None, (str, str)),
    "safeHtml": Callee(Safe, (str,)),
    "title": Callee(_title, (str,)),
    "toUpper": Callee(lambda text: text.upper(), (str,)),
    "toLower": Callee(lambda text: text.lower(), (str,)),
    "graphLink": Callee(_link(0), (str,)),
    "tableLink": Callee(_link(1), (str,)),
    "stripPort": Callee(_without_port, (str,)),
    "stripDomain": Callee(_without_domain, (str,)),
    "humanize": Callee(humanize, (ANY,)),
    "humanize1024": Callee(humanize1024, (ANY,)),
    "humanizeDuration": Callee(humanize_duration, (ANY,)),
    "humanizePercentage": Callee(humanize_percentage, (ANY,)),
    "humanizeTimestamp": Callee(humanize_timestamp, (ANY,)),
    "toTime": Callee(to_time, (ANY,)),
    "toDuration": Callee(to_duration, (ANY,)),
    "parseDuration": Callee(_seconds, (str,)),
    "urlQueryEscape": Callee(url_query, (str,)),
}
NAMES = frozenset({*PURE, "query", "now", "externalURL", "pathPrefix"})


def _functions(around: Surroundings) -> dict[str, Callee]:
    asked: list[str] = []

    def query(text: str) -> list[Sample]:
        asked.append(text)
        if len(asked) > MOST_QUERIES:
            raise TemplateFailed(f"a template asks at most {MOST_QUERIES} queries")
        return list(around.query(text))

    return {
        **PURE,
        "query": Callee(query, (str,)),
        "now": Callee(lambda: around.at_seconds),
        "externalURL": Callee(lambda: _base(around)),
        "pathPrefix": Callee(lambda: urlsplit(_base(around)).path),
    }


def _base(around: Surroundings) -> str:
    if around.base_url is None:
        raise TemplateFailed("runtime error: invalid memory address or nil pointer dereference")
    return around.base_url


def template_of(text: str, more: tuple[str, ...] = ()) -> Template:
    """Return the template of a label or an annotation; `more` are variables beside Prometheus' own."""
    return parse(SHORT_NAMES + text, NAMES, more)


def problem_of(text: str, more: tuple[str, ...] = ()) -> str:
    """Return what is wrong with a template; empty where it can be read."""
    try:
        template_of(text, more)
    except BadTemplate as problem:
        return str(problem)
    return ""


@dataclass(frozen=True, slots=True)
class AlertTexts:
    """Fills in the labels and annotations of one label set of a rule."""

    name: str
    labels: Mapping[str, str]
    value: Any
    around: Surroundings
    more: Mapping[str, Any] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)

    def expanded(self, text: str) -> str:
        """Return a text filled in; a mistake is shown in its place, so that the alert goes out nevertheless."""
        if "{{" not in text:
            return text
        external = dict(self.around.external_labels)
        data = Struct(
            Labels=dict(self.labels), ExternalLabels=external, ExternalURL=self.around.external_url, Value=self.value
        )
        name = f"__alert_{self.name}"
        try:
            return execute(
                template_of(text, tuple(self.more)), data, _functions(self.around), name=name, variables=self.more,
                bounds=self.bounds,
            )  # fmt: skip
        except BadTemplate as problem:
            return f"<error expanding template: error parsing template {name}: template: {name}:{problem}>"
        except TemplateFailed as problem:
            return f"<error expanding template: error executing template {name}: {problem}>"
