"""Which blocks a selection reads, and whether new series came meanwhile: one statement and one snapshot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import psycopg

_NEW = (
    "SELECT 0 AS kind, 0::bigint AS id, 0 AS samples, NULL::date AS day, 0::bigint AS group_no"
    # The latest alone: asked for any, a prepared plan reads the whole table where it expects to find one early.
    " WHERE EXISTS (SELECT FROM (SELECT created_xid FROM metrics_series ORDER BY created_xid DESC LIMIT 1) AS latest"
    " WHERE latest.created_xid >= %s::text::xid8)"
)
_HEADS = (
    " UNION ALL SELECT 1, id, samples, NULL::date, 0::bigint FROM metrics_headblock WHERE t_max >= %s AND t_min <= %s"
)
_GROUPS = (
    " UNION ALL SELECT 2, id, samples, day, group_no FROM metrics_groupblock"
    " WHERE group_no = ANY(%s) AND day BETWEEN '{}' AND '{}' AND t_max >= %s AND t_min <= %s"
)
_EVERY_GROUP = (
    " UNION ALL SELECT DISTINCT 2, 0::bigint, 0, NULL::date, group_no FROM metrics_groupblock"
    " WHERE day BETWEEN '{}' AND '{}' AND t_max >= %s AND t_min <= %s"
)


def _also_recent(query: str) -> str:
    """Ask the table of recent blocks the same."""
    return query + query.replace(" 2,", " 3,").replace("metrics_groupblock", "metrics_recentblock")


BlockKey = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class BlockRef:
    """Where a block is and how many samples it holds, without its data."""

    # Packed again, blocks keep the id of the latest that went into them: with the samples the key tells them apart.
    key: BlockKey
    day: date | None
    samples: int
    is_recent: bool = False


@dataclass(slots=True)
class Listing:
    """What there is to read, each kind from the oldest to the newest."""

    has_new_series: bool = False
    heads: list[BlockRef] = field(default_factory=list)
    groups: list[BlockRef] = field(default_factory=list)


def day_of(timestamp_ms: int) -> date:
    """Return the UTC day a sample is filed under; the far ends of the range meet at the calendar's."""
    seconds = min(max(timestamp_ms // 1000, -62_135_596_800), 253_402_300_799)
    return datetime.fromtimestamp(seconds, UTC).date()


def new_series_came(cursor: psycopg.Cursor[Any], horizon: int) -> bool:
    """Tell whether a series may have been committed since the catalogue was read up to this horizon."""
    cursor.execute(_NEW, [str(horizon)])
    return cursor.fetchone() is not None


def series_changed(cursor: psycopg.Cursor[Any], horizon: int) -> bool:
    """Tell whether a series came or went since; one that went has no samples, so that only labels show it."""
    cursor.execute(
        "SELECT greatest((SELECT max(created_xid) FROM metrics_series)::text::bigint,"
        " (SELECT max(gone_xid) FROM metrics_leavingseries), (SELECT max(forgotten_xid) FROM metrics_seriesfence))"
    )
    (latest,) = cursor.fetchone() or (None,)
    return latest is not None and latest >= horizon


def list_blocks(
    cursor: psycopg.Cursor[Any], horizon: int, group_numbers: Sequence[int] | None, t_min_ms: int, t_max_ms: int
) -> Listing:
    """Return the head blocks and the blocks of these groups that reach into the range, both ends included.

    Without group numbers it is every group that has such a block, once each.
    """
    span = [t_min_ms, t_max_ms]
    wanted = span if group_numbers is None else [group_numbers, *span]
    groups = _also_recent(_EVERY_GROUP if group_numbers is None else _GROUPS)
    # The days are part of the text: a prepared plan knows its partitions then, instead of opening each of them.
    days = groups.format(day_of(t_min_ms), day_of(t_max_ms), day_of(t_min_ms), day_of(t_max_ms))
    # Prepared at once: read and planned anew it takes longer than it runs.
    cursor.execute(_NEW + _HEADS + days, [str(horizon), *span, *wanted, *wanted], prepare=True)
    listing = Listing()
    for kind, block_id, samples, day, group_no in cursor.fetchall():
        if kind == 1:
            listing.heads.append(BlockRef(("head", block_id, 0, samples), None, samples))
        elif kind:
            listing.groups.append(BlockRef(("group", block_id, group_no, samples), day, samples, kind == 3))
        else:
            listing.has_new_series = True
    listing.heads.sort(key=_by_id)
    listing.groups.sort(key=_by_id)
    return listing


def _by_id(ref: BlockRef) -> int:
    return ref.key[1]
