"""What was selected before is selected again without looking, until there is something new to find."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.promql.aggregations import kernels as groups
from metrics.promql.ranges.kernels import count_falls
from metrics.promql.types import STALE_NAN, LabelSets, Matcher, SharedTimes
from metrics.store import compaction, selected
from metrics.store.catalogue import Catalogue
from metrics.store.columns import Samples
from metrics.store.postgres import PostgresStore
from tests.metrics.test_store import make_series

T0 = 1_795_233_600_000
NAMED = (Matcher("__name__", "=", "m"),)
ANY_NAME = (Matcher("__name__", "=~", "m|other"),)


@pytest.fixture
def catalogue() -> Catalogue:
    held = Catalogue()
    held.add([(1, 1, "m", {"i": "1"}), (202, 1, "m", {"i": "2"}), (3, 2, "other", {})])
    return held


def test_a_selection_is_kept_until_its_metric_has_another_series(catalogue: Catalogue) -> None:
    selections = selected.Selections()
    first, wide = selections.of(catalogue, NAMED), selections.of(catalogue, ANY_NAME)
    assert (first.ids.tolist(), first.groups, wide.ids.tolist()) == ([1, 202], [0, 1], [1, 3, 202])
    catalogue.add([(4, 2, "other", {"i": "3"})])
    assert selections.of(catalogue, NAMED) is first
    assert selections.of(catalogue, ANY_NAME).ids.tolist() == [1, 3, 4, 202]
    catalogue.add([(5, 1, "m", {"i": "4"})])
    assert selections.of(catalogue, NAMED).ids.tolist() == [1, 5, 202]
    assert [labels["i"] for part in selections.of(catalogue, NAMED).parts for labels in part.labels] == ["1", "4", "2"]


def test_a_catalogue_that_was_read_anew_is_looked_at_anew(catalogue: Catalogue) -> None:
    selections = selected.Selections()
    assert selections.of(catalogue, NAMED).ids.size == 2
    catalogue.clear()
    assert not selections.of(catalogue, NAMED).parts
    catalogue.add([(7, 1, "m", {}), (8, 1, "m", {"i": "1"})])
    assert selections.of(catalogue, NAMED).ids.tolist() == [7, 8]


def test_selections_used_longest_ago_make_room(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selected, "MOST_KEPT", 50)
    selections = selected.Selections()
    first, wide = selections.of(catalogue, NAMED), selections.of(catalogue, ANY_NAME)
    assert selections.of(catalogue, NAMED) is first
    selections.of(catalogue, (Matcher("__name__", "=", "other"),))
    assert selections.of(catalogue, NAMED) is first
    assert selections.of(catalogue, ANY_NAME) is not wide


def test_what_is_worked_out_of_label_sets_is_worked_out_once() -> None:
    labels = LabelSets([{"a": "1"}])
    assert [labels.remembered("size", lambda: [len(labels)]) for _ in range(2)] == [[1], [1]]
    assert labels.remembered("size", list) == [1]
    for number in range(20):
        labels.remembered(number, lambda: [0])
    assert labels.remembered("size", list) == []


@pytest.mark.django_db
@pytest.mark.parametrize("odd", ["nothing", "a gap", "a late sample", "another rhythm", "stale"])
def test_series_scraped_together_come_with_one_row_of_times(odd: str) -> None:
    ids = np.array(make_series(*({"__name__": "m", "i": str(number)} for number in range(5))), np.int64)
    store, expected = PostgresStore(), {}
    for step in range(8):
        taken = ids[:-1] if odd == "a gap" and step == 3 else ids
        times = np.full(taken.size, T0 + step * 15_000)
        if odd == "another rhythm":
            times[0] += 1
        values = np.arange(taken.size) + step * 1.0
        if odd == "stale" and step == 5:
            values[2] = STALE_NAN
        store.append(Samples(taken, times, values), durable=True)
        expected |= {(one, at): value for one, at, value in zip(taken.tolist(), times.tolist(), values, strict=True)}
        if odd == "a late sample" and step == 6:
            store.append(Samples(ids[:1], np.array([T0 + 22_000]), np.array([5.0])), durable=True)
            expected[int(ids[0]), T0 + 22_000] = 5.0
        if step in (2, 5):
            compaction.compact_once()
    kinds = store.each(NAMED, T0 + 10_000, T0 + 100_000, lambda columns: isinstance(columns, SharedTimes))
    assert kinds == [odd in ("nothing", "stale")]
    found = store.select(NAMED, T0 + 10_000, T0 + 100_000)
    rows = {
        (int(ids[int(found.labels[series]["i"])]), int(found.timestamps_ms[place])): found.values[place]
        for series in range(ids.size)
        for place in range(found.offsets[series], found.offsets[series + 1])
    }
    wanted = {key: value for key, value in expected.items() if T0 + 10_000 <= key[1] <= T0 + 100_000}
    assert rows.keys() == wanted.keys()
    np.testing.assert_array_equal([rows[key] for key in wanted], list(wanted.values()))


@settings(deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 2), st.floats(-1e9, 1e9), st.booleans()), min_size=1, max_size=30))
def test_sums_of_parts_put_together_are_the_sum_of_all(rows: list[tuple[int, float, bool]]) -> None:
    group, values, present = (np.array(column) for column in zip(*rows, strict=True))
    parts = []
    for part in (slice(0, len(rows) // 2), slice(len(rows) // 2, None)):
        totals, lost, counts = (np.empty((3, 1)) for _ in range(3))
        groups.sum_groups(values[part, None], present[part, None], group[part], totals, lost, counts)
        parts.append((totals, lost, counts))
    totals, lost, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    out, out_lost, out_counts = (np.empty((3, 1)) for _ in range(3))
    groups.merge_sums(totals, lost, counts, np.array([0, 1, 2] * 2), out, out_lost, out_counts)
    for number in range(3):
        held = values[(group == number) & present]
        assert out_counts[number, 0] == held.size
        assert out[number, 0] + out_lost[number, 0] == pytest.approx(sum(held.tolist()), rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(values=st.lists(st.sampled_from([0.0, 1.0, 2.0, float("nan"), float("inf")]), max_size=20))
def test_falls_are_counted(values: list[float]) -> None:
    wanted = sum(after < before for before, after in pairwise(values))
    assert count_falls(np.array(values), 0, len(values)) == wanted
