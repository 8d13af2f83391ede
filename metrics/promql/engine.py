"""Entrance of the engine: parse, evaluate node by node over all steps at once, shape the answer."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar, cast

import numpy as np

from metrics.native_histograms.arithmetic import multiplied
from metrics.promql.aggregations.parts import IN_PARTS, parts_together, reduced_part
from metrics.promql.aggregations.reduce import aggregate
from metrics.promql.binary import combine
from metrics.promql.enrichment import enriched
from metrics.promql.frames import Frame
from metrics.promql.functions import absence, call
from metrics.promql.labels import NAME, merged, names_dropped
from metrics.promql.native.cells import mapped_histograms
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
)
from metrics.promql.operands import (
    Grid,
    Operand,
    RangeValue,
    ScalarValue,
    TextValue,
    VectorValue,
    empty_vector,
    refuse_too_many,
)
from metrics.promql.parsing import parse, resolve
from metrics.promql.ranges.extending.windows import stretched
from metrics.promql.ranges.functions import RANGE_FUNCTIONS, over_range
from metrics.promql.selection import Reader, columns_of
from metrics.promql.syntax.strings import sound
from metrics.promql.types import Limits, Matcher, QueryError, QueryResult, ResultType, SeriesSource

DEFAULT_SUBQUERY_STEP_MS = 60_000
NO_LIMITS_GIVEN = Limits()
Asked = TypeVar("Asked", bound=Node)


def never() -> bool:
    """Be a deadline that does not pass."""
    return False


def evaluate(
    query: str,
    *,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    source: SeriesSource,
    lookback_ms: int = 300_000,
    limits: Limits = NO_LIMITS_GIVEN,
    deadline: Callable[[], bool] = never,
    enforced_matchers: Sequence[Matcher] = (),
    experimental: bool = False,
    rewrite: Callable[[Node], Node] | None = None,
    walk: Callable[[Reader], "Evaluation"] | None = None,
) -> QueryResult:
    """Answer a query on the grid start..end; an instant query has start == end and step 0 or 1.

    What Prometheus calls experimental is refused unless `experimental` is true. `rewrite` may change the plan before it
    is evaluated; `walk` may watch the evaluation.
    """
    grid = _grid(start_ms, end_ms, step_ms, limits)
    plan = parse(query, experimental=experimental)
    if plan.depth > limits.max_depth:
        raise QueryError(f"the query is nested {plan.depth} levels deep, the limit is {limits.max_depth}", "bad_data")
    reader = Reader(source, grid, lookback_ms, limits, deadline, tuple(enforced_matchers))
    with np.errstate(all="ignore"):
        root = resolve(plan, 0 if grid.is_instant else step_ms, end_ms - start_ms)
        root = root if rewrite is None else rewrite(root)
        result = _answer((walk or Evaluation)(reader).of(root, grid), grid)
    result.warnings, result.infos = reader.notes.shown(query)
    return result


def _grid(start_ms: int, end_ms: int, step_ms: int, limits: Limits) -> Grid:
    if end_ms < start_ms:
        raise QueryError("the end of the range is before its start", kind="bad_data")
    if end_ms > start_ms and step_ms <= 0:
        raise QueryError("zero or negative query resolution step widths are not accepted", kind="bad_data")
    count = 1 if start_ms == end_ms else (end_ms - start_ms) // step_ms + 1
    if count > limits.max_steps:
        raise QueryError(f"the range has {count} steps, the limit is {limits.max_steps}", kind="bad_data")
    return Grid(start_ms, max(step_ms, 1), count)


class Evaluation:
    """Walks a plan; every node is evaluated for all steps of its grid together."""

    # Whether an aggregation and what is below it may be evaluated together, part by part.
    in_parts = True

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def _frame(self, node: Asked, grid: Grid) -> Frame[Asked]:
        return Frame(node, grid, self.reader.notes, self.reader.limits)

    def of(self, node: Node, grid: Grid) -> Operand:
        """Evaluate a node and everything below it."""
        self.reader.check()
        above, self.reader.need = self.reader.need, self.reader.need.below(node)
        result = self._of(node, grid)
        self.reader.need = above
        return result

    def _of(self, node: Node, grid: Grid) -> Operand:
        match node:
            case Number(value=value):
                return ScalarValue(np.full(grid.count, value))
            case Text(value=text):
                return TextValue(text)
            case Selector():
                return self.reader.instant(node, grid)
            case RangeSelector():
                return self.reader.window(node, grid)
            case Subquery():
                return self._subquery(node, grid)
            case Call():
                return self._call(node, grid)
            case Aggregate():
                return self._aggregate(node, grid)
            case Binary():
                return self._binary(node, grid)
            case Negate(expr=expr):
                return self._negated(self.of(expr, grid))

    def _negated(self, operand: Operand) -> Operand:
        if isinstance(operand, VectorValue):
            negative = operand.with_values(-operand.values, drops_name=True)
            negative.histograms = mapped_histograms(operand, lambda one: multiplied(one, -1.0))
            return negative
        if isinstance(operand, ScalarValue):
            return ScalarValue(-operand.values)
        raise QueryError("only numbers and instant vectors can be negated", kind="bad_data")

    def _binary(self, node: Binary, grid: Grid) -> Operand:
        left = self.of(node.left, grid)
        result = combine(self._frame(node, grid), left, self.of(node.right, grid))
        if isinstance(result, VectorValue):
            refuse_too_many(len(result.labels), grid.count, self.reader.limits)
        return result

    def _aggregate(self, node: Aggregate, grid: Grid) -> Operand:
        if self.in_parts and node.op in IN_PARTS and self.reader.has_parts:
            reduced = self._reduced_in_parts(node, grid)
            if reduced is not None:
                return reduced
        parameter = None if node.parameter is None else self.of(node.parameter, grid)
        vector = self.of(node.expr, grid)
        if not isinstance(vector, VectorValue):
            raise QueryError("aggregations need an instant vector", kind="bad_data")
        number = parameter if isinstance(parameter, ScalarValue) else None
        label = parameter.text if isinstance(parameter, TextValue) else ""
        return aggregate(self._frame(node, grid), vector, number, label)

    def _reduced_in_parts(self, node: Aggregate, grid: Grid) -> VectorValue | None:
        """Aggregate what a source has in parts one after the other; None where all series are needed at once."""
        inner, samples = node.expr, self.reader.samples
        if isinstance(inner, Selector) and not inner.smoothing:
            parts = self.reader.newest_parts(inner, grid, partial(reduced_part, node))
        elif isinstance(inner, Call) and inner.name in RANGE_FUNCTIONS and inner.name != "absent_over_time":
            ranged, work = self._ranged_work(inner, grid)
            if not isinstance(ranged, RangeSelector):
                return None
            parts = self.reader.window_parts(ranged, grid, lambda windows: reduced_part(node, work(windows)))
        else:
            return None
        answer = parts_together(node, parts, grid.count)
        if answer is None:
            self.reader.samples = samples
        return answer

    def _call(self, node: Call, grid: Grid) -> Operand:
        context = self._query_context(node.name, grid)
        if context is not None:
            return context
        if node.name == "timestamp" and isinstance(node.arguments[0], Selector):
            vector = self.reader.instant(node.arguments[0], grid, sampled_at=True)
            return vector.with_values(vector.values, drops_name=True)
        if node.name == "start_timestamp":
            return self._started(node.arguments[0], grid)
        if node.name == "info":
            base = self.of(node.arguments[0], grid)
            return enriched(node, base, self.reader, grid) if isinstance(base, VectorValue) else base
        if node.name in RANGE_FUNCTIONS:
            return self._over_range(node, grid)
        arguments = [self.of(argument, grid) for argument in node.arguments]
        if node.name == "absent" and isinstance(arguments[0], VectorValue):
            return absence(node.arguments[0], arguments[0], grid.count)
        return call(self._frame(node, grid), arguments)

    def _started(self, argument: Node, grid: Grid) -> VectorValue:
        """Evaluate start_timestamp; what was made of samples did not start anywhere."""
        if not isinstance(argument, Selector):
            self.of(argument, grid)
            return empty_vector(grid.count)
        vector = self.reader.started(argument, grid)
        return vector.with_values(vector.values, drops_name=True)

    def _query_context(self, name: str, grid: Grid) -> ScalarValue | None:
        whole = self.reader.query_grid
        milliseconds = {
            "start": whole.start_ms,
            "end": whole.end_ms,
            "step": 0 if whole.is_instant else whole.step_ms,
            "range": whole.end_ms - whole.start_ms,
        }.get(name)
        return None if milliseconds is None else ScalarValue(np.full(grid.count, milliseconds / 1000.0))

    def _ranged_work(self, node: Call, grid: Grid) -> tuple[Node, Callable[[RangeValue], VectorValue]]:
        """Return the argument a function looks back over, and the function with its other arguments."""
        place, ranged = next(
            (place, argument)
            for place, argument in enumerate(node.arguments)
            if isinstance(argument, RangeSelector | Subquery)
        )
        others = [self.of(argument, grid) for number, argument in enumerate(node.arguments) if number != place]
        scalars = [argument for argument in others if isinstance(argument, ScalarValue)]
        return ranged, partial(over_range, self._frame(node, grid), scalars=scalars)

    def _over_range(self, node: Call, grid: Grid) -> VectorValue:
        ranged, work = self._ranged_work(node, grid)
        if isinstance(ranged, RangeSelector):
            vector = self.reader.over_windows(ranged, grid, work)
        else:
            vector = work(self._subquery(cast("Subquery", ranged), grid))
        if node.name == "absent_over_time":
            return absence(node.arguments[0], vector, grid.count)
        return vector

    def _subquery(self, node: Subquery, grid: Grid) -> RangeValue:
        ends = self.reader.ends_of(grid, node.offset_ms, node.anchor)
        step = node.step_ms or DEFAULT_SUBQUERY_STEP_MS
        first = ((int(ends[0]) - node.range_ms) // step + 1) * step
        count = (int(ends[-1]) - first) // step + 1
        inner = Grid(first, step, max(count, 1))
        refuse_too_many(1, inner.count, self.reader.limits)
        vector = self.of(node.expr, inner)
        if not isinstance(vector, VectorValue):
            raise QueryError("subqueries need an instant vector", kind="bad_data")
        if count < 1:
            vector = vector.rows(np.empty(0, dtype=np.int64))
        return RangeValue(columns_of(vector, inner), vector.drops_name, ends, node.range_ms)


def _answer(operand: Operand, grid: Grid) -> QueryResult:
    times = grid.times_ms
    match operand:
        case ScalarValue(values=values):
            present = np.ones((1, grid.count), dtype=np.bool_)
            return QueryResult("scalar", [{}], times, values[None, :].copy(), present)
        case TextValue(text=text):
            empty = np.empty((0, grid.count))
            return QueryResult("string", [], times, empty, empty.astype(np.bool_), string_value=sound(text))
        case RangeValue():
            return _range_answer(operand, grid)
        case VectorValue():
            return _vector_answer(merged(names_dropped(operand)), grid)


def _vector_answer(vector: VectorValue, grid: Grid) -> QueryResult:
    rows = np.flatnonzero(vector.present.any(axis=1))
    if not grid.is_instant:
        names = [sorted(vector.labels[row].items()) for row in rows.tolist()]
        rows = rows[np.array(sorted(range(len(names)), key=names.__getitem__), dtype=np.int64)]
    kept = vector.rows(rows)
    kind: ResultType = "vector" if grid.is_instant else "matrix"
    return QueryResult(kind, kept.labels, grid.times_ms, kept.values, kept.present, histograms=kept.histograms)


def _range_answer(ranged: RangeValue, grid: Grid) -> QueryResult:
    if not grid.is_instant:
        raise QueryError("a range query needs a scalar or an instant vector", kind="bad_data")
    if ranged.smoothing:
        if ranged.columns.histograms is not None:
            raise QueryError(f"{ranged.smoothing} modifier is not supported with histograms")
        shown = stretched(ranged)
        empty = np.empty((len(shown.labels), 0))
        return QueryResult(
            "matrix", shown.labels, empty[0:0].astype(np.int64).ravel(), empty, empty > 0, range_vector=shown
        )
    columns, end = ranged.columns, int(ranged.ends_ms[0])
    inside = (columns.timestamps_ms > end - ranged.range_ms) & (columns.timestamps_ms <= end)
    before = np.concatenate(([0], np.cumsum(inside, dtype=np.int64)))[columns.offsets]
    rows = np.flatnonzero(np.diff(before) > 0).tolist()
    drops = ranged.drops_name
    labels = [
        {name: value for name, value in columns.labels[row].items() if not (drops[row] and name == NAME)}
        for row in rows
    ]
    columns = type(columns)(
        labels,
        np.concatenate(([0], before[1:][rows])).astype(np.int64),
        columns.timestamps_ms[inside],
        columns.values[inside],
        None if columns.histograms is None else columns.histograms[inside],
    )
    empty = np.empty((len(labels), 0))
    return QueryResult("matrix", labels, np.empty(0, np.int64), empty, empty.astype(np.bool_), range_vector=columns)
