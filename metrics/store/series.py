"""Gives ids to series: known ones are looked up, new ones get the next places of their metric's group."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.db import transaction

from metrics.domain import METRIC_NAME_LABEL
from metrics.models import SERIES_PER_GROUP
from metrics.store.raw import raw_cursor

LabelSet = dict[str, str]


def series_known(fingerprints: Sequence[bytes]) -> dict[bytes, int]:
    """Return the ids of the fingerprints that have one."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT fingerprint, id FROM metrics_series WHERE fingerprint = ANY(%s)", [list(fingerprints)])
        return {bytes(row[0]): row[1] for row in cursor}


def series_create(labels: dict[bytes, LabelSet], *, source_id: UUID | None, now: datetime) -> dict[bytes, int]:
    """Give ids to these series (by fingerprint), in one transaction of their own; returns all their ids.

    The rows of their metrics are locked in name order first, so two processes that meet the same new series
    neither dead-lock nor give it two ids.
    """
    by_metric: dict[str, list[bytes]] = {}
    for key in sorted(labels, key=lambda key: list(labels[key].items())):
        by_metric.setdefault(labels[key][METRIC_NAME_LABEL], []).append(key)
    with transaction.atomic(), raw_cursor() as cursor:
        metrics = _lock_metrics(cursor, sorted(by_metric))
        ids = series_known(list(labels))
        rows: list[tuple[int, int, bytes, LabelSet]] = []
        for name, keys in by_metric.items():
            metric_id, last = metrics[name]
            missing = [key for key in keys if key not in ids]
            given = _next_ids(cursor, metric_id, last, len(missing))
            ids.update(zip(missing, given, strict=True))
            rows.extend((ids[key], metric_id, key, labels[key]) for key in missing)
        _insert(cursor, rows, source_id=source_id, now=now)
    return ids


def _lock_metrics(cursor: psycopg.Cursor[Any], names: list[str]) -> dict[str, tuple[int, int | None]]:
    cursor.execute(
        "INSERT INTO metrics_metric (name, type, unit, help)"
        " SELECT n, coalesce(d.type, 'untyped'), coalesce(d.unit, ''), coalesce(d.help, '')"
        " FROM unnest(%s::text[]) AS n LEFT JOIN metrics_metadataentry d ON d.family = n"
        " ORDER BY n ON CONFLICT (name) DO NOTHING",
        [names],
    )
    cursor.execute(
        "SELECT name, id, last_series_id FROM metrics_metric WHERE name = ANY(%s) ORDER BY name FOR UPDATE", [names]
    )
    return {row[0]: (row[1], row[2]) for row in cursor}


def _next_ids(cursor: psycopg.Cursor[Any], metric_id: int, last: int | None, count: int) -> list[int]:
    """Fill the metric's last group, then take new groups."""
    ids: list[int] = []
    if not count:
        return ids
    if last is not None:
        end = (last // SERIES_PER_GROUP + 1) * SERIES_PER_GROUP
        ids = list(range(last + 1, min(end, last + 1 + count)))
    groups = -(-(count - len(ids)) // SERIES_PER_GROUP)
    if groups:
        cursor.execute("SELECT nextval('metrics_series_group') FROM generate_series(1, %s)", [groups])
        for (group,) in cursor.fetchall():
            start = group * SERIES_PER_GROUP
            ids.extend(range(start, min(start + SERIES_PER_GROUP, start + count - len(ids))))
    cursor.execute("UPDATE metrics_metric SET last_series_id = %s WHERE id = %s", [ids[-1], metric_id])
    return ids


def _insert(
    cursor: psycopg.Cursor[Any],
    rows: list[tuple[int, int, bytes, LabelSet]],
    *,
    source_id: UUID | None,
    now: datetime,
) -> None:
    if not rows:
        return
    cursor.execute(
        "INSERT INTO metrics_series (id, metric_id, fingerprint, labels, source_id, created_at, last_seen_at)"
        " SELECT i, m, f, l::jsonb, %s, %s, %s"
        " FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[], %s::text[]) AS rows (i, m, f, l)",
        [
            source_id,
            now,
            now,
            [row[0] for row in rows],
            [row[1] for row in rows],
            [row[2] for row in rows],
            [orjson.dumps(row[3]).decode() for row in rows],
        ],
    )
