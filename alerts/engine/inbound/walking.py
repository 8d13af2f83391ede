"""A payload as a list of leaves, nearest the root first: what the generic reader looks for names in."""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.engine.inbound.words import plain

MOST_LEAVES = 4000
DEEPEST = 12
LONGEST_EMBEDDED = 200_000
Scalar = str | int | float | bool
# Where a text may be JSON again, as queues and notification services wrap it.
WRAPPERS = frozenset(("message", "payload", "body", "data", "alert", "event", "content", "text", "detail", "details"))
PAIR_KEYS = ("key", "name", "label", "k", "tag", "field", "title", "short")
PAIR_VALUES = ("value", "v", "val")
TYPED = frozenset(("stringValue", "intValue", "doubleValue", "boolValue"))
NOTHING = frozenset(
    ("", "null", "none", "n/a", "na", "nil", "undefined", "-", "[]", "{}", "<nil>", "<none>", "(none)", "nan")
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One scalar, or a list of them, with the way to it."""

    path: tuple[str, ...]
    value: Scalar | tuple[Scalar, ...]
    lists: int = 0  # How many lists of objects it stands in: what is one of many speaks less for the whole.

    @property
    def key(self) -> str:
        """Return the last name without case and punctuation."""
        return plain(self.path[-1]) if self.path else ""

    @property
    def parents(self) -> tuple[str, ...]:
        """Return the names above, without case and punctuation."""
        return tuple(plain(name) for name in self.path[:-1])

    @property
    def depth(self) -> int:
        """Return how many names and lists there are above."""
        return len(self.path) - 1 + self.lists

    @property
    def text(self) -> str:
        """Return the value as a text; of several, the first."""
        value = self.value[0] if isinstance(self.value, tuple) else self.value
        return "" if isinstance(value, bool) else str(value).strip()


def said(value: object) -> bool:
    """Say whether a value is one, and not the gap a template leaves."""
    if value is None or isinstance(value, Mapping | list):
        return False
    text = str(value).strip()
    if text.lower() in NOTHING or (text.startswith("*insert") and text.endswith("*")):
        return False
    if text.startswith("$") and text[1:].replace("_", "").isalnum() and text.upper() == text:
        return False
    return not (text.startswith("{{") and text.endswith("}}"))


def leaves(payload: Any) -> list[Leaf]:
    """Return the leaves of a payload that say something, level by level and in the order they were written."""
    found: list[Leaf] = []
    queue: deque[tuple[tuple[str, ...], Any, int]] = deque([((), payload, 0)])
    while queue and len(found) < MOST_LEAVES:
        path, value, lists = queue.popleft()
        value = opened(path, value)
        if isinstance(value, Mapping):
            queue.extend(((*path, str(key)), inner, lists) for key, inner in value.items() if len(path) < DEEPEST)
        elif isinstance(value, list):
            queue.extend(
                (path, item, lists + 1) for item in value if isinstance(item, Mapping | list) and lists < DEEPEST
            )
            if scalars := tuple(item for item in value if isinstance(item, Scalar) and said(item)):
                found.append(Leaf(path, scalars, lists))
        elif said(value):
            found.append(Leaf(path, value, lists))
    return found


def opened(path: tuple[str, ...], value: Any) -> Any:
    """Return JSON in a text, typed values and lists of pairs as what they stand for."""
    if isinstance(value, str):
        return _embedded(value) if path and plain(path[-1]) in WRAPPERS else value
    if isinstance(value, Mapping):
        inner = next(iter(value.values()), None)
        return inner if len(value) == 1 and set(value) <= TYPED else value
    if isinstance(value, list) and value:
        pairs = list(_pairs(value))
        return dict(reversed(pairs)) if len(pairs) == len(value) else value
    return value


def _embedded(text: str) -> Any:
    if not text.lstrip().startswith("{") or len(text) > LONGEST_EMBEDDED:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _pairs(items: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the pairs of a list that consists of such: `[{key, value}]` or `[[key, value]]`."""
    for item in items:
        if isinstance(item, Mapping):
            key = next((item[name] for name in PAIR_KEYS if isinstance(item.get(name), str)), None)
            value = next((item[name] for name in PAIR_VALUES if name in item), None)
            if key is not None and any(name in item for name in PAIR_VALUES):
                yield key, value
        elif isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):  # a pair
            yield item[0], item[1]
