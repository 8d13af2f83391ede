"""Gives ids to series: known ones are looked up, new ones get the next places of their metric's group.

New series come by the thousand, so each step is one statement for all of them and the rows go in by COPY.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction

from metrics.domain import NewSeries
from metrics.models import SERIES_PER_GROUP
from metrics.store.raw import raw_cursor
from metrics.store.series_limit import places_take

LabelSet = dict[str, str]
Marks = dict[str, int | None]
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST = struct.Struct(">hiqiqi")
_JSON = struct.Struct(">iB")


@dataclass(frozen=True, slots=True)
class Known:
    """What was found, and the last id of each metric before it was looked for: the same id later means nothing new."""

    ids: dict[bytes, int]
    marks: Marks


def named(labels: NewSeries | LabelSet) -> NewSeries:
    """Return labels as the store wants them."""
    return labels if isinstance(labels, NewSeries) else NewSeries.of(labels)[1]


def series_labels_by_id(ids: Sequence[int]) -> dict[int, LabelSet]:
    """Return the labels, the name among them, of the ids that there are."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT id, labels FROM metrics_series WHERE id = ANY(%s)", [list(ids)])
        return dict(cursor.fetchall())


def _known(cursor: psycopg.Cursor[Any], fingerprints: Sequence[bytes]) -> dict[bytes, int]:
    cursor.execute("SELECT fingerprint, id FROM metrics_series WHERE fingerprint = ANY(%s)", [list(fingerprints)])
    return {bytes(row[0]): row[1] for row in cursor}


def series_find(series: Mapping[bytes, NewSeries]) -> Known:
    """Return the ids of the series that have one; those of a metric nobody has seen are not asked for."""
    with raw_cursor() as cursor:
        names = list({one.metric for one in series.values()})
        cursor.execute("SELECT name, last_series_id FROM metrics_metric WHERE name = ANY(%s)", [names])
        marks: Marks = dict(cursor.fetchall())
        asked = [key for key, one in series.items() if marks.get(one.metric) is not None]
        return Known(_known(cursor, asked) if asked else {}, marks)


def series_create(
    series: Mapping[bytes, NewSeries | LabelSet],
    *,
    source_id: UUID | None,
    now: datetime,
    marks: Marks | None = None,
    most: int | None = None,
) -> dict[bytes, int]:
    """Give ids to these series (by fingerprint), in one transaction of their own; returns all their ids.

    With `most`, those beyond so many active series of the source have none.

    The rows of their metrics are locked in name order first, so two processes that meet the same new series
    neither dead-lock nor give it two ids. Where the last id of a metric is still that of `marks`, nobody came between.
    """
    by_metric: dict[str, list[tuple[bytes, bytes]]] = {}
    for key, one in series.items():
        new = named(one)
        by_metric.setdefault(new.metric, []).append((new.labels_json, key))
    with transaction.atomic(), raw_cursor() as cursor:
        metrics = _lock_metrics(cursor, sorted(by_metric), marks or {})
        moved = [key for name, rows in by_metric.items() if _moved(metrics[name][1], name, marks) for _, key in rows]
        ids = _known(cursor, moved) if moved else {}
        missing = {
            name: sorted(row for row in rows if row[1] not in ids) if ids else sorted(rows)
            for name, rows in by_metric.items()
        }
        given = _next_ids(cursor, metrics, {name: len(rows) for name, rows in missing.items() if rows})
        _insert(cursor, missing, metrics, given, source_id=source_id, now=now)
        made = [(key, number) for name in given for (_, key), number in zip(missing[name], given[name], strict=True)]
        if made and most is not None and source_id is not None:
            kept = places_take(source_id, len(made), most=most, now=now)
            _give_back(cursor, [number for _, number in made[kept:]])
            made = made[:kept]
    return {**ids, **dict(made)}


def _give_back(cursor: psycopg.Cursor[Any], numbers: list[int]) -> None:
    """Take series away that this transaction has just made; nobody has seen their ids."""
    if numbers:
        cursor.execute(
            "WITH gone AS (DELETE FROM metrics_series WHERE id = ANY(%s) RETURNING metric_id)"
            " UPDATE metrics_metric m SET series_count = series_count - n"
            " FROM (SELECT metric_id, count(*) AS n FROM gone GROUP BY 1) g WHERE m.id = g.metric_id",
            [numbers],
        )


def _moved(last: int | None, name: str, marks: Marks | None) -> bool:
    return last is not None and (marks is None or marks.get(name) != last)


def _lock_metrics(cursor: psycopg.Cursor[Any], names: list[str], marks: Marks) -> dict[str, tuple[int, int | None]]:
    new = [name for name in names if name not in marks]
    if new:
        cursor.execute(
            "INSERT INTO metrics_metric (name, type, unit, help, series_count)"
            " SELECT n, coalesce(d.type, 'untyped'), coalesce(d.unit, ''), coalesce(d.help, ''), 0"
            " FROM unnest(%s::text[]) AS n LEFT JOIN metrics_metadataentry d ON d.family = n"
            " ORDER BY n ON CONFLICT (name) DO NOTHING",
            [new],
        )
    cursor.execute(
        "SELECT name, id, last_series_id FROM metrics_metric WHERE name = ANY(%s) ORDER BY name FOR UPDATE", [names]
    )
    found = {row[0]: (row[1], row[2]) for row in cursor}
    # One that was there a moment ago may be gone by now.
    return found if len(found) == len(names) or not marks else _lock_metrics(cursor, names, {})


def _room(last: int | None) -> int:
    """Return how many places are left in the metric's last group."""
    return 0 if last is None else SERIES_PER_GROUP - 1 - last % SERIES_PER_GROUP


def _next_ids(
    cursor: psycopg.Cursor[Any], metrics: dict[str, tuple[int, int | None]], counts: dict[str, int]
) -> dict[str, list[int]]:
    """Fill each metric's last group, then take new groups; returns the ids of each metric, ascending."""
    if not counts:
        return {}
    wanted = {name: -(-max(0, count - _room(metrics[name][1])) // SERIES_PER_GROUP) for name, count in counts.items()}
    cursor.execute("SELECT nextval('metrics_series_group') FROM generate_series(1, %s)", [sum(wanted.values())])
    groups = sorted(row[0] for row in cursor)
    given: dict[str, list[int]] = {}
    for name, count in counts.items():
        last = metrics[name][1]
        ids = list(range(last + 1, last + 1 + min(count, _room(last)))) if last is not None else []
        for group in groups[: wanted[name]]:
            start = group * SERIES_PER_GROUP
            ids.extend(range(start, start + min(SERIES_PER_GROUP, count - len(ids))))
        del groups[: wanted[name]]
        given[name] = ids
    cursor.execute(
        "UPDATE metrics_metric SET last_series_id = l, series_count = series_count + n"
        " FROM unnest(%s::bigint[], %s::bigint[], %s::int[]) AS rows (i, l, n) WHERE id = i",
        [[metrics[name][0] for name in given], [ids[-1] for ids in given.values()], list(map(len, given.values()))],
    )
    return given


def _insert(
    cursor: psycopg.Cursor[Any],
    missing: dict[str, list[tuple[bytes, bytes]]],
    metrics: dict[str, tuple[int, int | None]],
    given: dict[str, list[int]],
    *,
    source_id: UUID | None,
    now: datetime,
) -> None:
    """Write the rows in the binary form of COPY; 16 and 8 are the lengths of the fields behind them."""
    if not given:
        return
    at = (now - _EPOCH).days * 86_400_000_000 + (now - _EPOCH).seconds * 1_000_000 + now.microsecond
    source = struct.pack(">i", -1) if source_id is None else struct.pack(">i16s", 16, source_id.bytes)
    last = source + struct.pack(">iqiq", 8, at, 8, at)
    parts = [b"PGCOPY\n\xff\r\n\x00", struct.pack(">ii", 0, 0)]
    for name, numbers in given.items():
        metric_id = metrics[name][0]
        for number, (text, key) in zip(numbers, missing[name], strict=True):
            head = _FIRST.pack(7, 8, number, 8, metric_id, len(key))
            parts += (head, key, _JSON.pack(len(text) + 1, 1), text, last)
    parts.append(struct.pack(">h", -1))
    statement = (
        "COPY metrics_series (id, metric_id, fingerprint, labels, source_id, created_at, last_seen_at)"
        " FROM STDIN (FORMAT BINARY)"
    )
    with cursor.copy(statement) as copy:
        copy.write(b"".join(parts))
