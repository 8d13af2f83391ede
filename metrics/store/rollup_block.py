"""A day of a group in buckets of five minutes (`docs/formats/rollup-block.md`)."""

import numpy as np
import numpy.typing as npt

from metrics.promql.types import STALE_NAN_BITS
from metrics.store import histogram_column, kernels, pages
from metrics.store.columns import Samples, encode_histograms
from metrics.store.container import Section, pack
from metrics.store.group_block import COMPRESSION, SERIES_PER_GROUP, OpenBlock, arrange, layout_sections
from metrics.store.group_block import opened as open_group

MAGIC = b"RB"
BUCKET_MS = 300_000
Floats = npt.NDArray[np.float64]
COLUMNS = {
    "last": Section.LAST,
    "min": Section.LEAST,
    "max": Section.GREATEST,
    "sum": Section.SUM,
    "count": Section.COUNT,
    "falls": Section.FALLS,
}


def encode(samples: Samples, before: Floats) -> tuple[bytes, int] | None:
    """Return (block, samples rolled up) of one day of one group, None where there is nothing but stale markers.

    `before` holds the last value of each slot on the day before, NaN where it is not known.
    """
    slots = Samples(samples.series_ids % SERIES_PER_GROUP, samples.timestamps_ms, samples.values, samples.histograms)
    offsets, ordered = arrange(slots, SERIES_PER_GROUP)
    size = ordered.values.size
    stale = ordered.values.view(np.uint64) == STALE_NAN_BITS
    last = np.empty(size, np.int64)
    least, greatest, total, count, falls = (np.empty(size) for _ in range(5))
    bounds = np.empty(SERIES_PER_GROUP + 1, np.int64)
    buckets = kernels.roll_up(
        offsets, ordered.timestamps_ms, ordered.values, stale, before, BUCKET_MS,
        bounds, last, least, greatest, total, count, falls,
    )  # fmt: skip
    if not buckets:
        return None
    rows = last[:buckets]
    times = ordered.timestamps_ms[rows]
    layout, lengths = layout_sections(bounds, times, strength=COMPRESSION)
    columns = [
        (section, pages.encode(column[:buckets], lengths, level=COMPRESSION))
        for section, column in zip(
            COLUMNS.values(), (ordered.values[rows], least, greatest, total, count, falls), strict=True
        )
    ]
    held = histogram_column.no_histograms(buckets) if ordered.histograms is None else ordered.histograms[rows]
    kept = Samples(rows, times, ordered.values[rows], held)
    sections = [*layout, *columns, *encode_histograms(kept, level=COMPRESSION)]
    return pack(MAGIC, buckets, sections), int(count[:buckets].sum())


def opened(block: bytes, column: str) -> OpenBlock:
    """Return one column of a roll-up, laid out like a group block; raises CorruptBlock."""
    opened_column = open_group(block, magic=MAGIC, column=COLUMNS[column])
    if column != "last":
        opened_column.histograms = None
    return opened_column
