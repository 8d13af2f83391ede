"""`histogram_quantile`, `histogram_quantiles` and `histogram_fraction` over classic and native histograms together."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from metrics.native_histograms.text import general
from metrics.promql.frames import Frame, argument_place
from metrics.promql.histograms import buckets
from metrics.promql.histograms.monotony import tell_forced
from metrics.promql.labels import NAME, merged
from metrics.promql.native.cells import histogram_cells, numbers_of
from metrics.promql.native.functions import native_fractions, native_quantiles, warn_of_bad_quantiles
from metrics.promql.native.notes import for_metric, quoted
from metrics.promql.nodes import Call, Place
from metrics.promql.operands import VectorValue, stacked
from metrics.promql.types import Bools, Floats


class _Both:
    """The classic and the native histograms of a vector; where both have the same labels neither counts."""

    def __init__(self, frame: Frame[Call], vector: VectorValue, place: Place) -> None:
        """Tell the two kinds apart, and say what cannot be read."""
        self.frame, self.vector, self.place = frame, vector, place
        self.numbers = numbers_of(vector)
        self.classic = buckets.histograms_of(self.numbers)
        for name, text in self.classic.unread:
            what = f'bucket label "le" is missing or has a malformed value of {quoted(text)}'
            frame.notes.warn(what + for_metric(name), place)
        self.cells = histogram_cells(vector)
        if vector.histograms is not None:
            self._drop_conflicts()

    def _drop_conflicts(self) -> None:
        seen = self.classic.seen(self.numbers.present)
        numbers = {frozenset(labels.items()): row for row, labels in enumerate(self.classic.labels)}
        for row, labels in enumerate(self.vector.labels):
            group = numbers.get(frozenset(labels.items()))
            if group is None:
                continue
            both = seen[group] & self.cells[row]
            if bool(both.any()):
                text = "vector contains a mix of classic and native histograms" + for_metric(labels.get(NAME, ""))
                self.frame.notes.warn(text, self.place)
                self.cells[row] &= ~both
                self._hide_buckets(group, both)

    def _hide_buckets(self, group: int, steps: Bools) -> None:
        present = self.numbers.present.copy()
        present[self.classic.members[self.classic.starts[group] : self.classic.starts[group + 1]]] &= ~steps
        self.numbers = replace(self.numbers, present=present)

    def quantiles(self, q: Floats) -> VectorValue:
        """Return a quantile of all of them."""
        classic, forced = buckets.quantiles(self.classic, q, self.numbers)
        if bool(forced.any()):
            tell_forced(self.frame, self.classic, self.numbers, forced, self.place)
        return self._joined(classic, lambda: native_quantiles(self.frame.notes, q, self.vector, self.cells, self.place))

    def fractions(self, lower: Floats, upper: Floats) -> VectorValue:
        """Return a share of all of them."""
        classic = buckets.fractions(self.classic, lower, upper, self.numbers)
        return self._joined(
            classic,
            lambda: native_fractions(self.frame.notes, (lower, upper), self.vector, self.cells, self.place),
        )

    def _joined(self, classic: VectorValue, native: Callable[[], VectorValue]) -> VectorValue:
        if not bool(self.cells.any()):
            return classic
        read = native()
        return merged(stacked([read.rows(np.flatnonzero(self.cells.any(axis=1))), classic], self.frame.grid.count))


def quantile_call(frame: Frame[Call], arguments: list[Any]) -> VectorValue:
    """Evaluate histogram_quantile."""
    q, vector = arguments[0].values, arguments[1]
    warn_of_bad_quantiles(frame.notes, q, argument_place(frame, 0))
    return _Both(frame, vector, argument_place(frame, 1)).quantiles(q)


def fraction_call(frame: Frame[Call], arguments: list[Any]) -> VectorValue:
    """Evaluate histogram_fraction."""
    lower, upper, vector = arguments[0].values, arguments[1].values, arguments[2]
    return _Both(frame, vector, argument_place(frame, 2)).fractions(lower, upper)


def quantiles_call(frame: Frame[Call], arguments: list[Any]) -> VectorValue:
    """Evaluate histogram_quantiles: several quantiles at once, told apart by a label."""
    vector, label = arguments[0], arguments[1].text
    both = _Both(frame, vector, argument_place(frame, 0))
    parts = []
    for place, number in enumerate(arguments[2:], start=2):
        warn_of_bad_quantiles(frame.notes, number.values, argument_place(frame, place))
        answer = both.quantiles(number.values)
        for q in np.unique(number.values):
            steps = np.isnan(number.values) if np.isnan(q) else number.values == q
            labels = [{**labels, label: quantile_text(float(q))} for labels in answer.labels]
            parts.append(replace(answer, labels=labels, present=answer.present & steps))
    return merged(stacked(parts, frame.grid.count))


def quantile_text(q: float) -> str:
    """Write a quantile as a label has it: always with a point or an exponent."""
    text = general(q)
    return text if any(mark in text for mark in ".enN") else f"{text}.0"
