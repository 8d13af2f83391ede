"""Label sets: signatures, regular expressions, and rows that turn out to be the same series."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import re2

from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Ints, Labels, Matcher, QueryError

NAME = "__name__"
Signature = frozenset[tuple[str, str]] | tuple[str, ...]


@lru_cache(maxsize=1024)
def pattern_of(expression: str) -> Any:
    """Compile a regular expression that must match the whole text; RE2 takes time linear in the text."""
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(f"^(?:{expression})$", options)
    except re2.error as problem:
        raise QueryError(f"invalid regular expression: {expression!r}", kind="bad_data") from problem


def matches(labels: Labels, matchers: Iterable[Matcher]) -> bool:
    """Tell whether a label set satisfies all matchers; a missing label is an empty one."""
    return all(_holds(labels.get(matcher.name, ""), matcher) for matcher in matchers)


def _holds(value: str, matcher: Matcher) -> bool:
    if matcher.op == "=":
        return value == matcher.value
    if matcher.op == "!=":
        return value != matcher.value
    found = pattern_of(matcher.value).match(value) is not None
    return found is (matcher.op == "=~")


def without_name(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels without the metric's name."""
    return {name: value for name, value in labels.items() if name != NAME}


def only(labels: Labels, names: Iterable[str]) -> dict[str, str]:
    """Keep the named labels; empty ones do not exist."""
    return {name: labels[name] for name in names if labels.get(name)}


def without(labels: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Drop the named labels."""
    dropped = set(names)
    return {name: value for name, value in labels.items() if name not in dropped}


def signature_function(names: Sequence[str], *, on: bool) -> Callable[[Labels], Signature]:
    """Return what tells series apart when only some labels count (`on`), or all but some and the name."""
    if on:
        return lambda labels: tuple(labels.get(name, "") for name in names)
    ignored = {NAME, *names}
    return lambda labels: frozenset(item for item in labels.items() if item[0] not in ignored)


def numbered(signatures: Iterable[Signature], numbers: dict[Signature, int]) -> Ints:
    """Give signatures numbers in the order they first appear; `numbers` remembers them across calls."""
    return np.array([numbers.setdefault(signature, len(numbers)) for signature in signatures], dtype=np.int64)


def merged(vector: VectorValue) -> VectorValue:
    """Join rows with equal labels; both having a value at one step is an error."""
    numbers: dict[Signature, int] = {}
    target = numbered((frozenset(labels.items()) for labels in vector.labels), numbers)
    if len(numbers) == len(vector.labels):
        return vector
    first = np.unique(target, return_index=True)[1]
    values, present = vector.values[first].copy(), vector.present[first].copy()
    doubled = np.setdiff1d(np.arange(target.size), first)
    places, steps = np.nonzero(vector.present[doubled])
    rows, targets = doubled[places], target[doubled[places]]
    if bool(present[targets, steps].any()) or _any_twice(targets * present.shape[1] + steps):
        raise QueryError("vector cannot contain metrics with the same labelset")
    values[targets, steps], present[targets, steps] = vector.values[rows, steps], True
    histograms = None if vector.histograms is None else vector.histograms[first]
    if histograms is not None and vector.histograms is not None:
        histograms[targets, steps] = vector.histograms[rows, steps]
    drops: Bools = vector.drops_name[first]
    return VectorValue([vector.labels[row] for row in first.tolist()], values, present, drops, histograms)


def _any_twice(numbers: Ints) -> bool:
    ordered = np.sort(numbers)
    return bool((ordered[1:] == ordered[:-1]).any())


def names_dropped(vector: VectorValue) -> VectorValue:
    """Take the name off the rows that lost it on the way."""
    if not bool(vector.drops_name.any()):
        return vector
    drops = vector.drops_name.tolist()
    labels = [without_name(one) if drop else one for one, drop in zip(vector.labels, drops, strict=True)]
    return VectorValue(labels, vector.values, vector.present, np.zeros(len(labels), dtype=np.bool_), vector.histograms)
