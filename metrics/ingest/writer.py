"""From decoded rows to stored samples: series ids, the time window, the counts of what was left out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from uuid import UUID

import numpy as np
import numpy.typing as npt
import orjson
from django.conf import settings
from django.db import connection, transaction

from metrics.domain import BadSeries, NewSeries, SeriesBatch, series_labels
from metrics.ingest.exemplars import exemplars_write
from metrics.ingest.group_commit import GroupCommit
from metrics.ingest.limits import Gate
from metrics.ingest.metadata import DECLARED, metadata_store
from metrics.ingest.sampling import sampling
from metrics.ingest.windows import Window
from metrics.remote_store.choice import chosen_store
from metrics.store.columns import Samples
from metrics.store.fence import FENCE
from metrics.store.postgres import STORE
from metrics.store.series import LabelSet, named, series_create, series_find
from metrics.wire.series_table import SeriesTable

Ints = npt.NDArray[np.int64]
KNOWN_SERIES = 500_000
OUT_OF_WINDOW = "timestamp outside the window of this door"
LIMITED = "limit of"
# Beyond this a request fills a head block of its own as well as a shared one.
SMALL_SAMPLES = 5_000


@dataclass(slots=True)
class Written:
    """What became of a request: what was stored of each sort, what was refused by reason.

    `series_ids` has an id for each label set of a SeriesBatch, -1 where it was refused; a sampling rule that leaves one
    out shows as an id below `sampling.MOST_RULES`.
    """

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    newest_ms: int | None = None
    series_ids: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def limited(self) -> str | None:
        """The limit that held something back, if one did."""
        return next((reason for reason in self.refused if reason.startswith(LIMITED)), None)


class SeriesIds:
    """Looks ids up by fingerprint and makes new ones; remembers only what is committed."""

    def __init__(self) -> None:
        """Start empty."""
        self._ids: dict[bytes, int] = {}

    def forget(self) -> None:
        """Drop what was remembered."""
        self._ids = {}

    def resolve(
        self, labels: Mapping[bytes, NewSeries | LabelSet], *, source_id: UUID, gate: Gate, now: datetime
    ) -> tuple[dict[bytes, int], str]:
        """Return the ids of these series and the limit that kept the missing ones out.

        One that a sampling rule leaves out has an id as well, which `samples_store` knows for what it is.
        """
        known = self._ids
        ids = {key: known[key] for key in labels if key in known}
        limit = ""
        missing = {key: named(one) for key, one in labels.items() if key not in ids}
        left_out, thinned = sampling().left_out(missing, source_id)
        if left_out:
            ids.update(left_out)
            missing = {key: one for key, one in missing.items() if key not in left_out}
        if missing:
            found = series_find(missing)
            ids.update(found.ids)
            missing = {key: one for key, one in missing.items() if key not in ids} if found.ids else missing
        if missing:
            allowed, limit = gate.room_for_series(source_id, len(missing), now=now)
            if allowed:
                new = dict(islice(missing.items(), allowed))
                most = gate.max_series
                ids.update(series_create(new, source_id=source_id, now=now, marks=found.marks, most=most))
        sampling().thin({ids[key]: rule for key, rule in thinned.items() if key in ids})
        transaction.on_commit(lambda: self._remember(ids))
        return ids, limit

    def known(self, given: bytes) -> int | None:
        """Return the id of a label set under the name `given_name` has for it."""
        return self._ids.get(given)

    def learn(self, names: Mapping[bytes, int]) -> None:
        """Remember ids by `given_name` too, once they are committed."""
        transaction.on_commit(lambda: self._remember(names))

    def discard(self, ids: Ints) -> None:
        """Look these ids up again."""
        left = set(ids.tolist())
        self._ids = {key: one for key, one in self._ids.copy().items() if one not in left}

    def _remember(self, ids: Mapping[bytes, int]) -> None:
        if len(self._ids) + len(ids) > KNOWN_SERIES:
            self._ids = {}
        self._ids.update(ids)


def given_name(labels: Mapping[str, str]) -> bytes:
    """Return what names a label set as it was given: unsorted, unchecked, a tenth of the work of its fingerprint.

    One byte longer than a fingerprint, so that the two are never taken for each other.
    """
    return b"=" + blake2b(orjson.dumps(labels), digest_size=16).digest()


SERIES_IDS = SeriesIds()
# One for each version of remote write: they name a series by different bytes.
TABLE = SeriesTable()
SYMBOL_TABLE = SeriesTable()


def _leave(ids: Ints) -> None:
    if ids.size:
        for known in (SERIES_IDS, TABLE, SYMBOL_TABLE):
            known.discard(ids)


FENCE.tell(_leave)


def forget_series() -> None:
    """Drop every remembered id, as after a change of database."""
    SERIES_IDS.forget()
    DECLARED.forget()
    TABLE.clear()
    SYMBOL_TABLE.clear()
    STORE.forget()


def samples_store(samples: Samples, window: Window, written: Written) -> None:
    """Store the samples inside the window and count them."""
    times = samples.timestamps_ms
    if times.size and (np.min(times) < window.low_ms or np.max(times) > window.high_ms):
        inside = (times >= window.low_ms) & (times <= window.high_ms)
        written.refused[OUT_OF_WINDOW] += int(inside.size - np.count_nonzero(inside))
        samples = samples.take(inside)
    if samples.values.size:
        _append(samples)
        histograms = 0 if samples.histograms is None else sum(one is not None for one in samples.histograms)
        written.histograms += histograms
        written.samples += samples.values.size - histograms
        written.newest_ms = int(np.max(samples.timestamps_ms))


def _append(samples: Samples) -> None:
    """Store samples and return when they are committed, or part of the transaction around.

    What a sampling rule leaves out counts as taken: its sender has nothing to repeat.
    """
    samples = sampling().kept(samples)
    if not samples.values.size:
        return
    # Inside a transaction only the caller's own commit makes them safe.
    if connection.in_atomic_block or samples.values.size > SMALL_SAMPLES or samples.histograms is not None:
        _write(samples)
    else:
        COMMITS.append(samples)


def _write(samples: Samples) -> None:
    chosen_store().append(samples, durable=settings.CONFIG.telemetry_durable)


COMMITS = GroupCommit(_write)


def store_samples(samples: Samples, window: Window) -> Written:
    """Store samples whose series are known already."""
    written = Written()
    samples_store(samples, window, written)
    return written


def write_series(batch: SeriesBatch, *, source_id: UUID, gate: Gate, window: Window, now: datetime) -> Written:
    """Store decoded rows, all or nothing of the good ones; what is refused is counted by its reason.

    Whoever sends the same series again and again keeps `series_ids` and calls `store_samples`.
    """
    metadata_store(batch.metadata)
    with transaction.atomic():
        written = _resolve_batch(batch, source_id=source_id, gate=gate, now=now)
        ids = written.series_ids[batch.sample_series]
        samples = Samples(ids, batch.timestamps_ms, batch.values, batch.histograms)
        samples_store(samples if bool((ids >= 0).all()) else samples.take(ids >= 0), window, written)
        stored, refused = exemplars_write(batch.exemplars, written.series_ids, window=window)
    written.exemplars += stored
    written.refused += refused
    return written


def _resolve_batch(batch: SeriesBatch, *, source_id: UUID, gate: Gate, now: datetime) -> Written:
    """Return the ids of the label sets, and what the refused ones cost."""
    counts = np.bincount(batch.sample_series, minlength=len(batch.labels))
    written = Written(series_ids=np.full(len(batch.labels), -1, np.int64))
    labels: dict[bytes, NewSeries] = {}
    keys: dict[int, bytes] = {}
    names = [given_name(given) for given in batch.labels]
    for number, given in enumerate(batch.labels):
        known = SERIES_IDS.known(names[number])
        if known is not None:
            written.series_ids[number] = known
            continue
        try:
            keys[number], new = NewSeries.of(series_labels(list(given.items())))
        except BadSeries as error:
            written.refused[str(error)] += int(counts[number])
            continue
        labels[keys[number]] = new
    ids, limit = SERIES_IDS.resolve(labels, source_id=source_id, gate=gate, now=now) if labels else ({}, "")
    for number, key in keys.items():
        written.series_ids[number] = ids.get(key, -1)
        if key not in ids:
            written.refused[limit] += int(counts[number])
    SERIES_IDS.learn({names[number]: ids[key] for number, key in keys.items() if key in ids})
    return written
