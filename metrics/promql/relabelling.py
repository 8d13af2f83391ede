"""Functions that change labels or the order of series."""

import math
import re
from typing import Any

import numpy as np

from metrics.promql.labels import NAME, merged, pattern_of
from metrics.promql.operands import VectorValue
from metrics.promql.types import QueryError

REFERENCE = re.compile(r"\$(?:\$|(?P<plain>\w+)|\{(?P<braced>\w+)\})")  # noqa: TID251
# Letters of any script and the marks of OpenTelemetry names; Prometheus 2 takes less, Prometheus 3 anything.
LABEL_NAME = re.compile(r"\w[\w.:/-]*")  # noqa: TID251
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
    _refuse_bad_name(target)
    pattern = pattern_of(expression)
    found = [pattern.match(labels.get(source, "")) for labels in vector.labels]
    texts = [None if one is None else _expanded(template, one) for one in found]
    return _relabelled(vector, target, texts)


def labels_joined(vector: VectorValue, target: str, separator: str, sources: list[str]) -> VectorValue:
    """Write the joined values of labels into a label."""
    for name in (target, *sources):
        _refuse_bad_name(name)
    texts: list[str | None] = [separator.join(labels.get(name, "") for name in sources) for labels in vector.labels]
    return _relabelled(vector, target, texts)


def _refuse_bad_name(name: str) -> None:
    if not LABEL_NAME.fullmatch(name):
        raise QueryError(f"invalid label name: {name!r}")


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
    """Order an instant vector by labels, digits counting as numbers."""

    def key(row: int) -> tuple[Any, ...]:
        labels = vector.labels[row]
        return (*(_natural(labels.get(name, "")) for name in names), sorted(labels.items()))

    return vector.rows(np.array(sorted(range(len(vector.labels)), key=key, reverse=falling), dtype=np.int64))


def _natural(text: str) -> list[tuple[bool, int, str]]:
    pieces = [piece for piece in DIGITS.split(text) if piece]
    return [(not piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces]
