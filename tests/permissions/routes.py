"""Every route of the URLconf, written so that it can be read and called."""

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

UNKNOWN_UUID = "00000000-0000-4000-8000-000000000000"


def routes() -> Iterator[tuple[str, URLPattern]]:
    """Yield the readable path and the pattern of each route; the admin site has tests of its own."""
    yield from _walk(get_resolver().url_patterns, "/")


def _readable(pattern: object) -> str:
    text = re.sub(r"\(\?P<(\w+)>(?:\[[^\]]*\]|[^()\[\]])*\)", r"<\1>", str(pattern))
    return text.removeprefix("^").removesuffix("$").removesuffix("\\Z")


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, URLPattern]]:
    for entry in patterns:
        path = prefix + _readable(entry.pattern)
        if path.startswith("/admin/"):
            continue
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, path)
        else:
            yield path, entry


def methods(pattern: URLPattern) -> list[str]:
    """Return the methods the REST route takes; for plain views, what the table says is tried."""
    actions = getattr(pattern.callback, "actions", None)
    if not actions:
        return []
    taken = set(actions) & set(pattern.callback.cls.http_method_names) - {"head", "options"}  # type: ignore[attr-defined]
    return sorted(method.upper() for method in taken)


def callable_path(path: str) -> str:
    """Return the path with ids that no object has."""
    numbered = (
        "/alerts/",
        "/changes/",
        "/notifications/",
        "/audit/",
        "/security-events/",
        "/findings/",
        "/scrape-targets/",
        "/test-runs/<pk>",
        "/incidents/",
        "/thresholds/",
    )
    number = any(noun in path for noun in numbered)
    path = path.replace("<slug:kind>", "metrics")
    path = re.sub(r"<int:\w+>", "999999999", path)
    path = re.sub(r"<uuid:\w+>", UNKNOWN_UUID, path)
    path = re.sub(r"<str:\w+>|<slug:\w+>|<path:\w+>", "nothing", path)
    return re.sub(r"<\w+>", "999999999" if number else UNKNOWN_UUID, path)
