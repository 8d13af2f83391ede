"""The store: what goes in comes out, before and after compaction."""

from datetime import UTC, datetime

import numpy as np
import pytest
from django.db import connection, transaction

from metrics.domain import fingerprint, series_labels
from metrics.models import GroupBlock, HeadBlock, Metric, RecentBlock, Series
from metrics.promql.types import STALE_NAN, Matcher, QueryError
from metrics.store import compaction
from metrics.store.columns import Samples
from metrics.store.listing import day_of
from metrics.store.partitions import partitions_drop_before, partitions_ensure, partitions_existing
from metrics.store.postgres import PostgresStore
from metrics.store.protocol import SelectLimits
from metrics.store.series import series_create

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
T0 = int(NOW.timestamp() * 1000)


def make_series(*label_sets: dict[str, str]) -> list[int]:
    labels = [series_labels(list(pairs.items())) for pairs in label_sets]
    keys = [fingerprint(pairs) for pairs in labels]
    ids = series_create(dict(zip(keys, labels, strict=True)), source_id=None, now=NOW)
    return [ids[key] for key in keys]


def append(store: PostgresStore, rows: list[tuple[int, int, float]]) -> None:
    ids, times, values = zip(*rows, strict=True)
    store.append(
        Samples(np.array(ids, np.int64), np.array(times, np.int64), np.array(values, np.float64)), durable=True
    )


def read(store: PostgresStore, *matchers: Matcher, low: int = T0 - 10**7, high: int = T0 + 10**7) -> list[tuple]:
    found = store.select(matchers, low, high)
    rows = []
    for index, labels in enumerate(found.labels):
        part = slice(found.offsets[index], found.offsets[index + 1])
        bits = found.values[part].view(np.uint64).tolist()
        rows.append((tuple(sorted(labels.items())), found.timestamps_ms[part].tolist(), bits))
    return sorted(rows)


def name(text: str) -> Matcher:
    return Matcher("__name__", "=", text)


def test_new_series_of_one_metric_fill_its_group_before_another_is_taken():
    ids = make_series(*({"__name__": "a", "i": f"{i:03d}"} for i in range(150)))
    others = make_series({"__name__": "b"})
    more = make_series(*({"__name__": "a", "i": f"{i:03d}"} for i in range(150, 260)))
    assert ids == list(range(ids[0], ids[0] + 150))
    assert ids[0] % 200 == 0
    assert others[0] // 200 != ids[0] // 200
    assert more[:50] == list(range(ids[0] + 150, ids[0] + 200))
    assert more[50] % 200 == 0
    assert Metric.objects.get(name="a").last_series_id == more[-1]


def test_a_known_series_keeps_its_id():
    assert make_series({"__name__": "a", "x": "1"}) == make_series({"__name__": "a", "x": "1"})
    assert Series.objects.count() == 1


def test_samples_are_returned_sorted_with_the_later_of_two_at_one_time():
    store = PostgresStore()
    one, two = make_series({"__name__": "a", "x": "1"}, {"__name__": "a", "x": "2"})
    append(store, [(one, T0 + 2000, 2.0), (two, T0, 5.0), (one, T0, 1.0)])
    append(store, [(one, T0 + 1000, 1.5), (one, T0, 9.0)])
    found = store.select([name("a"), Matcher("x", "=", "1")], T0, T0 + 2000)
    assert found.labels == [{"__name__": "a", "x": "1"}]
    assert found.timestamps_ms.tolist() == [T0, T0 + 1000, T0 + 2000]
    assert found.values.tolist() == [9.0, 1.5, 2.0]


def test_both_bounds_are_inclusive_and_series_without_samples_are_left_out():
    store = PostgresStore()
    one, _ = make_series({"__name__": "a", "x": "1"}, {"__name__": "a", "x": "2"})
    append(store, [(one, T0 + step, 1.0) for step in (-1, 0, 5, 6)])
    found = store.select([name("a")], T0, T0 + 5)
    assert found.timestamps_ms.tolist() == [T0, T0 + 5]
    assert len(found.labels) == 1


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        (Matcher("x", "=", ""), {"c"}),
        (Matcher("x", "!=", ""), {"a", "b"}),
        (Matcher("x", "!=", "1"), {"b", "c"}),
        (Matcher("x", "=~", "1|2"), {"a", "b"}),
        (Matcher("x", "=~", "1?"), {"a", "c"}),
        (Matcher("x", "!~", "1.*"), {"b", "c"}),
        (Matcher("absent", "=", ""), {"a", "b", "c"}),
        (Matcher("absent", "=~", ".+"), set()),
        (Matcher("__name__", "=~", "a|c"), {"a", "c"}),
        (Matcher("__name__", "!=", "a"), {"b", "c"}),
    ],
)
def test_an_absent_label_matches_as_the_empty_value(matcher: Matcher, expected: set[str]):
    store = PostgresStore()
    make_series({"__name__": "a", "x": "1"}, {"__name__": "b", "x": "2"}, {"__name__": "c"})
    assert {labels["__name__"] for labels in store.series([matcher])} == expected


def test_a_pattern_is_anchored_and_a_bad_one_is_an_error_of_the_asker():
    store = PostgresStore()
    make_series({"__name__": "abc"})
    assert store.series([Matcher("__name__", "=~", "b")]) == []
    with pytest.raises(QueryError) as refused:
        store.series([Matcher("__name__", "=~", "(")])
    assert refused.value.kind == "bad_data"


def test_labels_and_values_are_those_of_matching_series():
    store = PostgresStore()
    make_series({"__name__": "a", "x": "1", "y": "2"}, {"__name__": "b", "x": "3"})
    assert store.label_names([]) == ["__name__", "x", "y"]
    assert store.label_names([name("b")]) == ["__name__", "x"]
    assert store.label_values("x", []) == ["1", "3"]
    assert store.label_values("x", [name("a")]) == ["1"]
    assert store.label_values("__name__", []) == ["a", "b"]


def scattered(store: PostgresStore) -> None:
    ids = make_series(*({"__name__": "m", "i": f"{i:03d}"} for i in range(230)), {"__name__": "n"})
    random = np.random.default_rng(7)
    for _ in range(12):
        size = 300
        times = T0 + random.integers(-90_000, 90_000, size) // 1000 * 1000
        values = np.where(random.random(size) < 0.1, STALE_NAN, random.integers(-5, 5, size).astype(float))
        store.append(Samples(random.choice(ids, size).astype(np.int64), times, values), durable=True)


def test_compaction_changes_no_answer():
    store = PostgresStore()
    scattered(store)
    before = read(store)
    done = compaction.compact_once()
    assert done.head_blocks == 12
    assert HeadBlock.objects.count() == 0
    assert read(PostgresStore()) == before
    assert read(store) == before


def test_samples_that_arrive_after_compaction_win_over_packed_ones():
    store = PostgresStore()
    (one,) = make_series({"__name__": "a"})
    append(store, [(one, T0, 1.0), (one, T0 + 5000, 2.0)])
    compaction.compact_once()
    append(store, [(one, T0, 3.0), (one, T0 - 5000, 0.0)])
    heads = read(store)
    compaction.compact_once()
    assert read(store) == heads
    assert store.select([name("a")], T0, T0).values.tolist() == [3.0]


def test_a_crash_between_insert_and_delete_leaves_the_head_as_it_was(monkeypatch: pytest.MonkeyPatch):
    store = PostgresStore()
    scattered(store)
    before = read(store)

    def crash(*args: object) -> None:
        raise OSError("killed here")

    monkeypatch.setattr(compaction, "_touch_series", crash)
    with pytest.raises(OSError, match="killed"), transaction.atomic():
        compaction.compact_once()
    assert HeadBlock.objects.count() == 12
    assert read(PostgresStore()) == before
    monkeypatch.undo()
    compaction.compact_once()
    assert read(PostgresStore()) == before


def test_samples_of_two_days_go_to_two_partitions():
    store = PostgresStore()
    (one,) = make_series({"__name__": "a"})
    append(store, [(one, T0, 1.0), (one, T0 - 86_400_000, 2.0)])
    before = read(store, low=T0 - 2 * 86_400_000)
    assert compaction.compact_once().group_blocks == 2
    assert compaction.pack_windows(now_ms=T0 + 86_400_000) == 2
    assert GroupBlock.objects.count() == 0
    assert compaction.pack_days(now_ms=T0 + 2 * 86_400_000) == 2
    assert RecentBlock.objects.count() == 0
    assert {day_of(T0), day_of(T0 - 86_400_000)} <= set(partitions_existing())
    assert read(store, low=T0 - 2 * 86_400_000) == before


def test_closed_windows_become_one_block_and_answer_the_same():
    store = PostgresStore()
    (one,) = make_series({"__name__": "a"})
    for step in range(5):
        append(store, [(one, T0 + step * 60_000, float(step)), (one, T0, -1.0)])
        compaction.compact_once()
    before = read(store)
    assert compaction.pack_windows(now_ms=T0 + 60_000) == 0
    assert compaction.pack_windows(now_ms=T0 + 6 * 3_600_000) == 1
    assert read(PostgresStore()) == before
    assert compaction.pack_windows(now_ms=T0 + 6 * 3_600_000) == 0


def test_retention_drops_whole_days():
    days = [day_of(T0 - 100 * 86_400_000), day_of(T0)]
    partitions_ensure(days)
    assert partitions_drop_before(day_of(T0 - 90 * 86_400_000)) == [days[0]]
    assert days[0] not in partitions_existing()
    assert days[1] in partitions_existing()


def test_limits_are_checked_before_samples_are_fetched():
    store = PostgresStore(SelectLimits(max_samples=3))
    (one,) = make_series({"__name__": "a"})
    append(store, [(one, T0 + step, 1.0) for step in range(4)])
    with pytest.raises(QueryError, match="more than 3 samples"):
        store.select([name("a")], T0, T0 + 10)
    with pytest.raises(QueryError, match="30 days"):
        store.select([name("a")], 0, T0)


def test_a_series_committed_late_is_still_found():
    store = PostgresStore()
    assert store.series([]) == []
    make_series({"__name__": "late"})
    assert store.series([]) == [{"__name__": "late"}]


@pytest.mark.django_db(transaction=True)
def test_only_one_process_compacts():
    with compaction.compactor_lock() as first:
        second = connection.copy()
        try:
            with second.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [compaction.ADVISORY_LOCK])
                assert cursor.fetchone() == (False,)
        finally:
            second.close()
    assert first


@pytest.mark.django_db(transaction=True)
def test_dropping_a_day_leaves_no_lock_timeout_on_the_session():
    partitions_ensure([day_of(T0 - 100 * 86_400_000)])
    assert partitions_drop_before(day_of(T0 - 90 * 86_400_000))
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("0",)


def test_old_backfill_is_packed_too():
    store = PostgresStore()
    (one,) = make_series({"__name__": "a"})
    old = T0 - 6 * 86_400_000
    for step in range(3):
        append(store, [(one, old + step * 60_000, float(step))])
        compaction.compact_once()
    before = read(store, low=old, high=old + 10**6)
    assert compaction.pack_windows(now_ms=T0) == 1
    assert RecentBlock.objects.get().level == 2
    assert compaction.pack_days(now_ms=T0) == 1
    assert GroupBlock.objects.get().level == 3
    assert read(PostgresStore(), low=old, high=old + 10**6) == before
