"""Measures a query node by node while it is evaluated: what each read, how many series came of it, how long it took."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

from metrics.promql.engine import Evaluation
from metrics.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Negate,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    children,
    place_of,
)
from metrics.promql.operands import Grid, Operand, RangeValue, TextValue, VectorValue
from metrics.promql.paths import duration_text
from metrics.promql.selection import Reader

Clock: TypeAlias = Callable[[], float]
MOST_STEPS = 300


@dataclass(slots=True)
class Measure:
    """What one node cost; `seconds` includes what is below it."""

    seconds: float = 0.0
    samples: int = 0
    series: int = 0
    points: int = 0


@dataclass(slots=True)
class Tape:
    """Takes down the measures of a plan's nodes; the clock answers in seconds."""

    clock: Clock
    root: Node | None = None
    measures: dict[int, Measure] = field(default_factory=dict)

    @contextmanager
    def noting(self, node: Node, reader: Reader) -> Iterator[Measure]:
        """Note how long the work inside takes and how many samples it reads."""
        self.root = self.root or node
        measure = self.measures.setdefault(id(node), Measure())
        begun, read = self.clock(), reader.samples
        yield measure
        measure.seconds += self.clock() - begun
        measure.samples += reader.samples - read


def _note_size(measure: Measure, operand: Operand) -> None:
    match operand:
        case VectorValue(labels=labels, present=present):
            measure.series, measure.points = len(labels), int(present.sum())
        case RangeValue(columns=columns):
            measure.series, measure.points = len(columns.labels), int(columns.values.size)
        case TextValue():
            measure.points = 1
        case _:
            measure.points = int(operand.values.size)


class NotingReader(Reader):
    """A reader that notes what each selector reads."""

    tape: Tape

    def instant(self, selector: Selector, grid: Grid, *, sampled_at: bool = False) -> VectorValue:
        """Read and note."""
        with self.tape.noting(selector, self) as measure:
            vector = super().instant(selector, grid, sampled_at=sampled_at)
            _note_size(measure, vector)
        return vector

    def window(self, node: RangeSelector, grid: Grid) -> RangeValue:
        """Read and note."""
        with self.tape.noting(node, self) as measure:
            ranged = super().window(node, grid)
            _note_size(measure, ranged)
        return ranged

    def over_windows(self, node: RangeSelector, grid: Grid, work: Callable[[RangeValue], VectorValue]) -> VectorValue:
        """Read and note; the time of the work is the function's, not the selector's."""

        def timed(ranged: RangeValue) -> VectorValue:
            measure.series += len(ranged.columns.labels)
            measure.points += int(ranged.columns.values.size)
            begun = self.tape.clock()
            vector = work(ranged)
            measure.seconds -= self.tape.clock() - begun
            return vector

        with self.tape.noting(node, self) as measure:
            return super().over_windows(node, grid, timed)


class Measured(Evaluation):
    """An evaluation that writes a tape, each node by itself."""

    in_parts = False

    def __init__(self, reader: Reader, tape: Tape) -> None:
        """Read through a reader that notes."""
        noting = NotingReader(
            reader.source, reader.query_grid, reader.lookback_ms, reader.limits, reader.deadline, reader.enforced,
            reader.notes,
        )  # fmt: skip
        noting.tape = tape
        self.tape = tape
        super().__init__(noting)

    def of(self, node: Node, grid: Grid) -> Operand:
        """Evaluate and note; selectors and subqueries are noted where they are read."""
        self.tape.root = self.tape.root or node
        if isinstance(node, Selector | RangeSelector | Subquery):
            return super().of(node, grid)
        with self.tape.noting(node, self.reader) as measure:
            operand = super().of(node, grid)
            _note_size(measure, operand)
        return operand

    def _subquery(self, node: Subquery, grid: Grid) -> RangeValue:
        with self.tape.noting(node, self.reader) as measure:
            ranged = super()._subquery(node, grid)
            _note_size(measure, ranged)
        return ranged


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an explanation: a node, what it does, and what it cost with and without those below it."""

    depth: int
    kind: str
    detail: str
    text: str
    series: int
    points: int
    samples: int
    total_ms: float
    own_ms: float
    measured: bool


def steps_of(query: str, tape: Tape) -> tuple[list[Step], int]:
    """Return the nodes in the order they are written, outermost first, and how many more there are."""
    found: list[Step] = []
    waiting = [] if tape.root is None else [(tape.root, 0)]
    more = 0
    while waiting:
        node, depth = waiting.pop()
        below = () if isinstance(node, RangeSelector) else children(node)
        waiting += [(child, depth + 1) for child in reversed(below)]
        if len(found) < MOST_STEPS:
            found.append(_step(query, node, below, depth, tape))
        else:
            more += 1
    return found, more


def _step(query: str, node: Node, below: tuple[Node, ...], depth: int, tape: Tape) -> Step:
    measure = tape.measures.get(id(node), Measure())
    parts = [tape.measures.get(id(child), Measure()) for child in below]
    own = measure.seconds - sum(part.seconds for part in parts)
    kind, detail = _words(node)
    start, end = place_of(node)
    return Step(
        depth, kind, detail, query[start:end], measure.series, measure.points, measure.samples,
        max(measure.seconds, 0.0) * 1000, max(own, 0.0) * 1000, id(node) in tape.measures,
    )  # fmt: skip


def _words(node: Node) -> tuple[str, str]:
    """Return the kind of a node and what it does, in words."""
    match node:
        case Number():
            return "number", "a constant"
        case Text():
            return "text", "a constant"
        case Selector():
            return "selector", "the newest sample of each series" + _when(node.offset_ms, node.anchor)
        case RangeSelector(selector=inner, range_ms=range_ms):
            return "range selector", f"all samples of {_span(range_ms)}" + _when(inner.offset_ms, inner.anchor)
        case Subquery(range_ms=range_ms, step_ms=step_ms):
            grid = f"{_span(range_ms)} every {_span(step_ms) if step_ms else 'minute'}"
            return "subquery", grid + _when(node.offset_ms, node.anchor)
        case Call(name=name):
            return "function", f"{name}()"
        case Aggregate(op=op):
            return "aggregation", f"{op} {_grouping(node)}"
        case Binary(op=op):
            return "operator", f"{op} {_matching(node)}".strip()
        case Negate():
            return "sign", "changes the sign"


def _grouping(node: Aggregate) -> str:
    if not node.grouping and not node.without:
        return "of all"
    return f"{'without' if node.without else 'by'} ({', '.join(node.grouping)})"


def _matching(node: Binary) -> str:
    rule = node.matching
    if not (rule.on or rule.labels):
        return ""
    return f"{'on' if rule.on else 'ignoring'} ({', '.join(rule.labels)}), {rule.side}"


def _span(milliseconds: int) -> str:
    return duration_text(milliseconds // 1000) if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def _when(offset_ms: int, anchor: int | str | None) -> str:
    before = "" if not offset_ms else f", {_span(abs(offset_ms))} {'earlier' if offset_ms > 0 else 'later'}"
    return before + ("" if anchor is None else ", at one fixed time")
