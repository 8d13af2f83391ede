"""Whether an answer is what a script expects; the rules are those of Prometheus' test runner."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from metrics.native_histograms.equality import alike, near
from metrics.native_histograms.model import Histogram
from metrics.promql.scripts.language import Eval, Expectation
from metrics.promql.scripts.series import Point
from metrics.promql.types import Labels, QueryResult

TOLERANCE = 1e-6
Value: TypeAlias = float | Histogram
Key: TypeAlias = frozenset[tuple[str, str]]


class NotAsExpected(Exception):
    """The answer differs from what the script says."""


@dataclass(frozen=True, slots=True)
class Row:
    """One series of an answer."""

    labels: Labels
    points: list[tuple[int, Value]]

    @property
    def key(self) -> Key:
        """Return what tells it apart."""
        return frozenset(self.labels.items())


def rows_of(result: QueryResult) -> list[Row]:
    """Return the series of an answer, those without points left out."""
    held = result.range_vector
    if held is not None:
        histograms = [None] * held.values.size if held.histograms is None else held.histograms.tolist()
        found = list(zip(held.timestamps_ms.tolist(), held.values.tolist(), histograms, strict=True))
        bounds = pairwise(held.offsets.tolist())
        return [
            Row(labels, [(at, value if one is None else one) for at, value, one in found[begin:end]])
            for labels, (begin, end) in zip(held.labels, bounds, strict=True)
        ]
    times = result.timestamps_ms.tolist()
    rows = []
    for place, labels in enumerate(result.labels):
        values = result.values[place].tolist()
        native = [None] * len(times) if result.histograms is None else result.histograms[place].tolist()
        here = result.present[place].tolist()
        points = [
            (at, value if one is None else one)
            for at, value, one, present in zip(times, values, native, here, strict=True)
            if present
        ]
        rows.append(Row(labels, points))
    return [row for row in rows if row.points]


def judge(command: Eval, result: QueryResult) -> None:
    """Compare an answer; raises NotAsExpected."""
    if result.type == "string":
        if result.string_value != (command.text or ""):
            raise NotAsExpected(f"expected string {command.text!r} but got {result.string_value!r}")
    elif result.type == "scalar":
        _judge_scalar(command, rows_of(result))
    elif command.scalar is not None:
        raise NotAsExpected(f"expected scalar result, but got a {result.type}")
    elif result.type == "vector":
        judge_vector(command, rows_of(result))
    else:
        judge_matrix(command, rows_of(result))


def _judge_scalar(command: Eval, rows: Sequence[Row]) -> None:
    if command.is_range:
        judge_matrix(command, rows)
        return
    value = rows[0].points[0][1]
    if command.scalar is None:
        raise NotAsExpected(f"expected vector or matrix result, but got scalar {value}")
    if not same(Point(command.scalar), value):
        raise NotAsExpected(f"expected scalar {command.scalar} but got {value}")


def same(expected: Point, got: Value) -> bool:
    """Compare one value."""
    if isinstance(got, Histogram):
        wanted = expected.histogram
        return wanted is not None and alike(wanted, got, TOLERANCE, with_hint=expected.hinted)
    return expected.histogram is None and near(expected.number, got, TOLERANCE)


def judge_vector(command: Eval, rows: Sequence[Row]) -> None:
    """Compare the series of one instant."""
    wanted = {frozenset(one.labels.items()): (place, one.points[0]) for place, one in enumerate(command.series)}
    for place, row in enumerate(rows):
        if row.key not in wanted:
            raise NotAsExpected(f"unexpected metric {row.labels} in result, has value {row.points[0][1]}")
        position, point = wanted[row.key]
        if command.wants("ordered") and position != place:
            raise NotAsExpected(f"expected metric {row.labels} at position {position + 1} but was at {place + 1}")
        if not same(point, row.points[0][1]):
            raise NotAsExpected(f"expected {_shown(point)} for {row.labels} but got {row.points[0][1]}")
    _refuse_missing(command, rows)


def _shown(point: Point) -> str:
    return str(point.number if point.histogram is None else point.histogram)


def _refuse_missing(command: Eval, rows: Sequence[Row]) -> None:
    found = {row.key for row in rows}
    missing = [one.labels for one in command.series if frozenset(one.labels.items()) not in found]
    if missing:
        raise NotAsExpected(f"expected metric {missing[0]} not found")


def judge_matrix(command: Eval, rows: Sequence[Row]) -> None:
    """Compare series over time."""
    if command.wants("ordered"):
        raise NotAsExpected("expected ordered result, but query returned a matrix")
    if command.scalar is not None:
        raise NotAsExpected("expected scalar result, but got a matrix")
    refuse_unsorted(rows)
    wanted = {frozenset(one.labels.items()): one for one in command.series}
    for row in rows:
        if row.key not in wanted:
            raise NotAsExpected(f"unexpected metric {row.labels} in result, has {row.points}")
        _judge_row(command, wanted[row.key].points, row)
    _refuse_missing(command, rows)


def _judge_row(command: Eval, points: Sequence[Point], row: Row) -> None:
    wanted = [
        (command.start_ms + place * command.step_ms, point) for place, point in enumerate(points) if not point.omitted
    ]
    if points and command.start_ms + (len(points) - 1) * command.step_ms > command.end_ms:
        raise NotAsExpected(f"expected {len(points)} points for {row.labels}, but the range cannot return this many")
    if len(wanted) != len(row.points):
        raise NotAsExpected(f"expected {len(wanted)} points for {row.labels}, but got {len(row.points)}: {row.points}")
    for (at, point), (got_at, value) in zip(wanted, row.points, strict=True):
        if at != got_at:
            raise NotAsExpected(f"expected a point of {row.labels} at {at}, but it was at {got_at}")
        if not same(point, value):
            raise NotAsExpected(f"expected {_shown(point)} for {row.labels} at {at}, but got {value}")


def refuse_unsorted(rows: Sequence[Row]) -> None:
    """Hold the series of an answer over time to the order of their labels."""
    names = [sorted(row.labels.items()) for row in rows]
    for before, after in pairwise(names):
        if before > after:
            raise NotAsExpected(f"matrix results should be sorted by labels, but {after} comes after {before}")


def judge_failure(command: Eval, message: str) -> None:
    """Compare the message of a query that failed; raises NotAsExpected."""
    expected = command.wants("fail")
    if not expected:
        raise NotAsExpected(f"error evaluating query: {message}")
    for one in expected:
        if not one.holds(message):
            raise NotAsExpected(f"expected error matching {one.text or one.pattern!r}, but got: {message}")


def judge_notes(command: Eval, result: QueryResult) -> None:
    """Compare the annotations; raises NotAsExpected."""
    _judge_notes(command.wants("warn"), result.warnings, "warn", unwanted=bool(command.wants("no_warn")))
    _judge_notes(command.wants("info"), result.infos, "info", unwanted=bool(command.wants("no_info")))


def _judge_notes(expected: Sequence[Expectation], found: Sequence[str], kind: str, *, unwanted: bool) -> None:
    if unwanted and found:
        raise NotAsExpected(f"unexpected {kind} annotations: {found}")
    if not expected:
        return
    for one in expected:
        if not any(one.holds(text) for text in found):
            raise NotAsExpected(f"expected {kind} annotation {one.text or one.pattern!r}, found: {found}")
    for text in found:
        if not any(one.holds(text) for one in expected):
            raise NotAsExpected(f"unexpected {kind} annotation {text!r}")
