"""Runs a script: loads into a shelf, asks the engine, compares."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from metrics.native_histograms.model import Histogram
from metrics.native_histograms.resets import as_stored
from metrics.promql.engine import evaluate
from metrics.promql.nodes import Node
from metrics.promql.parsing import parse
from metrics.promql.scripts.anchoring import anchored, depends_on_query, depends_on_time, other_moments
from metrics.promql.scripts.classic import native_series
from metrics.promql.scripts.durations import BadScript
from metrics.promql.scripts.judging import (
    NotAsExpected,
    Row,
    judge,
    judge_failure,
    judge_notes,
    judge_vector,
    refuse_unsorted,
    rows_of,
    same,
)
from metrics.promql.scripts.language import Broken, Clear, Command, Eval, Load, commands_of
from metrics.promql.scripts.series import Point, Series
from metrics.promql.types import QueryError, QueryResult, SeriesSource

AROUND_MS = 60_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """Samples of one series, in the order of time; `starts_ms` runs beside them, 0 where nothing is known."""

    labels: dict[str, str]
    timestamps_ms: list[int]
    points: list[Point]
    starts_ms: list[int]


class Shelf(Protocol):
    """Where the samples of a script lie."""

    def load(self, series: Sequence[Loaded]) -> None:
        """Add samples."""
        ...

    def clear(self) -> None:
        """Forget all samples."""
        ...

    def source(self) -> SeriesSource:
        """Return what queries read from."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """What became of one command: a query, or a line that could not be read or loaded."""

    line: int
    query: str
    ok: bool
    message: str = ""


def run_script(script: str, shelf: Shelf) -> Iterator[Case]:
    """Run a script on an empty shelf; a command that fails does not stop the others."""
    before: dict[frozenset[tuple[str, str]], Histogram | None] = {}
    shelf.clear()
    for command in commands_of(script):
        if isinstance(command, Clear):
            shelf.clear()
            before.clear()
            continue
        problem = _outcome(command, shelf, before)
        if isinstance(command, Eval) or problem:
            yield Case(command.line, _title(command), not problem, problem)


def _title(command: Command) -> str:
    match command:
        case Eval(query=query):
            return query
        case Broken(text=text):
            return text
        case _:
            return "load"


def _outcome(command: Command, shelf: Shelf, before: dict[frozenset[tuple[str, str]], Histogram | None]) -> str:
    """Return what is wrong; an empty text where all is well."""
    try:
        match command:
            case Broken(reason=reason):
                return reason
            case Load():
                shelf.load(list(_loaded(command, before)))
            case Eval():
                _ask(command, shelf.source())
    except (BadScript, NotAsExpected) as problem:
        return str(problem)
    return ""


def _loaded(command: Load, before: dict[frozenset[tuple[str, str]], Histogram | None]) -> Iterator[Loaded]:
    # The last line that describes a series is the one that counts.
    described = {frozenset(one.labels.items()): place for place, one in enumerate(command.series)}
    for place in described.values():
        yield _placed(command.series[place], command.starts[place], command.step_ms, before)
    if command.as_native_too:
        for series in native_series([command.series[place] for place in described.values()]):
            yield _placed(series, None, command.step_ms, before)


def _placed(
    series: Series,
    starts: list[int | None] | None,
    step_ms: int,
    before: dict[frozenset[tuple[str, str]], Histogram | None],
) -> Loaded:
    loaded = Loaded(series.labels, [], [], [])
    key = frozenset(series.labels.items())
    for place, point in enumerate(series.points):
        if point.omitted:
            continue
        at = place * step_ms
        shift = None if starts is None else starts[place]
        kept = (
            point if point.histogram is None else replace(point, histogram=as_stored(point.histogram, before.get(key)))
        )
        loaded.timestamps_ms.append(at)
        loaded.points.append(kept)
        loaded.starts_ms.append(0 if shift is None else at + shift)
        before[key] = point.histogram
    return loaded


def _evaluated(
    command: Eval, source: SeriesSource, period: tuple[int, int, int], rewrite: Callable[[Node], Node] | None
) -> QueryResult:
    start_ms, end_ms, step_ms = period
    return evaluate(
        command.query,
        start_ms=start_ms,
        end_ms=end_ms,
        step_ms=step_ms,
        source=source,
        experimental=True,
        rewrite=rewrite,
    )


def _ask(command: Eval, source: SeriesSource) -> None:
    if command.is_range:
        _ask_once(command, source, (command.start_ms, command.end_ms, command.step_ms), None)
        return
    at = command.end_ms
    _ask_at(command, source, at, None)
    try:
        fixed = not depends_on_time(parse(command.query, experimental=True).root)
    except QueryError:
        return
    if fixed:
        for moment in other_moments(at):
            try:
                _ask_at(command, source, moment, partial(anchored, at_ms=at))
            except NotAsExpected as problem:
                raise NotAsExpected(f"with all selectors at {at} asked at {moment}: {problem}") from problem


def _ask_once(
    command: Eval, source: SeriesSource, period: tuple[int, int, int], rewrite: Callable[[Node], Node] | None
) -> bool:
    """Ask and compare; returns whether there was an answer."""
    try:
        result = _evaluated(command, source, period, rewrite)
    except QueryError as problem:
        judge_failure(command, str(problem))
        return False
    if command.wants("fail"):
        raise NotAsExpected("expected error evaluating query but got none")
    judge_notes(command, result)
    judge(command, result)
    return True


def _ask_at(command: Eval, source: SeriesSource, at_ms: int, rewrite: Callable[[Node], Node] | None) -> None:
    answered = _ask_once(command, source, (at_ms, at_ms, 0), rewrite)
    beside_range = command.is_window or command.text is not None or depends_on_query(command.query)
    if not answered or beside_range:
        return
    try:
        _ask_around(command, source, at_ms, rewrite)
    except QueryError as problem:
        raise NotAsExpected(f"in range mode: {problem}") from problem
    except NotAsExpected as problem:
        raise NotAsExpected(f"in range mode: {problem}") from problem


def _ask_around(command: Eval, source: SeriesSource, at_ms: int, rewrite: Callable[[Node], Node] | None) -> None:
    """Ask for three steps around the instant: the middle one must be the same answer."""
    result = _evaluated(command, source, (at_ms - AROUND_MS, at_ms + AROUND_MS, AROUND_MS), rewrite)
    if command.wants("ordered"):
        return
    rows = rows_of(result)
    refuse_unsorted(rows)
    middle = [Row(row.labels, [point for point in row.points if point[0] == at_ms]) for row in rows]
    middle = [row for row in middle if row.points]
    if command.scalar is None:
        judge_vector(command, middle)
    elif not middle or not same(Point(command.scalar), middle[0].points[0][1]):
        raise NotAsExpected(f"expected scalar {command.scalar} but got {middle}")
