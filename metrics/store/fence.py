"""No id of a series that has gone is written to again, however long ago a process learnt it.

Every head block is written on the condition that its writer knows all marks there are (`SeriesFence.epoch`). A mark
says that a series is about to leave: whoever then brings a sample of it takes the mark away and the series stays. Where
it has gone meanwhile its labels get another id, which takes the place of the old one. `store/sweeping.py` is the other
side: it removes only what is marked, long after all who did not know the mark have ended.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import orjson
import structlog
from django.db import transaction

from aivillage_console.lib import clock
from metrics.domain import METRIC_NAME_LABEL, NewSeries, fingerprint
from metrics.store.columns import Samples
from metrics.store.raw import raw_cursor
from metrics.store.series import series_create

Ints = npt.NDArray[np.int64]
log = structlog.get_logger(__name__)
NOT_LEARNT = -1
NO_IDS = np.empty(0, np.int64)
_LEARN = (
    "SELECT epoch, forgotten_epoch, ARRAY(SELECT id FROM metrics_leavingseries WHERE epoch > %s)"
    " FROM metrics_seriesfence WHERE id = 1"
)
_KEEP = (
    "WITH kept AS (DELETE FROM metrics_leavingseries WHERE id = ANY(%s) AND gone_xid IS NULL RETURNING id)"
    " UPDATE metrics_series s SET last_seen_at = console_now() FROM kept WHERE s.id = kept.id RETURNING s.id"
)


@dataclass(frozen=True, slots=True)
class Marks:
    """What a process knows: marks up to an epoch, and the new ids of series that went; never changed, only replaced.

    `doubts` is set where marks were forgotten before this process had learnt them: then ids are looked up till `sure`.
    """

    epoch: int = NOT_LEARNT
    ids: Ints = field(default_factory=lambda: NO_IDS)
    again: dict[int, int] = field(default_factory=dict)
    doubts: bool = False
    sure: Ints = field(default_factory=lambda: NO_IDS)

    def suspects(self, series_ids: Ints) -> Ints:
        """Return those of the ids that must not be written to as they are, each once."""
        if self.doubts:
            return np.setdiff1d(series_ids, self.sure)
        if not self.ids.size or not series_ids.size:
            return NO_IDS
        hits = series_ids[np.isin(series_ids, self.ids)]
        return np.unique(hits) if hits.size else NO_IDS


class Fence:
    """The marks of this process."""

    def __init__(self) -> None:
        """Know nothing; the first write learns."""
        self.marks = Marks()
        self._lock = threading.Lock()
        self._told: list[Callable[[Ints], None]] = []

    def forget(self) -> None:
        """Know nothing again, as after a change of database."""
        self.marks = Marks()

    def tell(self, listener: Callable[[Ints], None]) -> None:
        """Have somebody told which ids were marked, so that they are looked up anew."""
        self._told.append(listener)

    def learn(self) -> None:
        """Read the marks that were made since."""
        known = self.marks
        with raw_cursor() as cursor:
            cursor.execute(_LEARN, [known.epoch])
            row = cursor.fetchone()
        if row is None:
            return
        epoch, forgotten, ids = row
        new = np.array(ids, np.int64)
        with self._lock:
            # Another thread may have learnt the same, or more.
            doubts = self.marks.doubts or NOT_LEARNT < known.epoch < forgotten
            merged = np.union1d(self.marks.ids, new)
            sure = np.setdiff1d(self.marks.sure, new)
            self.marks = replace(self.marks, epoch=max(epoch, self.marks.epoch), ids=merged, doubts=doubts, sure=sure)
        for listener in self._told:
            listener(new)

    def settled(self, samples: Samples, marks: Marks) -> Samples:
        """Return the samples under ids that may be written to by who knows these marks."""
        suspects = marks.suspects(samples.series_ids)
        return samples if not suspects.size else self._settled(samples, suspects, marks)

    def _settled(self, samples: Samples, suspects: Ints, marks: Marks) -> Samples:
        moved = {old: marks.again[old] for old in suspects.tolist() if old in marks.again}
        with transaction.atomic():
            # The new id of a series may be marked in its turn.
            asked = sorted({moved.get(old, old) for old in suspects.tolist()})
            stay = _keep(asked)
            gone = [one for one in asked if one not in stay]
            again = _made_again(gone) if gone else {}
        for old in suspects.tolist():
            target = moved.get(old, old)
            moved[old] = again.get(target, target if target in stay else NOT_LEARNT)
        transaction.on_commit(lambda: self._remember(stay, moved))
        return _moved(samples, moved)

    def _remember(self, stay: set[int], moved: dict[int, int]) -> None:
        changed = {old: new for old, new in moved.items() if new not in (old, NOT_LEARNT)}
        with self._lock:
            ids = self.marks.ids
            kept = np.array(sorted(stay), np.int64)
            sure = np.union1d(self.marks.sure, kept) if self.marks.doubts else NO_IDS
            again = {**self.marks.again, **changed}
            self.marks = replace(self.marks, ids=np.setdiff1d(ids, kept), again=again, sure=sure)


def _keep(ids: Sequence[int]) -> set[int]:
    """Take the marks off these series; returns those that are there, marked by nobody."""
    with raw_cursor() as cursor:
        # Waits for a sweep that is removing them just now.
        cursor.execute(_KEEP, [list(ids)])
        cursor.execute(
            "SELECT id FROM metrics_series s WHERE id = ANY(%s)"
            " AND NOT EXISTS (SELECT FROM metrics_leavingseries l WHERE l.id = s.id)",
            [list(ids)],
        )
        return {row[0] for row in cursor}


def _made_again(ids: Sequence[int]) -> dict[int, int]:
    """Give new ids to series that have gone; one of which even the labels are forgotten has none."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT id, labels::text, source_id FROM metrics_leavingseries WHERE id = ANY(%s)", [list(ids)])
        rows = cursor.fetchall()
    made: dict[int, int] = {}
    for source_id in {row[2] for row in rows}:
        # As they are when series are registered: sorted, the name among them.
        named = {row[0]: dict(sorted(orjson.loads(row[1]).items())) for row in rows if row[2] == source_id}
        series = dict(NewSeries.of(labels) for labels in named.values())
        found = series_create(series, source_id=source_id, now=clock.now())
        made.update({old: found[fingerprint(labels)] for old, labels in named.items()})
    log.info("series.came_back", series=len(made), first=_first_name(rows))
    if len(made) < len(ids):
        log.warning("series.unknown", series=len(ids) - len(made))
    return made


def _first_name(rows: Sequence[tuple[int, str, object]]) -> str:
    return str(orjson.loads(rows[0][1]).get(METRIC_NAME_LABEL, "")) if rows else ""


def _moved(samples: Samples, moved: dict[int, int]) -> Samples:
    old = np.array(sorted(moved), np.int64)
    new = np.array([moved[one] for one in old.tolist()], np.int64)
    place = np.minimum(np.searchsorted(old, samples.series_ids), old.size - 1)
    ids = np.where(old[place] == samples.series_ids, new[place], samples.series_ids)
    there = replace(samples, series_ids=ids)
    return there.take(ids >= 0) if bool((ids < 0).any()) else there


FENCE = Fence()
