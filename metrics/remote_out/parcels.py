"""From blocks of samples to requests: labels by series, relabelled once; older samples first; bounded requests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metrics.domain import METRIC_NAME_LABEL, Metadata
from metrics.models import MetadataEntry
from metrics.native_histograms import codec
from metrics.store.columns import Samples
from metrics.store.exemplars import Exemplar
from metrics.store.series import series_labels_by_id
from metrics.wire.forwarding import RemoteConfig
from metrics.wire.scraping.relabelling import relabelled
from metrics.wire.write_out import Named, Outgoing, SentExemplar, request_1, request_2

Ints = npt.NDArray[np.int64]
MOST_KNOWN = 300_000
MOST_FAMILIES = 20_000


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one request carries, whichever version it is written in."""

    series: Sequence[Outgoing] = ()
    metadata: Sequence[Metadata] = ()
    samples: int = 0

    def body(self, version: int, families: dict[str, Metadata]) -> bytes:
        """Return the request."""
        return request_2(self.series, families) if version == 2 else request_1(self.series, self.metadata)


class Directory:
    """The labels under which series go to one destination; None for those that relabelling drops."""

    def __init__(self, config: RemoteConfig) -> None:
        """Know nothing yet."""
        self._config = config
        self._known: dict[int, Named | None] = {}

    def named(self, ids: Sequence[int]) -> dict[int, Named | None]:
        """Return the labels of these series."""
        missing = [one for one in ids if one not in self._known]
        if missing:
            if len(self._known) + len(missing) > MOST_KNOWN:
                self._known = {}
                missing = list(ids)
            found = series_labels_by_id(missing)
            self._known.update({one: self._outgoing(found.get(one)) for one in missing})
        return {one: self._known[one] for one in ids}

    def _outgoing(self, labels: dict[str, str] | None) -> Named | None:
        if labels is None:
            return None
        kept = relabelled({**self._config.external_labels, **labels}, self._config.relabel)
        if not kept or METRIC_NAME_LABEL not in kept:
            return None
        return Named.of(kept)


def in_order(samples: Samples) -> Samples:
    """Return samples by series and time; of one time the one that came last."""
    order = np.lexsort((samples.timestamps_ms, samples.series_ids))
    ids, times = samples.series_ids[order], samples.timestamps_ms[order]
    last = np.ones(order.size, np.bool_)
    last[:-1] = (ids[1:] != ids[:-1]) | (times[1:] != times[:-1])
    return samples.take(order[last])


def parcels_of(samples: Samples, directory: Directory, config: RemoteConfig) -> tuple[list[Parcel], int]:
    """Return the requests for these samples, and how many samples the destination is not to have."""
    samples = in_order(samples)
    found, inverse = np.unique(samples.series_ids, return_inverse=True)
    named = directory.named(found.tolist())
    wanted = np.array([named[one] is not None for one in found.tolist()], np.bool_)[inverse]
    if samples.histograms is not None and not config.histograms:
        wanted &= np.equal(samples.histograms, None).astype(np.bool_)
    kept = samples.take(wanted)
    size = config.batch_samples
    cuts = range(0, kept.values.size, size)
    parcels = [_parcel(kept.take(slice(cut, cut + size)), named) for cut in cuts]
    return parcels, int(samples.values.size - kept.values.size)


def _parcel(samples: Samples, named: dict[int, Named | None]) -> Parcel:
    edges = np.flatnonzero(np.diff(samples.series_ids)) + 1
    begins, ends = [0, *edges.tolist()], [*edges.tolist(), samples.values.size]
    series = [_one(samples, begin, end, named) for begin, end in zip(begins, ends, strict=True)]
    return Parcel([one for one in series if one is not None], samples=samples.values.size)


def _one(samples: Samples, begin: int, end: int, named: dict[int, Named | None]) -> Outgoing | None:
    labels = named[int(samples.series_ids[begin])]
    if labels is None:
        return None
    times, values = samples.timestamps_ms[begin:end], samples.values[begin:end]
    if samples.histograms is None:
        return Outgoing(labels, times, values)
    column = samples.histograms[begin:end]
    numbers = np.equal(column, None).astype(np.bool_)
    histograms = [
        (at, codec.decode(held)) for at, held in zip(times[~numbers].tolist(), column[~numbers].tolist(), strict=True)
    ]
    return Outgoing(labels, times[numbers], values[numbers], histograms)


def exemplar_parcel(rows: Sequence[Exemplar], directory: Directory) -> Parcel:
    """Return one request for exemplars."""
    named = directory.named(sorted({row.series_id for row in rows}))
    by_series: dict[int, list[SentExemplar]] = {}
    for row in rows:
        by_series.setdefault(row.series_id, []).append(SentExemplar(row.timestamp_ms, row.value, row.labels))
    nothing = np.empty(0, np.int64), np.empty(0, np.float64)
    return Parcel(
        [
            Outgoing(labels, *nothing, exemplars=held)
            for series, held in by_series.items()
            if (labels := named[series]) is not None
        ]
    )


def families_declared() -> dict[str, Metadata]:
    """Return what senders have declared about metric families."""
    rows = MetadataEntry.objects.order_by("family")[:MOST_FAMILIES]
    return {row.family: Metadata(row.family, row.type, row.unit, row.help) for row in rows}


def metadata_parcels(families: dict[str, Metadata], size: int) -> Iterator[Parcel]:
    """Yield the requests of version 1 that tell about metric families."""
    entries = list(families.values())
    for cut in range(0, len(entries), size):
        yield Parcel(metadata=entries[cut : cut + size])
