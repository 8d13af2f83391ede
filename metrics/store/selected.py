"""What matchers select: series and their label sets, kept until the catalogue learns more of the same metrics.

A dashboard asks the same selectors again and again; to find ten thousand series and to write their labels takes longer
than to add them up.
"""

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics.promql.types import LabelSets, Matcher
from metrics.store.catalogue import Catalogue
from metrics.store.group_block import SERIES_PER_GROUP

Ints = npt.NDArray[np.int64]
# (group number, its first place among the wanted ids, the place after its last).
Span = tuple[int, int, int]
# So many series are read and worked on together: their samples of some hours fit a processor's cache.
PART_SERIES = 200
# Larger selections are found anew each time; of the others so many series are kept, some hundred bytes each.
MOST_SERIES, MOST_KEPT = 20_000, 60_000


@dataclass(frozen=True, slots=True)
class SelectedPart:
    """Neighbouring series that are worked on together: the groups they lie in and their label sets."""

    spans: tuple[Span, ...]
    labels: LabelSets

    @property
    def begin(self) -> int:
        """Place of the first among the wanted ids."""
        return self.spans[0][1]

    @property
    def end(self) -> int:
        """Place after the last."""
        return self.spans[-1][2]


@dataclass(frozen=True, slots=True)
class Selected:
    """The series some matchers take, by ascending id; `fullest` is the most that lie in one group."""

    ids: Ints
    parts: tuple[SelectedPart, ...]
    groups: list[int]
    fullest: int


def select(catalogue: Catalogue, matchers: Sequence[Matcher]) -> Selected:
    """Find the series in the catalogue."""
    found = catalogue.find(matchers)
    if not found:
        return Selected(np.empty(0, np.int64), (), [], 0)
    ids = np.concatenate([part.ids for part in found])
    labels = [labels for part in found for labels in catalogue.labels_of(part)]
    order = np.argsort(ids, kind="stable")
    ids, places = ids[order], order.tolist()
    groups, begins = np.unique(ids // SERIES_PER_GROUP, return_index=True)
    ends = [*begins[1:].tolist(), ids.size]
    spans = list(zip(groups.tolist(), begins.tolist(), ends, strict=True))
    parts = tuple(
        SelectedPart(part, LabelSets([labels[place] for place in places[part[0][1] : part[-1][2]]]))
        for part in _parts(spans)
    )
    return Selected(ids, parts, groups.tolist(), max(end - begin for _, begin, end in spans))


def _parts(spans: Sequence[Span]) -> list[tuple[Span, ...]]:
    """Cut at the borders of groups into parts of about as many series as are worked on at once."""
    parts: list[tuple[Span, ...]] = []
    part: list[Span] = []
    for span in spans:
        if part and span[2] - part[0][1] > PART_SERIES:
            parts.append(tuple(part))
            part = []
        part.append(span)
    return [*parts, tuple(part)]


class Selections:
    """The selections asked for last, each as long as it is what the catalogue would find."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[Matcher, ...], tuple[Hashable, Selected]] = OrderedDict()
        self._series = 0

    def of(self, catalogue: Catalogue, matchers: Sequence[Matcher]) -> Selected:
        """Return what the matchers select now."""
        key = tuple(matchers)
        # The edition first: what comes in between makes the selection look old, never new.
        edition = catalogue.edition(matchers)
        with self._lock:
            held = self._held.get(key)
            if held is not None and held[0] == edition:
                self._held.move_to_end(key)
                return held[1]
        selected = select(catalogue, matchers)
        if selected.ids.size <= MOST_SERIES:
            self._keep(key, edition, selected)
        return selected

    def _keep(self, key: tuple[Matcher, ...], edition: Hashable, selected: Selected) -> None:
        with self._lock:
            before = self._held.pop(key, None)
            self._series += _weight(selected) - (0 if before is None else _weight(before[1]))
            self._held[key] = edition, selected
            while self._series > MOST_KEPT:
                _, (_, dropped) = self._held.popitem(last=False)
                self._series -= _weight(dropped)

    def forget(self) -> None:
        """Drop them all."""
        with self._lock:
            self._held.clear()
            self._series = 0


def _weight(selected: Selected) -> int:
    # One that takes nothing needs room as well.
    return int(selected.ids.size) + 20
