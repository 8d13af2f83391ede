"""All series of the store as label columns in memory; matchers are answered here without touching PostgreSQL.

PostgreSQL is the truth: `refresh` reads what was added since. A transaction may commit late, so the mark is not an id
but the transaction horizon: every row whose transaction was not finished at the last reading is read again.
"""

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, groupby, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import psycopg
import re2

from metrics.domain import METRIC_NAME_LABEL
from metrics.models import SERIES_PER_GROUP
from metrics.promql.types import Matcher, QueryError
from metrics.store.pair_index import PairIndex, later_rows

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
# (series id, metric id, metric name, labels).
Row = tuple[int, int, str, dict[str, str]]
ABSENT = 0
# The code of a value that no series has.
NOBODY = -1
# So many series may come beside an index before it is made again, and in so many portions.
LEAST_CAME, MOST_JOURNAL = 20_000, 20_000
# So many are taken out before all is read anew; a quarter of all is reason as well.
LEAST_GONE = 10_000
_FETCH = "FETCH 5000 FROM every_series"


class Coding(dict[str, int]):
    """Codes of texts; one that is new gets the next code when it is first looked up."""

    def __init__(self, texts: list[str]) -> None:
        """Give the texts that are there their places as codes."""
        super().__init__(zip(texts, range(len(texts)), strict=True))
        self._texts = texts

    def __missing__(self, text: str) -> int:
        """Give the text the next code."""
        code = self[text] = len(self._texts)
        self._texts.append(text)
        return code


class LabelValues:
    """The dictionary of one label; code 0 is the empty value, which also means that the label is absent."""

    def __init__(self) -> None:
        """Start with the empty value."""
        self.texts: list[str] = [""]
        self.codes = Coding(self.texts)

    def code(self, text: str) -> int:
        """Return the code of a value, giving it one at first sight."""
        return self.codes[text]


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

    def put_many(self, index: int, values: npt.NDArray[Any]) -> None:
        """Write neighbouring places."""
        if values.size:
            end = index + values.size
            # Grows where it must, as for one.
            self.put(end - 1, values[-1])
            self.data[index:end] = values

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
    # No two have the same, not even of one metric.
    number: int = field(default_factory=count(1).__next__)
    # What somebody counted of so many rows, kept for the next one who asks.
    counted: object = None

    def codes_from(self, label: str, first: int) -> Codes | None:
        """Return the codes of a label from a row on, None where no series has it."""
        column = self.labels.get(label)
        return None if column is None else column.view(self.ids.size)[first:]

    def taking(self, rows: Ints) -> "MetricColumns":
        """Return columns of these rows only."""
        size = self.ids.size
        columns = MetricColumns(self.name, self.metric_id, Growing(self.ids.view(size)[rows], rows.size))
        for label, codes in self.labels.items():
            kept = codes.view(size)[rows]
            if bool(kept.any()):
                columns.labels[label] = Growing(kept, rows.size)
        return columns


@dataclass(frozen=True, slots=True)
class Found:
    """The matching series of one metric, as row numbers."""

    columns: MetricColumns
    rows: Ints
    ids: Ints


@lru_cache(maxsize=512)
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
        self._gone = 0
        self._pairs: dict[str, PairIndex] = {}
        # Where rows were added: the metric, the first of them and how many.
        self._journal: list[tuple[MetricColumns, int, int]] = []
        self._changes = 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def horizon(self) -> int:
        """Return the transaction up to which everything was read, 0 before the first refresh."""
        return self._horizon

    def clear(self) -> None:
        """Forget everything, so that the next refresh reads it again."""
        with self._lock:
            self._changes += 1
            self._metrics, self._values, self._known, self._horizon, self._gone = {}, {}, set(), 0, 0
            self._forget_pairs()

    def _forget_pairs(self) -> None:
        self._pairs, self._journal = {}, []

    def refresh(self, cursor: psycopg.Cursor[Any]) -> None:
        """Read the series that were committed since the last refresh."""
        with self._lock:
            cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
            row = cursor.fetchone()
            horizon = row[0] if row else 0
            self._let_go(cursor)
            self._read(cursor)
            self._horizon = horizon

    def _let_go(self, cursor: psycopg.Cursor[Any]) -> None:
        """Leave out the series that went since the horizon; with many of them gone, begin anew without their texts."""
        if not self._horizon:
            return
        cursor.execute("SELECT id FROM metrics_leavingseries WHERE gone_xid >= %s", [self._horizon])
        gone = self._known.intersection([row[0] for row in cursor])
        cursor.execute("SELECT EXISTS (SELECT FROM metrics_seriesfence WHERE forgotten_xid >= %s)", [self._horizon])
        is_forgotten = (cursor.fetchone() or (False,))[0]
        self._gone += len(gone)
        if is_forgotten or self._gone > max(LEAST_GONE, len(self._known) // 4):
            self.clear()
        elif gone:
            self._remove(gone)

    def _remove(self, gone: set[int]) -> None:
        """Put new columns in the place of those that lose rows: a query may be reading the old ones."""
        self._known -= gone
        self._forget_pairs()
        self._changes += 1
        ids = np.array(sorted(gone), np.int64)
        for name, columns in list(self._metrics.items()):
            size = columns.ids.size
            stay = np.isin(columns.ids.view(size), ids, invert=True)
            if not bool(stay.any()):
                del self._metrics[name]
            elif not bool(stay.all()):
                self._metrics[name] = columns.taking(np.flatnonzero(stay))

    def _read(self, cursor: psycopg.Cursor[Any]) -> None:
        """Take in the series since the horizon, a portion at a time: a million label sets are a lot of text."""
        wanted = (
            "SELECT s.id, m.id, m.name, s.labels::text FROM metrics_series s JOIN metrics_metric m"
            " ON m.id = s.metric_id WHERE s.created_xid >= %s::text::xid8 ORDER BY s.id"
        )
        if self._horizon:
            cursor.execute(wanted, [str(self._horizon)])
            self._take(cursor.fetchall())
            return
        cursor.execute("DECLARE every_series NO SCROLL CURSOR FOR " + wanted.replace("%s", "'0'"))
        while portion := cursor.execute(_FETCH).fetchall():
            self._take(portion)
        cursor.execute("CLOSE every_series")

    def _take(self, portion: Sequence[tuple[int, int, str, str]]) -> None:
        # One call for all: most of the time of a small text is the call.
        labels = orjson.loads(f"[{','.join([row[3] for row in portion])}]")
        self.add([(*row[:3], names) for row, names in zip(portion, labels, strict=True)])

    def add(self, rows: Sequence[Row]) -> None:
        """Add series (id, metric id, metric name, labels) that are not there yet."""
        with self._lock:
            if not self._known.isdisjoint([row[0] for row in rows]):
                rows = [row for row in rows if row[0] not in self._known]
            if not rows:
                return
            ids, metrics, names, labels = zip(*rows, strict=True)
            self._known.update(ids)
            self._changes += 1
            borders = np.flatnonzero(np.diff(np.array(metrics, np.int64), prepend=-1)).tolist()
            for begin, end in pairwise([*borders, len(rows)]):
                self._append(names[begin], metrics[begin], ids[begin:end], labels[begin:end])

    def _append(self, name: str, metric_id: int, ids: Sequence[int], labels: Sequence[dict[str, str]]) -> None:
        """Add series of one metric; those that have the same label names column by column."""
        columns = self._metrics.get(name)
        if columns is None:
            columns = self._metrics[name] = MetricColumns(name, metric_id)
        first = columns.ids.size
        columns.ids.put_many(first, np.array(ids, np.int64))
        if self._pairs:
            self._journal.append((columns, first, len(ids)))
        for names, part in groupby(labels, key=tuple):
            alike = list(part)
            for label in names:
                if label != METRIC_NAME_LABEL:
                    self._append_values(columns, label, first, [one[label] for one in alike])
            first += len(alike)

    def _append_values(self, columns: MetricColumns, label: str, first: int, texts: list[str]) -> None:
        column = columns.labels.get(label)
        if column is None:
            column = columns.labels[label] = Growing(np.zeros(8, np.int32))
            self._values.setdefault(label, LabelValues())
        codes = map(self._values[label].codes.__getitem__, texts)
        column.put_many(first, np.fromiter(codes, np.int32, len(texts)))

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
            pair = None if any(matcher.op == "=" for matcher in by_name) else self._rarest(others)
            candidates = self._candidates(by_name)
            if pair is None:
                found = [_match(columns, tables) for columns in candidates]
            else:
                rows_of = self._having(*pair)
                found = [_match(one, tables, rows_of[id(one)]) for one in candidates if id(one) in rows_of]
            if groups is not None:
                found = [_within(part, groups) for part in found]
            return [part for part in found if part.rows.size]

    def edition(self, matchers: Sequence[Matcher]) -> Hashable:
        """Return what is another than before when these matchers may find other series than before."""
        with self._lock:
            names = [one.value for one in matchers if one.name == METRIC_NAME_LABEL and one.op == "="]
            if not names:
                return self._changes
            columns = self._metrics.get(names[0])
            return (0, 0) if columns is None else (columns.number, columns.ids.size)

    def _table(self, matcher: Matcher) -> Bools:
        values = self._values.get(matcher.name) or LabelValues()
        if matcher.op not in ("=", "!="):
            return accepts(matcher, values.texts)
        table = np.full(len(values.texts), matcher.op == "!=", np.bool_)
        code = values.codes.get(matcher.value)
        if code is not None:
            table[code] = matcher.op == "="
        return table

    def _rarest(self, matchers: Sequence[Matcher]) -> tuple[str, int] | None:
        """Return the pair of label and code that an equality asks for and the fewest series have, None without any."""
        best: tuple[int, tuple[str, int]] | None = None
        for matcher in matchers:
            if matcher.op != "=" or not matcher.value or matcher.name not in self._values:
                continue
            # A value nobody has is found nowhere.
            code = self._values[matcher.name].codes.get(matcher.value, NOBODY)
            count = self._index(matcher.name).count(code) if code != NOBODY else 0
            if best is None or count < best[0]:
                best = count, (matcher.name, code)
        return None if best is None else best[1]

    def _index(self, label: str) -> PairIndex:
        index = self._pairs.get(label)
        if index is not None:
            came = sum(count for _, _, count in self._journal[index.journal_at :])
            if came <= max(LEAST_CAME, index.size // 8):
                return index
        if len(self._journal) > MOST_JOURNAL:
            self._forget_pairs()
        index = self._pairs[label] = PairIndex(label, self._metrics.values(), len(self._journal))
        return index

    def _having(self, label: str, code: int) -> dict[int, Ints]:
        """Return the rows of each metric that have a value, by the identity of the metric's columns."""
        found: dict[int, Ints] = {}
        if code == NOBODY:
            return found
        index = self._index(label)
        later = later_rows(label, code, self._journal, index.journal_at)
        for columns, rows in [*index.rows(code), *later]:
            before = found.get(id(columns))
            found[id(columns)] = rows if before is None else np.concatenate([before, rows])
        return found

    def _candidates(self, matchers: Sequence[Matcher]) -> Sequence[MetricColumns]:
        if not matchers:
            return list(self._metrics.values())
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

    def codes(self, found: Found, label: str) -> Codes:
        """Return a copy of the codes one label has among these series; 0 where it is absent."""
        with self._lock:
            column: Codes = found.columns.labels[label].view(found.columns.ids.size)[found.rows]
            return column

    def value_counts(self, found: Found, label: str) -> tuple[list[str], list[int]]:
        """Return the values one label has among these series, and how many series have each."""
        with self._lock:
            column: Codes = found.columns.labels[label].view(found.columns.ids.size)[found.rows]
            counts = np.bincount(column)
            used = np.flatnonzero(counts)
            used = used[used != ABSENT]
            texts = self._values[label].texts
            return [texts[code] for code in used.tolist()], counts[used].tolist()


def _match(columns: MetricColumns, tables: Sequence[tuple[str, Bools]], rows: Ints | None = None) -> Found:
    """Return the series of a metric (those of some rows, in ascending order) that pass every table."""
    size = columns.ids.size
    kept = np.ones(size if rows is None else rows.size, np.bool_)
    for label, table in tables:
        column: Codes | None = columns.labels[label].view(size) if label in columns.labels else None
        if column is None:
            kept &= bool(table[ABSENT])
        else:
            kept &= table[column if rows is None else column[rows]]
    rows = np.flatnonzero(kept) if rows is None else rows[kept]
    return Found(columns, rows, columns.ids.view(size)[rows])


def _within(found: Found, groups: Ints) -> Found:
    kept = np.isin(found.ids // SERIES_PER_GROUP, groups)
    return Found(found.columns, found.rows[kept], found.ids[kept])
