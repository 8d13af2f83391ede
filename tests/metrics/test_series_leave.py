"""Series that nothing came for within their retention go; nobody writes to their ids again."""

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.db import connection, transaction

from metrics import services
from metrics.models import GroupBlock, HeadBlock, LeavingSeries, Metric, RecentBlock, Series, SeriesFence
from metrics.promql.types import Matcher
from metrics.store import compaction, group_block, head_block, sweeping
from metrics.store.columns import Samples
from metrics.store.fence import FENCE
from metrics.store.postgres import PostgresStore
from metrics.store.retention import Kept
from tests.metrics.test_store import make_series

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)
NOW_MS = int(NOW.timestamp() * 1000)
LONG_AGO = NOW - timedelta(days=500)
KEPT = Kept(90, 400)
PATIENCE_SECONDS = 30


@pytest.fixture(autouse=True)
def _no_blocks() -> Iterator[None]:
    # As the migration leaves it: emptied tables of the test before have lost it.
    SeriesFence.objects.get_or_create(pk=1)
    yield
    GroupBlock.objects.all().delete()


def dead(*label_sets: dict[str, str]) -> list[int]:
    ids = make_series(*label_sets)
    Series.objects.filter(pk__in=ids).update(last_seen_at=LONG_AGO)
    return ids


def mark() -> int:
    return sweeping.mark_dead(now=NOW, kept={}, default=KEPT).marked


def remove() -> int:
    waiting = sweeping.settled()
    assert waiting is not None
    while compaction.compact_once().head_blocks:
        pass
    return sweeping.remove_marked(waiting)


def write(series_id: int, value: float, at_ms: int = NOW_MS, store: PostgresStore | None = None) -> None:
    one = Samples(np.array([series_id]), np.array([at_ms]), np.array([value]))
    (store or PostgresStore()).append(one, durable=True)


def written_ids() -> set[int]:
    """Return every id that any block holds."""
    found: set[int] = set()
    for head in HeadBlock.objects.all():
        found |= set(head_block.decode(bytes(head.data)).series_ids.tolist())
    for block in [*RecentBlock.objects.all(), *GroupBlock.objects.all()]:
        found |= set(group_block.decode(bytes(block.data), group_no=block.group_no).series_ids.tolist())
    return found


def values(name: str) -> list[float]:
    found = PostgresStore().select([Matcher("__name__", "=", name)], NOW_MS - 10**7, NOW_MS + 10**7)
    return sorted(found.values.tolist())


def in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_dead_go_and_the_others_stay():
    old = dead({"__name__": "a", "x": "1"}, {"__name__": "b"})
    young = make_series({"__name__": "a", "x": "2"})
    other = PostgresStore()
    assert other.label_values("x", []) == ["1", "2"]
    assert (mark(), Series.objects.count()) == (2, 3)
    assert remove() == 2
    assert list(Series.objects.values_list("pk", flat=True)) == young
    assert list(Metric.objects.values_list("name", "series_count")) == [("a", 1)]
    assert set(LeavingSeries.objects.filter(gone_xid__isnull=False).values_list("pk", flat=True)) == set(old)
    assert (other.label_values("x", []), other.label_values("__name__", [])) == (["2"], ["a"])
    assert len(other.catalogue) == 1
    assert PostgresStore().label_values("x", []) == ["2"]


def test_the_compactor_does_it_in_two_passes():
    dead({"__name__": "a"})
    young = make_series({"__name__": "b"})
    assert [services.series_sweep(now=NOW), services.series_sweep(now=NOW)] == [0, 1]
    assert list(Series.objects.values_list("pk", flat=True)) == young


def test_a_slice_at_a_time_and_from_the_beginning_again():
    dead(*({"__name__": "a", "i": f"{i}"} for i in range(10)))
    looked = [sweeping.mark_dead(now=NOW, kept={}, default=KEPT, limit=4) for _ in range(4)]
    assert [(one.looked_at, one.marked) for one in looked] == [(4, 4), (4, 4), (2, 2), (4, 0)]


def test_a_class_that_is_kept_longer_keeps_its_series():
    dead({"__name__": "a"}, {"__name__": "b"})
    kept = {Metric.objects.get(name="b").pk: Kept(90, 600)}
    assert sweeping.mark_dead(now=NOW, kept=kept, default=KEPT).marked == 1
    assert LeavingSeries.objects.get().labels == {"__name__": "a"}


def test_what_comes_back_before_it_has_gone_stays_under_its_id():
    (one,) = dead({"__name__": "a"})
    store = PostgresStore()
    mark()
    write(one, 1.0, store=store)
    assert not LeavingSeries.objects.exists()
    assert sweeping.settled() is None
    assert (mark(), values("a"), written_ids()) == (0, [1.0], {one})


def test_who_still_has_the_id_of_one_that_went_writes_under_a_new_one():
    (one,) = dead({"__name__": "a", "x": "1"})
    write(make_series({"__name__": "other"})[0], 0.0)  # so that this process knows the marks of before
    mark()
    assert remove() == 1
    write(one, 1.0)
    write(one, 2.0, NOW_MS + 1)
    again = Series.objects.get(labels__x="1")
    assert again.pk != one
    assert (values("a"), one in written_ids()) == ([1.0, 2.0], False)
    assert Metric.objects.get(name="a").series_count == 1


def test_a_transaction_from_before_the_mark_holds_the_removal_up_and_keeps_its_series():
    (one,) = dead({"__name__": "a"})
    looked, go_on = threading.Event(), threading.Event()

    def writer() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute("SELECT pg_current_xact_id(), id FROM metrics_series")
            looked.set()
            go_on.wait(PATIENCE_SECONDS)
            write(one, 5.0)

    thread = in_thread(writer)
    looked.wait(PATIENCE_SECONDS)
    assert mark() == 1
    assert sweeping.settled() is None, "somebody may not know of the mark"
    go_on.set()
    thread.join(PATIENCE_SECONDS)
    assert sweeping.settled() is None, "nothing is marked any more"
    assert (values("a"), Series.objects.get().pk) == ([5.0], one)


def test_a_snapshot_from_before_the_mark_holds_the_removal_up():
    dead({"__name__": "a"})
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT count(*) FROM metrics_series")
            mark()
            assert sweeping.settled() is None
            cursor.execute("ROLLBACK")
    finally:
        holder.close()
    assert remove() == 1


def test_what_lies_in_head_blocks_since_before_the_mark_is_packed_first_and_keeps_its_series():
    (one,) = dead({"__name__": "a"})
    write(one, 3.0)
    assert mark() == 1
    waiting = sweeping.settled()
    assert waiting is not None
    assert sweeping.remove_marked(waiting) == 0, "not before it is packed"
    while compaction.compact_once().head_blocks:
        pass
    assert sweeping.remove_marked(waiting) == 0, "it was seen"
    assert (Series.objects.get().pk, LeavingSeries.objects.count(), values("a")) == (one, 0, [3.0])


def test_a_writer_that_meets_the_removal_waits_for_it_and_gets_a_new_id(monkeypatch: pytest.MonkeyPatch):
    (one,) = dead({"__name__": "a"})
    mark()
    removing, go_on = threading.Event(), threading.Event()
    delete = sweeping._delete

    def slow(ids: list[int]) -> int:
        removing.set()
        go_on.wait(PATIENCE_SECONDS)
        return delete(ids)

    monkeypatch.setattr(sweeping, "_delete", slow)
    sweeper = in_thread(remove)
    removing.wait(PATIENCE_SECONDS)
    writer = in_thread(lambda: write(one, 7.0))
    waited = wait_for_locks()
    go_on.set()
    sweeper.join(PATIENCE_SECONDS)
    writer.join(PATIENCE_SECONDS)
    assert waited
    assert (values("a"), one in written_ids(), Series.objects.get().pk != one) == ([7.0], False, True)


def wait_for_locks() -> bool:
    for _ in range(PATIENCE_SECONDS * 20):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()), pg_sleep(0.05)"
            )
            if cursor.fetchone()[0]:
                return True
    return False


def test_a_removal_that_meets_a_writer_leaves_the_series_alone():
    (one,) = dead({"__name__": "a"})
    mark()
    waiting = sweeping.settled()
    assert waiting is not None
    wrote, go_on = threading.Event(), threading.Event()

    def writer() -> None:
        with transaction.atomic():
            write(one, 9.0)
            wrote.set()
            go_on.wait(PATIENCE_SECONDS)

    thread = in_thread(writer)
    wrote.wait(PATIENCE_SECONDS)
    assert sweeping.remove_marked(waiting) == 0
    go_on.set()
    thread.join(PATIENCE_SECONDS)
    assert (values("a"), Series.objects.get().pk) == ([9.0], one)


def test_writers_and_a_sweeper_lose_nothing_and_write_no_id_that_went():
    count = 60
    ids = dead(*({"__name__": "a", "i": f"{i}"} for i in range(count)))
    told: list[float] = []

    def writer(seed: int) -> None:
        store, drawn = PostgresStore(), random.Random(seed)
        for number, place in enumerate(drawn.sample(range(count), count)):
            at_ms = NOW_MS + seed * 1_000 + number
            write(ids[place], float(at_ms), at_ms, store)
            told.append(float(at_ms))
            threading.Event().wait(0.02)

    threads = [in_thread(lambda seed=seed: writer(seed)) for seed in range(3)]
    removed = 0
    while any(thread.is_alive() for thread in threads):
        mark()
        waiting = sweeping.settled()
        if waiting is not None:
            while compaction.compact_once().head_blocks:
                pass
            removed += sweeping.remove_marked(waiting)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(values("a")) == sorted(told)
    assert len(told) == 3 * count
    gone = set(LeavingSeries.objects.filter(gone_xid__isnull=False).values_list("pk", flat=True))
    assert not written_ids() & gone
    assert (Series.objects.count(), len(gone)) == (count, removed)


def test_one_that_went_so_long_ago_that_it_is_forgotten_is_not_written_to():
    one, other = dead({"__name__": "a"}, {"__name__": "b"})
    write(other, 1.0)
    known = FENCE.marks
    Series.objects.filter(pk=other).update(last_seen_at=NOW)
    mark()
    assert remove() == 1
    assert sweeping.forget_gone(now=NOW + timedelta(days=40)) == 1
    FENCE.marks = known
    row = SeriesFence.objects.get()
    assert (row.forgotten_epoch, LeavingSeries.objects.count()) == (row.epoch, 0)
    both = Samples(np.array([one, other]), np.array([NOW_MS, NOW_MS + 1]), np.array([8.0, 9.0]))
    PostgresStore().append(both, durable=True)
    assert (values("b"), values("a"), one in written_ids()) == ([1.0, 9.0], [], False)


def test_a_catalogue_that_was_away_while_one_was_forgotten_reads_all_anew():
    dead({"__name__": "a"})
    make_series({"__name__": "b"})
    store = PostgresStore()
    assert store.label_values("__name__", []) == ["a", "b"]
    mark()
    remove()
    sweeping.forget_gone(now=NOW + timedelta(days=40))
    assert store.label_values("__name__", []) == ["b"]
