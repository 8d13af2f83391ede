"""Functions that change labels or the order of series."""

import math
import re
from functools import cmp_to_key
from typing import Any

import numpy as np

from metrics.promql.labels import NAME, merged, pattern_of
from metrics.promql.operands import VectorValue
from metrics.promql.syntax.strings import sound
from metrics.promql.types import QueryError

REFERENCE = re.compile(r"\$(?:\$|(?P<plain>\w+)|\{(?P<braced>\w+)\})")  # noqa: TID251
# Prometheus 2 takes letters, digits and `_` only, Prometheus 3 any text: we take what does not begin with a mark.
LABEL_NAME = re.compile(r"\w.*", re.DOTALL)  # noqa: TID251
DIGITS = re.compile(r"(\d+)")  # noqa: TID251


def _expanded(template: str, found: Any) -> str:
    def reference(place: re.Match[str]) -> str:
        name = place["plain"] or place["braced"]
        if name is None:
            return "$"
        try:
            return str(found.group(int(name) if name.isdigit() else name) or "")
        except (IndexError, KeyError):
            return ""

    return REFERENCE.sub(reference, template)


def label_replaced(vector: VectorValue, target: str, template: str, source: str, expression: str) -> VectorValue:
    """Write the expanded template into a label of each series whose source label matches."""
    _refuse_bad_name(target, "destination", "label_replace")
    template = sound(template)
    try:
        pattern = pattern_of(sound(expression))
    except QueryError as problem:
        raise QueryError(f"invalid regular expression in label_replace(): {sound(expression)}") from problem
    found = [pattern.match(labels.get(source, "")) for labels in vector.labels]
    texts = [None if one is None else _expanded(template, one) for one in found]
    return _relabelled(vector, target, texts)


def labels_joined(vector: VectorValue, target: str, separator: str, sources: list[str]) -> VectorValue:
    """Write the joined values of labels into a label."""
    for name in sources:
        _refuse_bad_name(name, "source", "label_join")
    _refuse_bad_name(target, "destination", "label_join")
    separator = sound(separator)
    texts: list[str | None] = [separator.join(labels.get(name, "") for name in sources) for labels in vector.labels]
    return _relabelled(vector, target, texts)


def _refuse_bad_name(name: str, which: str, function: str) -> None:
    """Refuse what is no name of a label."""
    if not LABEL_NAME.fullmatch(name) or sound(name) != name:
        raise QueryError(f"invalid {which} label name in {function}(): {sound(name)}")


def _relabelled(vector: VectorValue, target: str, texts: list[str | None]) -> VectorValue:
    names, drops = list(vector.labels), vector.drops_name.copy()
    for row, text in enumerate(texts):
        if text is None:
            continue
        names[row] = {name: value for name, value in names[row].items() if name != target}
        if text:
            names[row][target] = text
        if target == NAME:
            drops[row] = False
    return merged(VectorValue(names, vector.values, vector.present, drops, vector.histograms))


def sorted_by_value(vector: VectorValue, *, falling: bool) -> VectorValue:
    """Order an instant vector by value; NaN comes last either way."""
    rows = np.flatnonzero(vector.present[:, 0])
    keys = [(-value if falling else value) for value in vector.values[rows, 0].tolist()]
    order = sorted(range(len(keys)), key=lambda place: (math.isnan(keys[place]), keys[place]))
    return vector.rows(rows[np.array(order, dtype=np.int64)])


def sorted_by_label(vector: VectorValue, names: list[str], *, falling: bool) -> VectorValue:
    """Order an instant vector by labels, digits counting as numbers; then by all labels."""

    def compared(one: int, other: int) -> int:
        mine, theirs = vector.labels[one], vector.labels[other]
        for name in names:
            order = natural_order(mine.get(name, ""), theirs.get(name, ""))
            if order:
                return order
        return _order(sorted(mine.items()), sorted(theirs.items()))

    rows = sorted(range(len(vector.labels)), key=cmp_to_key(compared), reverse=falling)
    return vector.rows(np.array(rows, dtype=np.int64))


def _order(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def natural_order(one: str, other: str) -> int:
    """Compare texts piece by piece: digits with digits as numbers, anything else as text."""
    pairs = zip(*([piece for piece in DIGITS.split(text) if piece] for text in (one, other)), strict=False)
    for mine, theirs in pairs:
        digits = mine.isdecimal() and theirs.isdecimal()
        order = _order(int(mine), int(theirs)) if digits else _order(mine, theirs)
        if order:
            return order
    return _order(len(one), len(other))
