"""The one accumulator of deltas: rows of PostgreSQL, so all processes add to the same total and none forgets it.

A request locks the totals of its series, adds, and commits them with the samples: one that fails has added nothing, one
that comes a second time is known by its time and adds nothing again. See docs/decisions/0010-delta-totals-are-rows.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from metrics.models import DeltaTotal
from metrics.native_histograms.arithmetic import added
from metrics.native_histograms.codec import decode, encode
from metrics.native_histograms.model import Histogram
from metrics.store.raw import raw_cursor
from metrics.wire.otlp.rows import Rows

TOO_OLD = "a delta ends before one of its series that was taken already"
KEPT = timedelta(hours=25)


@dataclass(slots=True)
class Total:
    """What was added up of one series, and until when."""

    last_ms: int = 0
    value: float = 0.0
    histogram: Histogram | None = None


@dataclass(frozen=True, slots=True)
class Addition:
    """What became of the deltas of a request."""

    dropped: set[int]
    starts: list[tuple[int, int]]


def totals_add(rows: Rows, row_ids: dict[int, int], *, now: datetime) -> Addition:
    """Write totals in the place of the deltas of these rows (row to series id), inside the caller's transaction.

    Returns the rows that are no samples any more, and (row, time) of the series that begin, whose total was 0 then.
    """
    if not row_ids:
        # Every series was refused: the writer says why.
        return Addition(set(), [])
    totals = _lock(sorted(set(row_ids.values())), now)
    dropped: set[int] = set()
    starts: list[tuple[int, int]] = []
    for row in sorted(row_ids, key=lambda row: (rows.timestamps_ms[row], row)):
        total, time_ms = totals[row_ids[row]], rows.timestamps_ms[row]
        if time_ms <= total.last_ms:
            dropped.add(row)
            if time_ms < total.last_ms:
                rows.refused_points.setdefault(rows.sample_points[row], TOO_OLD)
            continue
        if not total.last_ms and 0 < rows.delta_starts_ms[row] < time_ms:
            starts.append((row, rows.delta_starts_ms[row]))
        _add(rows, row, total)
        total.last_ms = time_ms
    _save(totals, now)
    return Addition(dropped, starts)


def _add(rows: Rows, row: int, total: Total) -> None:
    new = rows.histograms.get(row)
    if new is None:
        total.value += rows.values[row]
        rows.values[row] = total.value
        return
    total.histogram = new if total.histogram is None else added(total.histogram, new)[0]
    total.value = total.histogram.count
    rows.histograms[row], rows.values[row] = total.histogram, total.value


def _lock(series_ids: Sequence[int], now: datetime) -> dict[int, Total]:
    """Return the totals, locked in the order of their ids, so that two requests never wait for each other."""
    with raw_cursor() as cursor:
        cursor.execute(
            "INSERT INTO metrics_deltatotal (series_id, last_ms, value, updated_at)"
            " SELECT i, 0, 0, %s FROM unnest(%s::bigint[]) AS i ORDER BY i ON CONFLICT DO NOTHING",
            [now, list(series_ids)],
        )
        cursor.execute(
            "SELECT series_id, last_ms, value, histogram FROM metrics_deltatotal WHERE series_id = ANY(%s)"
            " ORDER BY series_id FOR UPDATE",
            [list(series_ids)],
        )
        return {row[0]: Total(row[1], row[2], decode(bytes(row[3])) if row[3] else None) for row in cursor}


def _save(totals: dict[int, Total], now: datetime) -> None:
    columns: Iterable[tuple[object, ...]] = zip(
        *(
            (key, one.last_ms, one.value, encode(one.histogram) if one.histogram else None)
            for key, one in totals.items()
        ),
        strict=True,
    )
    with raw_cursor() as cursor:
        cursor.execute(
            "UPDATE metrics_deltatotal AS t SET last_ms = n.last_ms, value = n.value, histogram = n.histogram,"
            " updated_at = %s FROM unnest(%s::bigint[], %s::bigint[], %s::float8[], %s::bytea[])"
            " AS n (series_id, last_ms, value, histogram) WHERE t.series_id = n.series_id",
            [now, *map(list, columns)],
        )


def totals_forget(*, now: datetime) -> int:
    """Drop the totals of series that nothing came for in a day; returns how many."""
    return DeltaTotal.objects.filter(updated_at__lt=now - KEPT).delete()[0]
