"""Plans for ranges too long for raw samples: selectors are pointed at the columns of five-minute roll-ups.

The source serves a column of the roll-ups where a selector asks for `__rollup__="<column>"`; nothing else of the engine
knows of them. Windows too short to hold enough roll-ups are widened, and sums over them scaled back.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from metrics.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Matching,
    Negate,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
)
from metrics.promql.types import Matcher

ROLLUP_LABEL = "__rollup__"
BUCKET_MS = 300_000
# A rate needs two roll-ups within its window wherever it begins, all else one.
MIN_RATE_RANGE_MS = 3 * BUCKET_MS
MIN_RANGE_MS = 2 * BUCKET_MS
NOTE = "PromQL info: samples rolled up over 5 minutes were read, because the range is too long or too old for raw ones"
COUNTERS = frozenset({"rate", "increase", "irate"})
COLUMNS = {
    **dict.fromkeys(COUNTERS, "counter"),
    "min_over_time": "min",
    "max_over_time": "max",
    "sum_over_time": "sum",
    "count_over_time": "count",
}
# What grows with the length of the window.
ADDITIVE = frozenset({"increase", "delta", "sum_over_time", "count_over_time"})
NEEDS_TWO = COUNTERS | {"delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing"}


@dataclass(slots=True)
class Roller:
    """Rewrites a plan for a grid; `is_too_far` tells whether raw samples of a range can be read."""

    start_ms: int
    end_ms: int
    lookback_ms: int
    is_too_far: Callable[[int, int], bool]
    used: bool = False

    def rewrite(self, node: Node) -> Node:
        """Return the plan with every selector that reaches too far pointed at roll-ups."""
        return self._of(node, self.start_ms, self.end_ms)

    def _of(self, node: Node, low_ms: int, high_ms: int) -> Node:
        match node:
            case Call():
                return self._call(node, low_ms, high_ms)
            case Selector():
                return self._instant(node, low_ms, high_ms)
            case RangeSelector():
                return self._range(node, "last", MIN_RANGE_MS, low_ms, high_ms) or node
            case Subquery(expr=expr):
                low, high = self._moved(node.offset_ms, node.anchor, low_ms, high_ms)
                return dataclasses.replace(node, expr=self._of(expr, low - node.range_ms, high))
            case Aggregate(expr=expr, parameter=parameter):
                changed = None if parameter is None else self._of(parameter, low_ms, high_ms)
                return dataclasses.replace(node, expr=self._of(expr, low_ms, high_ms), parameter=changed)
            case Binary(left=left, right=right):
                sides = self._of(left, low_ms, high_ms), self._of(right, low_ms, high_ms)
                return dataclasses.replace(node, left=sides[0], right=sides[1])
            case Negate(expr=expr):
                return dataclasses.replace(node, expr=self._of(expr, low_ms, high_ms))
            case _:
                return node

    def _moved(self, offset_ms: int, anchor: object, low_ms: int, high_ms: int) -> tuple[int, int]:
        """Return the first and last end of what a node reads."""
        if anchor is not None:
            fixed = {"start": self.start_ms, "end": self.end_ms}.get(str(anchor), anchor)
            low_ms = high_ms = fixed if isinstance(fixed, int) else low_ms
        return low_ms - offset_ms, high_ms - offset_ms

    def _instant(self, node: Selector, low_ms: int, high_ms: int) -> Selector | Call:
        """Return the newest roll-up of the last two buckets; the node itself where raw samples will do."""
        low, high = self._moved(node.offset_ms, node.anchor, low_ms, high_ms)
        if node.smoothing or not self.is_too_far(low, high):
            return node
        window = RangeSelector(self._pointed(node, "last"), max(MIN_RANGE_MS, self.lookback_ms), place=node.place)
        return Call("last_over_time", (window,), place=node.place)

    def _pointed(self, node: Selector, column: str) -> Selector:
        self.used = True
        asked = Matcher(ROLLUP_LABEL, "=", column)
        return dataclasses.replace(node, alternatives=tuple((*one, asked) for one in node.alternatives))

    def _range(self, node: RangeSelector, column: str, min_ms: int, low_ms: int, high_ms: int) -> RangeSelector | None:
        low, high = self._moved(node.selector.offset_ms, node.selector.anchor, low_ms, high_ms)
        # A window of 30 days at each step of a month is still read from raw samples.
        too_far = self.is_too_far(low, high) or self.is_too_far(low - node.range_ms, low)
        if node.selector.smoothing or not too_far:
            return None
        return dataclasses.replace(
            node, selector=self._pointed(node.selector, column), range_ms=max(node.range_ms, min_ms)
        )

    def _call(self, node: Call, low_ms: int, high_ms: int) -> Node:
        if node.name == "timestamp" and isinstance(node.arguments[0], Selector):
            newest = self._instant(node.arguments[0], low_ms, high_ms)
            return dataclasses.replace(newest, name="ts_of_last_over_time") if isinstance(newest, Call) else node
        if node.name == "info":
            # What it adds is read by itself, from raw samples.
            return dataclasses.replace(
                node, arguments=(self._of(node.arguments[0], low_ms, high_ms), *node.arguments[1:])
            )
        ranged = next((argument for argument in node.arguments if isinstance(argument, RangeSelector)), None)
        if ranged is None:
            return dataclasses.replace(
                node, arguments=tuple(self._of(argument, low_ms, high_ms) for argument in node.arguments)
            )
        if node.name == "avg_over_time":
            sums, counts = (
                self._over(dataclasses.replace(node, name=other), ranged, low_ms, high_ms)
                for other in ("sum_over_time", "count_over_time")
            )
            if sums is None or counts is None:
                return node
            return Binary("/", sums, counts, Matching(), returns_bool=False, place=node.place)
        return self._over(node, ranged, low_ms, high_ms) or node

    def _over(self, node: Call, ranged: RangeSelector, low_ms: int, high_ms: int) -> Node | None:
        """Return a function over a window of roll-ups; None where raw samples will do."""
        name = node.name
        least = MIN_RATE_RANGE_MS if name in NEEDS_TWO else MIN_RANGE_MS
        rolled = self._range(ranged, COLUMNS.get(name, "last"), least, low_ms, high_ms)
        if rolled is None:
            return None
        changed = tuple(
            rolled if argument is ranged else self._of(argument, low_ms, high_ms) for argument in node.arguments
        )
        # The counts of buckets are added up.
        called = "sum_over_time" if name == "count_over_time" else name
        result = dataclasses.replace(node, name=called, arguments=changed)
        if name not in ADDITIVE or rolled.range_ms == ranged.range_ms:
            return result
        share = Number(ranged.range_ms / rolled.range_ms)
        return Binary("*", result, share, Matching(), returns_bool=False, place=node.place)
