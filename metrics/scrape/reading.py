"""One target's pages to samples: what was there last time costs a lookup, only what is new becomes Python objects."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from metrics.domain import Metadata, NewExemplar, SeriesBatch
from metrics.promql.types import STALE_NAN
from metrics.store.columns import Samples
from metrics.wire.errors import WireError
from metrics.wire.exposition.forms import NO_TIMESTAMP, ExpositionError, Form
from metrics.wire.exposition.page import (
    PrefixTable,
    Scan,
    exemplar_of,
    exemplar_rows,
    exemplar_text,
    labels_at,
    remarks_of,
    scan,
)
from metrics.wire.exposition.protobuf import read_protobuf
from metrics.wire.exposition.strict import check_openmetrics
from metrics.wire.scraping.scrape_config import ScrapeConfig
from metrics.wire.scraping.targets import Target, limit_broken, sample_labels

Ints = npt.NDArray[np.int64]
REFUSED, DROPPED = -1, -2
RETRY_MS = 60_000
# A table that holds so many times what a page does is full of what is gone.
FULL = 4
SPARE = 1_000


class ScrapeFailed(Exception):
    """The page was fetched, but breaks a limit of its pool."""


@dataclass(slots=True)
class Outcome:
    """What a scrape brought."""

    samples: Samples
    scraped: int = 0
    kept: int = 0
    added: int = 0
    warning: str = ""
    exemplars: list[tuple[NewExemplar, int]] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)


@dataclass(slots=True)
class _Rows:
    """A page between its parsing and its storing."""

    places: Ints
    timestamps_ms: Ints
    values: npt.NDArray[np.float64]
    histograms: npt.NDArray[np.object_] | None = None
    metadata: list[Metadata] = field(default_factory=list)
    exemplars: list[NewExemplar] = field(default_factory=list)


# Gives ids to label sets, off the event loop; returns them and the first reason for a refusal.
Register = Callable[[list[dict[str, str]]], Awaitable[tuple[Ints, str]]]
# Runs a function that takes its time off the event loop.
Apart = Callable[[Callable[[], None]], Awaitable[None]]


class TargetReader:
    """The memory of one target: the ids of its series by their text, and what the last page held."""

    def __init__(self, target: Target, config: ScrapeConfig) -> None:
        """Start knowing nothing."""
        self._target, self._config = target, config
        self._shape: int | None = None
        self._warning = self._broken_rule = ""
        self._retry_at_ms = 0
        self._present: Ints = np.empty(0, np.int64)
        self._forget()

    def _forget(self) -> None:
        self._table = PrefixTable()
        self._ids: Ints = np.empty(0, np.int64)
        self._by_labels: dict[tuple[tuple[str, str], ...], int] = {}
        self._told: dict[int, bytes] = {}

    async def read(self, data: bytes, form: Form, at_ms: int, *, register: Register, apart: Apart) -> Outcome:
        """Return the samples of a page; raises ExpositionError, TooLarge or ScrapeFailed."""
        if self._ids.size > FULL * (self._present.size + SPARE):
            self._forget()
        if form is Form.PROTOBUF:
            rows = await self._read_protobuf(data, at_ms, register)
        else:
            rows = await self._read_text(data, at_ms, register, apart, openmetrics=form is Form.OPENMETRICS)
        return self._outcome(rows, at_ms)

    async def _read_text(
        self, data: bytes, at_ms: int, register: Register, apart: Apart, *, openmetrics: bool
    ) -> _Rows:
        page = scan(data, self._table, openmetrics=openmetrics)
        metadata: list[Metadata] = []
        if page.shape != self._shape:
            self._broken_rule = await self._judged(data, apart) if openmetrics else ""
            remarks = remarks_of(page, openmetrics=openmetrics)
            metadata = remarks.metadata()
            unknown = np.flatnonzero(page.places < 0)
            if unknown.size:
                _, first = np.unique(page.low[unknown], return_index=True)
                rows = unknown[np.sort(first)]
                places = await self._added([labels_at(page, row, remarks) for row in rows.tolist()], register)
                self._table.add(page.low[rows], page.high[rows], places)
                page = scan(data, self._table, openmetrics=openmetrics)
            self._shape = page.shape
        if self._retry_at_ms and at_ms >= self._retry_at_ms:
            await self._retry(page, register, at_ms, openmetrics=openmetrics)
        return _Rows(page.places, page.timestamps_ms, page.values, None, metadata, self._new_exemplars(page))

    async def _judged(self, data: bytes, apart: Apart) -> str:
        """Return the rule of OpenMetrics that a page breaks; raises where the pool takes no such page."""
        try:
            await apart(lambda: check_openmetrics(data))
        except WireError as error:
            if self._config.strict_openmetrics:
                raise
            # Real clients break rules (a sum below zero), and a target that can be read is not to be lost for it.
            return f"taken although it breaks a rule of OpenMetrics: {error}"
        return ""

    async def _added(self, named: list[dict[str, str]], register: Register) -> Ints:
        """Give places to series met for the first time, and ids to those that relabelling leaves."""
        ids = np.full(len(named), DROPPED, np.int64)
        kept, labels = [], []
        for row, own in enumerate(named):
            found = self._labels_of(own)
            if found is not None:
                kept.append(row)
                labels.append(found)
        if labels:
            given, self._warning = await register(labels)
            ids[kept] = given
            if bool((given < 0).any()):
                self._retry_at_ms = self._retry_at_ms or 1
        start = self._ids.size
        self._ids = np.concatenate([self._ids, ids])
        return np.arange(start, start + len(named), dtype=np.int64)

    def _labels_of(self, own: dict[str, str]) -> dict[str, str] | None:
        config = self._config
        labels = sample_labels(own, self._target.labels, config.metric_relabel, honor_labels=config.honor_labels)
        if labels is None:
            return None
        if broken := limit_broken(labels, config):
            raise ScrapeFailed(broken)
        return labels

    async def _retry(self, page: Scan, register: Register, at_ms: int, *, openmetrics: bool) -> None:
        """Ask once a minute for the series that a limit kept out."""
        self._retry_at_ms = at_ms + RETRY_MS
        rows = np.flatnonzero(self._ids[page.places] == REFUSED)
        if not rows.size:
            self._retry_at_ms, self._warning = 0, ""
            return
        remarks = remarks_of(page, openmetrics=openmetrics)
        labels = [self._labels_of(labels_at(page, row, remarks)) for row in rows.tolist()]
        pairs = [(row, each) for row, each in zip(rows.tolist(), labels, strict=True) if each is not None]
        given, self._warning = await register([each for _, each in pairs])
        self._ids[page.places[[row for row, _ in pairs]]] = given

    def _new_exemplars(self, page: Scan) -> list[NewExemplar]:
        """Return the exemplars that were not there last time, pointing at rows."""
        found = []
        for row in exemplar_rows(page):
            text, place = exemplar_text(page, row), int(page.places[row])
            if self._told.get(place) == text:
                continue
            self._told[place] = text
            try:
                found.append(exemplar_of(text, row))
            except ExpositionError:
                # A strict page has none that cannot be read; of another the sample is worth more than its exemplar.
                continue
        return found

    async def _read_protobuf(self, data: bytes, at_ms: int, register: Register) -> _Rows:
        batch: SeriesBatch = read_protobuf(data, classic=self._config.classic_histograms)
        keys = [tuple(sorted(labels.items())) for labels in batch.labels]
        missing = list(dict.fromkeys(key for key in keys if key not in self._by_labels))
        if missing:
            places = await self._added([dict(key) for key in missing], register)
            self._by_labels.update(zip(missing, places.tolist(), strict=True))
        places = np.array([self._by_labels[key] for key in keys], np.int64)
        if self._retry_at_ms and at_ms >= self._retry_at_ms and bool((self._ids[places] == REFUSED).any()):
            self._retry_at_ms = at_ms + RETRY_MS
            self._by_labels = {key: place for key, place in self._by_labels.items() if self._ids[place] != REFUSED}
        rows = batch.sample_series
        return _Rows(places[rows], batch.timestamps_ms, batch.values, batch.histograms, batch.metadata, batch.exemplars)

    def _outcome(self, rows: _Rows, at_ms: int) -> Outcome:
        config = self._config
        ids = self._ids[rows.places] if rows.places.size else np.empty(0, np.int64)
        kept = int(np.count_nonzero(ids != DROPPED))
        if config.sample_limit and kept > config.sample_limit:
            raise ScrapeFailed(f"sample_limit exceeded: {kept} samples, limit {config.sample_limit}")
        told = rows.timestamps_ms != NO_TIMESTAMP
        if not config.honor_timestamps:
            told[:] = False
        times = np.where(told, rows.timestamps_ms, at_ms)
        good = ids >= 0
        samples = Samples(ids, times, rows.values, rows.histograms).take(good)
        # A series with times of its own ends when its target says so.
        followed = ids[good if config.track_staleness else good & ~told]
        gone, added = self._changed(followed)
        if gone.size:
            samples = _with_stale(samples, gone, at_ms)
        exemplars = [(one, int(ids[one.series])) for one in rows.exemplars if ids[one.series] >= 0]
        return Outcome(
            samples, rows.places.size, kept, added, self._warning or self._broken_rule, exemplars, rows.metadata
        )

    def _changed(self, followed: Ints) -> tuple[Ints, int]:
        """Remember what is present now; return what is not any more, and how many are new."""
        before, self._present = self._present, followed
        if np.array_equal(before, followed):
            return before[:0], 0
        return np.setdiff1d(before, followed), int(np.setdiff1d(followed, before).size)

    def ended(self, at_ms: int) -> Samples:
        """Return the markers that say that all series of the last page have ended."""
        gone, _ = self._changed(np.empty(0, np.int64))
        self._shape = None
        return Samples(np.unique(gone), np.full(np.unique(gone).size, at_ms, np.int64), _stale(np.unique(gone).size))


def _stale(count: int) -> npt.NDArray[np.float64]:
    return np.full(count, STALE_NAN, np.float64)


def _with_stale(samples: Samples, gone: Ints, at_ms: int) -> Samples:
    histograms = samples.histograms
    if histograms is not None:
        histograms = np.concatenate([histograms, np.full(gone.size, None, np.object_)])
    return Samples(
        np.concatenate([samples.series_ids, gone]),
        np.concatenate([samples.timestamps_ms, np.full(gone.size, at_ms, np.int64)]),
        np.concatenate([samples.values, _stale(gone.size)]),
        histograms,
    )
