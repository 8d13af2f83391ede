"""Exemplars: a few labelled observations (most often a trace id) beside the samples of a series.

One table, ordered by series and time (`docs/formats/exemplar-table.md`). What is sent again is one row; a series that
sends many is thinned to what a chart can show; old rows are deleted in slices.
"""

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import psycopg
from django.db import transaction

from aivillage_console.lib.ratelimit import Buckets, Limit
from metrics.store.raw import raw_cursor

# What OpenMetrics allows the names and values of an exemplar's labels together.
MAX_LABEL_CHARACTERS = 128
MAX_SELECTED = 10_000
# A burst is kept whole, a steady stream at one a minute for each series.
RATE = Limit(per_second=1 / 60, burst=60)
SLICE = 20_000


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation of a series."""

    series_id: int
    timestamp_ms: int
    value: float
    labels: dict[str, str]


_rates = Buckets(RATE, max_keys=200_000)


def forget_rates() -> None:
    """Let every series send a burst again."""
    _rates.clear()


def _digest(row: Exemplar) -> int:
    """Return what tells exemplars of one series and time apart."""
    digest = blake2b(struct.pack("<d", row.value), digest_size=8)
    digest.update(orjson.dumps(row.labels, option=orjson.OPT_SORT_KEYS))
    return int.from_bytes(digest.digest(), "little", signed=True)


def _fits(labels: dict[str, str]) -> bool:
    texts = [text for pair in labels.items() for text in pair]
    return sum(map(len, texts)) <= MAX_LABEL_CHARACTERS and not any("\0" in text for text in texts)


def _within_rate(series_id: int) -> bool:
    return not _rates.take(str(series_id), now_seconds=time.monotonic())


def exemplars_append(cursor: psycopg.Cursor[Any] | None, rows: Sequence[Exemplar]) -> int:
    """Keep these exemplars, safe when the surrounding transaction commits; returns how many were new and kept.

    Left out: what is there already, labels beyond 128 characters, NUL characters, a series beyond its rate.
    """
    if cursor is None:
        with transaction.atomic(), raw_cursor() as own:
            return exemplars_append(own, rows)
    kept = {(row.series_id, row.timestamp_ms, _digest(row)): row for row in rows if _fits(row.labels)}
    unknown = _unknown(cursor, list(kept))
    fresh = [(key, row) for key, row in kept.items() if key in unknown and _within_rate(row.series_id)]
    if not fresh:
        return 0
    cursor.execute(
        "INSERT INTO metrics_exemplar (series_id, at_ms, digest, value, labels)"
        " SELECT s, t, d, v, l::jsonb"
        " FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::float8[], %s::text[]) AS rows (s, t, d, v, l)"
        " WHERE NOT EXISTS (SELECT FROM metrics_leavingseries WHERE id = s AND gone_xid IS NOT NULL)"
        " ORDER BY s, t, d ON CONFLICT DO NOTHING",
        [
            [key[0] for key, _ in fresh],
            [key[1] for key, _ in fresh],
            [key[2] for key, _ in fresh],
            [row.value for _, row in fresh],
            [orjson.dumps(row.labels).decode() for _, row in fresh],
        ],
    )
    return cursor.rowcount


def _unknown(cursor: psycopg.Cursor[Any], keys: Sequence[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    """Return the keys that have no row: a target shows its last exemplar at every scrape, which must cost no rate."""
    if not keys:
        return set()
    series, times, digests = (list(column) for column in zip(*keys, strict=True))
    cursor.execute(
        "SELECT e.series_id, e.at_ms, e.digest FROM metrics_exemplar e"
        " JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS k (s, t, d)"
        " ON e.series_id = k.s AND e.at_ms = k.t AND e.digest = k.d",
        [series, times, digests],
    )
    return set(keys) - {(row[0], row[1], row[2]) for row in cursor}


def exemplars_select(
    series_ids: Sequence[int] | npt.NDArray[np.int64], start_ms: int, end_ms: int, limit: int = MAX_SELECTED
) -> list[Exemplar]:
    """Return exemplars of these series within the range, both ends included, by series and time; at most `limit`."""
    ids = np.asarray(series_ids, np.int64).tolist()
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT series_id, at_ms, value, labels FROM metrics_exemplar"
            " WHERE series_id = ANY(%s) AND at_ms BETWEEN %s AND %s ORDER BY series_id, at_ms, digest LIMIT %s",
            [ids, start_ms, end_ms, min(limit, MAX_SELECTED)],
        )
        return [Exemplar(*row) for row in cursor]


def exemplars_drop_before(time_ms: int) -> int:
    """Delete what is older, a slice a transaction; returns how many rows went."""
    dropped = 0
    while True:
        with raw_cursor() as cursor:
            cursor.execute(
                "DELETE FROM metrics_exemplar WHERE ctid = ANY(ARRAY("
                "SELECT ctid FROM metrics_exemplar WHERE at_ms < %s LIMIT %s))",
                [time_ms, SLICE],
            )
            dropped += cursor.rowcount
            if cursor.rowcount < SLICE:
                return dropped
