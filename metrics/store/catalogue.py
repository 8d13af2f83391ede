"""All series of the store as label columns in memory; matchers are answered here without touching PostgreSQL.

PostgreSQL is the truth: `refresh` reads what was added since. A transaction may commit late, so the mark is not an id
but the transaction horizon: every row whose transaction was not finished at the last reading is read again.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
import re2

from metrics.domain import METRIC_NAME_LABEL
from metrics.models import SERIES_PER_GROUP
from metrics.promql.types import Matcher, QueryError

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
ABSENT = 0


@dataclass(slots=True)
class LabelValues:
    """The dictionary of one label; code 0 is the empty value, which also means that the label is absent."""

    texts: list[str] = field(default_factory=lambda: [""])
    codes: dict[str, int] = field(default_factory=lambda: {"": ABSENT})

    def code(self, text: str) -> int:
        """Return the code of a value, giving it one at first sight."""
        code = self.codes.setdefault(text, len(self.texts))
        if code == len(self.texts):
            self.texts.append(text)
        return code


@dataclass(slots=True)
class Growing:
    """An array that doubles when it is full."""

    data: npt.NDArray[Any]
    size: int = 0

    def put(self, index: int, value: int) -> None:
        """Write one place, growing with zeros up to it."""
        if index >= self.data.size:
            grown = np.zeros(max(8, 2 * self.data.size, index + 1), self.data.dtype)
            grown[: self.data.size] = self.data
            self.data = grown
        self.data[index] = value
        self.size = max(self.size, index + 1)

    def view(self, size: int) -> npt.NDArray[Any]:
        """Return the first places; those never written are zero."""
        if self.data.size < size:
            self.put(size - 1, 0)
        return self.data[:size]


@dataclass(slots=True)
class MetricColumns:
    """The series of one metric: ids and one code column for each label that any of them has."""

    name: str
    metric_id: int
    ids: Growing = field(default_factory=lambda: Growing(np.zeros(8, np.int64)))
    labels: dict[str, Growing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """The matching series of one metric, as row numbers."""

    columns: MetricColumns
    rows: Ints
    ids: Ints


def compile_pattern(pattern: str) -> Any:
    """Return a fully anchored RE2 pattern; raises QueryError where it is not one."""
    try:
        return re2.compile(f"^(?s:{pattern})$", _OPTIONS)
    except re2.error as error:
        raise QueryError(f"the regular expression {pattern!r} is not valid: {error}", kind="bad_data") from None


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 8 << 20


def accepts(matcher: Matcher, texts: Sequence[str]) -> Bools:
    """Return for each text whether the matcher takes it."""
    if matcher.op in ("=", "!="):
        hits = np.fromiter((text == matcher.value for text in texts), np.bool_, len(texts))
    else:
        pattern = compile_pattern(matcher.value)
        hits = np.fromiter((pattern.search(text) is not None for text in texts), np.bool_, len(texts))
    return ~hits if matcher.op in ("!=", "!~") else hits


class Catalogue:
    """Every series known to this process; one lock, held for microseconds by queries."""

    def __init__(self) -> None:
        """Start empty; the first refresh reads everything."""
        self._lock = threading.RLock()
        self._metrics: dict[str, MetricColumns] = {}
        self._values: dict[str, LabelValues] = {}
        self._known: set[int] = set()
        self._horizon = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def horizon(self) -> int:
        """Return the transaction up to which everything was read, 0 before the first refresh."""
        return self._horizon

    def clear(self) -> None:
        """Forget everything, so that the next refresh reads it again."""
        with self._lock:
            self._metrics, self._values, self._known, self._horizon = {}, {}, set(), 0

    def refresh(self, cursor: psycopg.Cursor[Any]) -> None:
        """Read the series that were committed since the last refresh."""
        with self._lock:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            row = cursor.fetchone()
            horizon = row[0] if row else 0
            cursor.execute(
                "SELECT s.id, m.id, m.name, s.labels FROM metrics_series s JOIN metrics_metric m ON m.id = s.metric_id"
                " WHERE s.created_xid >= %s::text::xid8 ORDER BY s.id",
                [str(self._horizon)],
            )
            self.add(cursor)
            self._horizon = horizon

    def add(self, rows: Iterable[tuple[int, int, str, dict[str, str]]]) -> None:
        """Add series (id, metric id, metric name, labels) that are not there yet."""
        with self._lock:
            for series_id, metric_id, name, labels in rows:
                if series_id not in self._known:
                    self._known.add(series_id)
                    self._append(series_id, metric_id, name, labels)

    def _append(self, series_id: int, metric_id: int, name: str, labels: dict[str, str]) -> None:
        columns = self._metrics.get(name)
        if columns is None:
            columns = self._metrics[name] = MetricColumns(name, metric_id)
        row = columns.ids.size
        columns.ids.put(row, series_id)
        for label, text in labels.items():
            if label == METRIC_NAME_LABEL:
                continue
            column = columns.labels.get(label)
            if column is None:
                column = columns.labels[label] = Growing(np.zeros(8, np.int32))
                self._values.setdefault(label, LabelValues())
            column.put(row, self._values[label].code(text))

    def metric_names(self, matchers: Sequence[Matcher] = (), groups: Ints | None = None) -> list[str]:
        """Return the names of metrics with a matching series, sorted."""
        with self._lock:
            return sorted(found.columns.name for found in self.find(matchers, groups))

    def find(self, matchers: Sequence[Matcher], groups: Ints | None = None) -> list[Found]:
        """Return the series (of these groups) that pass every matcher; an absent label matches as the empty value."""
        with self._lock:
            by_name = [matcher for matcher in matchers if matcher.name == METRIC_NAME_LABEL]
            others = [matcher for matcher in matchers if matcher.name != METRIC_NAME_LABEL]
            tables = [(matcher.name, self._table(matcher)) for matcher in others]
            found = [_match(columns, tables) for columns in self._candidates(by_name)]
            if groups is not None:
                found = [_within(part, groups) for part in found]
            return [part for part in found if part.rows.size]

    def _table(self, matcher: Matcher) -> Bools:
        return accepts(matcher, self._values.get(matcher.name, LabelValues()).texts)

    def _candidates(self, matchers: Sequence[Matcher]) -> list[MetricColumns]:
        exact = [matcher for matcher in matchers if matcher.op == "="]
        names = [exact[0].value] if exact else list(self._metrics)
        names = [name for name in names if name in self._metrics]
        for matcher in matchers:
            names = [name for name, hit in zip(names, accepts(matcher, names), strict=True) if hit]
        return [self._metrics[name] for name in names]

    def labels_of(self, found: Found) -> list[dict[str, str]]:
        """Return the label sets of the found series, the metric name first."""
        with self._lock:
            size = found.columns.ids.size
            result = [{METRIC_NAME_LABEL: found.columns.name} for _ in range(found.rows.size)]
            for label in sorted(found.columns.labels):
                texts = self._values[label].texts
                codes = found.columns.labels[label].view(size)[found.rows].tolist()
                for labels, code in zip(result, codes, strict=True):
                    if code:
                        labels[label] = texts[code]
            return result

    def label_names(self, matchers: Sequence[Matcher], groups: Ints | None = None) -> list[str]:
        """Return the names of labels that a matching series has, sorted."""
        with self._lock:
            names: set[str] = set()
            for found in self.find(matchers, groups):
                names.add(METRIC_NAME_LABEL)
                size = found.columns.ids.size
                for label, column in found.columns.labels.items():
                    if label not in names and bool(column.view(size)[found.rows].any()):
                        names.add(label)
            return sorted(names)

    def label_values(self, name: str, matchers: Sequence[Matcher], groups: Ints | None = None) -> list[str]:
        """Return the values of one label among the matching series, sorted."""
        if name == METRIC_NAME_LABEL:
            return self.metric_names(matchers, groups)
        with self._lock:
            used: set[int] = set()
            for found in self.find(matchers, groups):
                if name in found.columns.labels:
                    column = found.columns.labels[name].view(found.columns.ids.size)
                    used.update(np.unique(column[found.rows]).tolist())
            used.discard(ABSENT)
            texts = self._values.get(name, LabelValues()).texts
            return sorted(texts[code] for code in used)

    def value_counts(self, found: Found, label: str) -> tuple[list[str], list[int]]:
        """Return the values one label has among these series, and how many series have each."""
        with self._lock:
            column: Codes = found.columns.labels[label].view(found.columns.ids.size)[found.rows]
            counts = np.bincount(column)
            used = np.flatnonzero(counts)
            used = used[used != ABSENT]
            texts = self._values[label].texts
            return [texts[code] for code in used.tolist()], counts[used].tolist()


def _match(columns: MetricColumns, tables: Sequence[tuple[str, Bools]]) -> Found:
    size = columns.ids.size
    kept = np.ones(size, np.bool_)
    for label, table in tables:
        column: Codes | None = columns.labels[label].view(size) if label in columns.labels else None
        if column is None:
            kept &= bool(table[ABSENT])
        else:
            kept &= table[column]
    rows = np.flatnonzero(kept)
    return Found(columns, rows, columns.ids.view(size)[rows])


def _within(found: Found, groups: Ints) -> Found:
    kept = np.isin(found.ids // SERIES_PER_GROUP, groups)
    return Found(found.columns, found.rows[kept], found.ids[kept])
