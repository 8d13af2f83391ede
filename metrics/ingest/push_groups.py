"""Groups of pushed metrics: rows that say what is there, samples that are written again as a scrape would."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

import numpy as np
import numpy.typing as npt
import orjson
from django.db import transaction

from metrics.domain import METRIC_NAME_LABEL, METRIC_TYPES, Metadata, SeriesBatch
from metrics.ingest.refusals import Refusal
from metrics.ingest.rows import gate
from metrics.ingest.windows import Window
from metrics.ingest.writer import store_samples, write_series
from metrics.models import PushFamily, PushGroup
from metrics.promql.types import STALE_NAN
from metrics.store.columns import Samples
from metrics.store.raw import raw_cursor
from metrics.wire.exposition.forms import NO_TIMESTAMP
from metrics.wire.pushing import BadGroup, family_of, types_of, with_group

PUSHED, FAILED = "push_time_seconds", "push_failure_time_seconds"
HELPS = {
    PUSHED: "Last Unix time when changing this group succeeded.",
    FAILED: "Last Unix time when changing this group failed.",
}
Labels = dict[str, str]


def _key(source_id: UUID, labels: Labels) -> bytes:
    return blake2b(source_id.bytes + orjson.dumps(sorted(labels.items())), digest_size=16).digest()


def _moment() -> datetime:
    """Return the console's time as it is now: that of the transaction is from before it waited for a lock."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT console_now() + (clock_timestamp() - now())")
        row = cursor.fetchone()
    if row is None:
        raise ValueError("SELECT without FROM returns one row")
    at: datetime = row[0]
    return at


def _locked(source_id: UUID, labels: Labels) -> PushGroup:
    """Return the group, made if need be, for this transaction alone."""
    key = _key(source_id, labels)
    PushGroup.objects.bulk_create([PushGroup(key=key, labels=labels, source_id=source_id)], ignore_conflicts=True)
    return PushGroup.objects.select_for_update().get(key=key)


def group_push(source_id: UUID, labels: Labels, page: SeriesBatch, *, replace: bool) -> int:
    """Put a page in the place of a group, or of its families of the same names; returns how many samples it has.

    Raises BadGroup, once it is noted, where the page does not agree with itself or with what is there.
    """
    with transaction.atomic():
        group = _locked(source_id, labels)
        # Read behind the lock, so that no sample of before has a later time.
        now = _moment()
        try:
            named = with_group(page.labels, labels)
            families = _Families.of(page, named)
            families.check(group)
        except BadGroup as error:
            fault = error
            _store_times(group, now, failed=True)
        else:
            _replace(group, families, replace=replace, now=now)
            _store_times(group, now, failed=False)
            return len(named)
    raise fault


def group_delete(source_id: UUID, labels: Labels) -> None:
    """Drop a group; its series are stale from now on."""
    with transaction.atomic():
        group = PushGroup.objects.select_for_update().filter(key=_key(source_id, labels)).first()
        if group is not None:
            _mark_stale({one for family in group.families.all() for one in family.series_ids}, _moment())
            group.delete()


@dataclass(slots=True)
class _Families:
    """A page by families: the places of their samples."""

    page: SeriesBatch
    labels: list[Labels]
    types: dict[str, str]
    places: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, page: SeriesBatch, labels: list[Labels]) -> "_Families":
        found = cls(page, labels, types_of(page.metadata))
        for place, one in enumerate(labels):
            name = family_of(one[METRIC_NAME_LABEL], found.types)
            if name not in HELPS:
                found.places.setdefault(name, []).append(place)
        return found

    def type_of(self, name: str) -> str:
        return self.types.get(name, "untyped")

    def check(self, group: PushGroup) -> None:
        """Raise BadGroup where a sample has a time, or another group of the source has a family of another type."""
        if bool((self.page.timestamps_ms != NO_TIMESTAMP).any()):
            raise BadGroup("pushed metrics must not have timestamps")
        others = PushFamily.objects.filter(group__source=group.source_id, name__in=self.places).exclude(group=group)
        for name, kind in others.values_list("name", "type").order_by("name").distinct():
            if kind != self.type_of(name):
                raise BadGroup(f"{name} is a {self.type_of(name)} here and a {kind} in another group")


def _replace(group: PushGroup, families: _Families, *, replace: bool, now: datetime) -> None:
    old = group.families.exclude(name__in=HELPS)
    if not replace:
        old = old.filter(name__in=families.places)
    before = {one for ids in old.values_list("series_ids", flat=True) for one in ids}
    old.delete()
    places = [place for found in families.places.values() for place in found]
    ids = _write(group, families, places, now)
    rows, done = [], 0
    for name, found in families.places.items():
        rows.append(_row(group, families, name, found, ids[done : done + len(found)]))
        done += len(found)
    PushFamily.objects.bulk_create(rows)
    _mark_stale(before - set(ids), now)


def _row(group: PushGroup, families: _Families, name: str, places: Sequence[int], ids: list[int]) -> PushFamily:
    page = families.page
    histograms = None if page.histograms is None else page.histograms[list(places)].tolist()
    return PushFamily(
        group=group, name=name, type=families.type_of(name), series_ids=ids,
        values=page.values[list(places)].tolist(), histograms=histograms,
    )  # fmt: skip


def _write(group: PushGroup, families: _Families, places: list[int], now: datetime) -> list[int]:
    page = families.page
    batch = SeriesBatch(
        [families.labels[place] for place in places],
        np.arange(len(places), dtype=np.int64),
        np.full(len(places), _ms(now), np.int64),
        page.values[places],
        None if page.histograms is None else page.histograms[places],
        metadata=[Metadata(one.family, _known(one.type), one.unit, one.help) for one in page.metadata],
    )
    return _written(group, batch, now)


def _known(kind: str) -> str:
    return kind if kind in METRIC_TYPES else "untyped"


def _written(group: PushGroup, batch: SeriesBatch, now: datetime) -> list[int]:
    """Store a batch as a whole: a group that is there in part would be nobody's."""
    window = Window.at(now, backfill=False)
    written = write_series(batch, source_id=group.source_id, gate=gate(), window=window, now=now)
    if written.limited:
        raise Refusal(429, f"nothing was stored: {written.limited}", "cardinality", retry_after_seconds=60)
    if bool((written.series_ids < 0).any()):
        raise Refusal(400, "; ".join(written.refused), "rows")
    return [int(one) for one in written.series_ids]


def _store_times(group: PushGroup, now: datetime, *, failed: bool) -> None:
    """Write when the group was pushed, and when that failed."""
    if failed:
        group.failed_at = now
    else:
        group.pushed_at = now
    group.save(update_fields=["pushed_at", "failed_at"])
    times = {PUSHED: group.pushed_at, FAILED: group.failed_at}
    values = [one.timestamp() if one else 0.0 for one in times.values()]
    batch = SeriesBatch(
        [{**group.labels, METRIC_NAME_LABEL: name} for name in times],
        np.arange(2, dtype=np.int64),
        np.full(2, _ms(now), np.int64),
        np.array(values),
        metadata=[Metadata(name, "gauge", "", text) for name, text in HELPS.items()],
    )
    ids = _written(group, batch, now)
    for name, series_id, value in zip(times, ids, values, strict=True):
        fields = {"type": "gauge", "series_ids": [series_id], "values": [value]}
        PushFamily.objects.update_or_create(group=group, name=name, defaults=fields)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _mark_stale(series_ids: set[int], now: datetime) -> None:
    if series_ids:
        ids = np.array(sorted(series_ids), np.int64)
        samples = Samples(ids, np.full(ids.size, _ms(now), np.int64), np.full(ids.size, STALE_NAN))
        store_samples(samples, Window.at(now, backfill=False))


def groups_repeat() -> int:
    """Write the samples of all groups again; returns how many there were."""
    with transaction.atomic():
        # Locked, so that none is written again behind the marker of its end.
        groups = list(PushGroup.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
        families = list(PushFamily.objects.filter(group__in=groups))
        if not families:
            return 0
        now = _moment()
        ids = np.array([one for family in families for one in family.series_ids], np.int64)
        values = np.array([one for family in families for one in family.values], np.float64)
        samples = Samples(ids, np.full(ids.size, _ms(now), np.int64), values, _histograms(families))
        store_samples(samples, Window.at(now, backfill=False))
        return int(ids.size)


def _histograms(families: Sequence[PushFamily]) -> npt.NDArray[np.object_] | None:
    if not any(family.histograms for family in families):
        return None
    found = [one for family in families for one in family.histograms or [None] * len(family.series_ids)]
    column = np.full(len(found), None, np.object_)
    column[:] = [None if one is None else bytes(one) for one in found]
    return column
