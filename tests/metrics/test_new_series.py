"""New series by the thousand: the compiled reading equals the plain one, and ids stay unique and side by side."""

import threading
from datetime import UTC, datetime

import numpy as np
import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.domain import BadSeries, NewSeries, series_labels
from metrics.models import SERIES_PER_GROUP, Metric, Series
from metrics.store.series import series_create, series_find
from metrics.wire import remote_write
from metrics.wire.remote_write_2 import decoding
from metrics.wire.series_table import SeriesTable
from tests.metrics.senders import WriteRequest
from tests.metrics.write_v2 import Builder

NOW = datetime.now(UTC)
texts = st.one_of(
    st.sampled_from(["__name__", "job", "instance", "", 'quo"te', "back\\slash", "é", "nul\0", "tab\t", "x" * 1_100]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
)
pairs = st.lists(st.tuples(texts, texts), max_size=5)
sets = st.lists(st.one_of(pairs, pairs.map(lambda one: sorted([("__name__", "m"), *one]))), min_size=1, max_size=6)


def plain(labels: list[tuple[str, str]]) -> tuple[bytes, NewSeries] | str:
    try:
        return NewSeries.of(series_labels(labels))
    except BadSeries as error:
        return str(error)


def compiled(columns: remote_write.WriteColumns) -> list[tuple[bytes, NewSeries] | str | None]:
    found, reasons = columns.new_series(np.arange(columns.series_ids.size))
    return [reasons.get(place, one) for place, one in enumerate(found)]


@settings(deadline=None, max_examples=300)
@given(drawn=sets)
def test_new_series_of_version_1_are_named_as_the_plain_code_names_them(drawn: list[list[tuple[str, str]]]):
    message = WriteRequest()
    for labels in drawn:
        entry = message.timeseries.add()
        for name, value in labels:
            entry.labels.add(name=name, value=value)
    columns = remote_write.decode(message.SerializeToString(), SeriesTable())
    assert compiled(columns) == [plain(labels) for labels in drawn]


@settings(deadline=None, max_examples=300)
@given(drawn=sets)
def test_new_series_of_version_2_are_named_as_the_plain_code_names_them(drawn: list[list[tuple[str, str]]]):
    request = Builder()
    for labels in drawn:
        entry = request.message.timeseries.add()
        for name, value in labels:
            entry.labels_refs.extend([request.ref(name), request.ref(value)])
    columns = decoding.decode(request.raw(), SeriesTable())
    assert compiled(columns) == [plain(labels) for labels in drawn]


def test_a_name_as_long_as_may_be_and_one_longer():
    request = Builder()
    drawn = [{"__name__": "n" * size, "x": "v" * 2_048} for size in (1_024, 1_025)]
    for labels in drawn:
        request.series(labels)
    found = compiled(decoding.decode(request.raw(), SeriesTable()))
    assert found == [plain(sorted(labels.items())) for labels in drawn]
    assert isinstance(found[1], str)


def many(metric: str, count: int) -> dict[bytes, NewSeries]:
    return dict(NewSeries.of({"__name__": metric, "i": f"{number:05d}"}) for number in range(count))


@pytest.mark.django_db
def test_series_of_one_metric_lie_side_by_side_in_the_order_of_their_labels():
    wanted = dict(reversed(many("m", 450).items()))
    ids = series_create(wanted, source_id=None, now=NOW)
    later = series_create(many("m", 500), source_id=None, now=NOW)
    by_label = [later[key] for key in many("m", 500)]
    assert by_label == sorted(by_label)
    assert ids.items() <= later.items()
    groups = {number // SERIES_PER_GROUP for number in by_label}
    assert len(groups) == 3
    assert Metric.objects.get().last_series_id == by_label[-1]
    assert Series.objects.get(pk=by_label[7]).labels == {"__name__": "m", "i": "00007"}


@pytest.mark.django_db
def test_small_metrics_take_a_group_each():
    wanted = {key: one for number in range(20) for key, one in many(f"m{number}", number + 1).items()}
    ids = series_create(wanted, source_id=None, now=NOW)
    assert len(set(ids.values())) == len(wanted) == 210
    assert all(row.pk // SERIES_PER_GROUP == row.metric.last_series_id // SERIES_PER_GROUP
               for row in Series.objects.select_related("metric"))  # fmt: skip


@pytest.mark.django_db
def test_a_series_that_came_between_the_look_and_the_lock_is_not_made_twice():
    wanted = many("m", 10)
    before = series_find(wanted)
    assert before.ids == {}
    first = series_create(many("m", 5), source_id=None, now=NOW)
    ids = series_create(wanted, source_id=None, now=NOW, marks=before.marks)
    assert first.items() <= ids.items()
    assert Series.objects.count() == 10
    assert series_find(wanted).ids == ids


@pytest.mark.django_db
def test_a_metric_that_went_between_the_look_and_the_lock_is_made_again():
    Metric.objects.create(name="m")
    marks = series_find(many("m", 1)).marks
    Metric.objects.all().delete()
    assert len(series_create(many("m", 3), source_id=None, now=NOW, marks=marks)) == 3


@pytest.mark.django_db(transaction=True)
def test_two_connections_that_meet_the_same_new_series_give_them_one_id():
    found: list[dict[bytes, int]] = []
    barrier = threading.Barrier(2)

    def register(names: list[str]) -> None:
        wanted = {key: one for name in names for key, one in many(name, 300).items()}
        before = series_find(wanted)
        barrier.wait()
        found.append(series_create(wanted, source_id=None, now=NOW, marks=before.marks))
        connection.close()

    threads = [threading.Thread(target=register, args=(names,)) for names in (["a", "b", "c"], ["c", "b", "a"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert Series.objects.count() == len(set(found[0].values())) == 900
