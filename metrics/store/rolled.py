"""Selections of roll-ups: what a day that is over comes to, and raw samples where a day is not rolled up yet."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import psycopg

from metrics.promql.rolling import ROLLUP_LABEL
from metrics.promql.types import Matcher, QueryError
from metrics.store import group_block, kernels, rollup_block
from metrics.store.assembly import Assembly, HeldBlock
from metrics.store.columns import Samples
from metrics.store.group_block import OpenBlock
from metrics.store.listing import BlockKey, BlockRef, day_of
from metrics.store.raw import raw_cursor

Ints = npt.NDArray[np.int64]
# What raw samples stand for beside roll-ups, where it is not their value.
RAW_STANDS_FOR = {"count": 1.0, "falls": float("nan")}
COLUMNS = frozenset({"counter", *rollup_block.COLUMNS})
PORTION_BLOCKS = 200


@dataclasses.dataclass(frozen=True, slots=True)
class RolledRef:
    """Where a roll-up is."""

    group_no: int
    day: date
    of_id: int
    samples: int


@dataclasses.dataclass(slots=True)
class RolledListing:
    """What there is to read, by group, and the heads."""

    rolled: dict[int, list[RolledRef]]
    raw: dict[int, list[BlockRef]]
    heads: list[BlockRef]


def raw_begins_ms() -> int:
    """Return the time before which there are roll-ups and no raw samples, 0 where there is none."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT (SELECT min(day) FROM metrics_rollupblock), (SELECT min(day) FROM metrics_groupblock)")
        first_rolled, first_raw = cursor.fetchone() or (None, None)
    if first_rolled is None or first_raw is None or first_rolled >= first_raw:
        return 0
    return int(datetime.combine(first_raw, datetime.min.time(), UTC).timestamp() * 1000)


class Blocks(Protocol):
    """Who fetches and keeps blocks."""

    def heads(self, cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> list[Samples]:
        """Return head blocks."""
        ...

    def opened(self, cursor: psycopg.Cursor[Any], refs: Sequence[BlockRef]) -> dict[BlockKey, OpenBlock]:
        """Return group blocks."""
        ...


def asked_column(matchers: Sequence[Matcher]) -> tuple[str | None, list[Matcher]]:
    """Return the column of roll-ups that is asked for, None for raw samples, and the other matchers."""
    asked = [matcher for matcher in matchers if matcher.name == ROLLUP_LABEL]
    others = [matcher for matcher in matchers if matcher.name != ROLLUP_LABEL]
    if not asked:
        return None, others
    if len(asked) > 1 or asked[0].op != "=" or asked[0].value not in COLUMNS:
        known = ", ".join(sorted(COLUMNS))
        raise QueryError(f"the label {ROLLUP_LABEL} takes one of these with `=`: {known}", kind="bad_data")
    return asked[0].value, others


_ROLLED = (
    "SELECT group_no, day, of_id, samples FROM metrics_rollupblock"
    " WHERE group_no = ANY(%(groups)s) AND day BETWEEN %(first)s AND %(last)s"
)
_RAW = (
    "SELECT g.id, g.samples, g.day, g.group_no, false FROM metrics_groupblock g"
    " WHERE g.group_no = ANY(%(groups)s) AND g.day BETWEEN %(first)s AND %(last)s"
    " AND g.t_max >= %(low)s AND g.t_min <= %(high)s AND NOT EXISTS"
    " (SELECT FROM metrics_rollupblock r WHERE r.group_no = g.group_no AND r.day = g.day)"
    " UNION ALL SELECT id, samples, day, group_no, true FROM metrics_recentblock"
    " WHERE group_no = ANY(%(groups)s) AND t_max >= %(low)s AND t_min <= %(high)s"
)
_HEADS = "SELECT id, samples FROM metrics_headblock WHERE t_max >= %(low)s AND t_min <= %(high)s ORDER BY id"


def list_rolled(cursor: psycopg.Cursor[Any], groups: list[int], t_min_ms: int, t_max_ms: int) -> RolledListing:
    """Return the roll-ups of these groups, and the raw blocks of days that have none."""
    asked = {
        "groups": groups, "first": day_of(t_min_ms), "last": day_of(t_max_ms), "low": t_min_ms, "high": t_max_ms,
    }  # fmt: skip
    listing = RolledListing({}, {}, [])
    for row in cursor.execute(_ROLLED, asked).fetchall():
        listing.rolled.setdefault(row[0], []).append(RolledRef(*row))
    for block_id, samples, day, group, is_recent in cursor.execute(_RAW, asked).fetchall():
        ref = BlockRef(("group", block_id, group, samples), day, samples, is_recent)
        listing.raw.setdefault(group, []).append(ref)
    for block_id, samples in cursor.execute(_HEADS, asked).fetchall():
        listing.heads.append(BlockRef(("head", block_id, 0, samples), None, samples))
    return listing


def read_column(cursor: psycopg.Cursor[Any], blocks: Blocks, empty: Assembly, column: str) -> Assembly:
    """Return an assembly like the empty one, filled with one column."""
    groups = np.unique(empty.ids // group_block.SERIES_PER_GROUP).tolist()
    listing = list_rolled(cursor, groups, empty.t_min_ms, empty.t_max_ms)
    if column != "counter":
        return _assembled(cursor, blocks, listing, empty, column)
    last = _assembled(cursor, blocks, listing, dataclasses.replace(empty, counts=[], _histograms=[]), "last")
    falls = _assembled(cursor, blocks, listing, empty, "falls")
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(last.counts))])
    kernels.lift_counters(offsets, last.values, falls.values)
    return last


def _assembled(
    cursor: psycopg.Cursor[Any], blocks: Blocks, listing: RolledListing, assembly: Assembly, column: str
) -> Assembly:
    assembly.take_heads([_as_column(head, column) for head in blocks.heads(cursor, listing.heads)])
    numbers, begins = np.unique(assembly.ids // group_block.SERIES_PER_GROUP, return_index=True)
    ends = [*begins[1:].tolist(), assembly.ids.size]
    for group, begin, end in zip(numbers.tolist(), begins.tolist(), ends, strict=True):
        held = _fetched(cursor, group, listing.rolled.get(group, []), column)
        raw = listing.raw.get(group, [])
        found = blocks.opened(cursor, raw)
        held.extend(HeldBlock(ref.key[1], _block_as_column(found[ref.key], column)) for ref in raw)
        assembly.take_group(begin, end, held)
    return assembly


def _fetched(cursor: psycopg.Cursor[Any], group: int, refs: Sequence[RolledRef], column: str) -> list[HeldBlock]:
    held: list[HeldBlock] = []
    days = [ref.day for ref in refs]
    for start in range(0, len(days), PORTION_BLOCKS):
        cursor.execute(
            "SELECT of_id, data FROM metrics_rollupblock WHERE group_no = %s AND day = ANY(%s)",
            [group, days[start : start + PORTION_BLOCKS]],
        )
        held.extend(HeldBlock(of_id, rollup_block.opened(data, column)) for of_id, data in cursor if data)
    return held


def _as_column(samples: Samples, column: str) -> Samples:
    if column not in RAW_STANDS_FOR:
        return samples
    constant = np.full(samples.values.size, RAW_STANDS_FOR[column])
    return Samples(samples.series_ids, samples.timestamps_ms, constant)


def _block_as_column(block: OpenBlock, column: str) -> OpenBlock:
    if column not in RAW_STANDS_FOR:
        return block
    return dataclasses.replace(block, constant=RAW_STANDS_FOR[column], histograms=None)
