"""Exemplars: kept once, thinned by series, read by range, dropped by age."""

import pytest

from metrics.models import Exemplar as Row
from metrics.store import exemplars
from metrics.store.exemplars import Exemplar, exemplars_append, exemplars_drop_before, exemplars_select

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_rates():
    exemplars.forget_rates()
    yield
    exemplars.forget_rates()


def one(series: int = 7, at: int = 1_000, value: float = 0.5, **labels: str) -> Exemplar:
    return Exemplar(series, at, value, labels or {"trace_id": "abc"})


def test_an_exemplar_comes_back_as_it_was_sent():
    sent = [one(at=2_000, span_id="é"), one(at=1_000), one(series=9, at=1_500, value=float("inf"))]
    assert exemplars_append(None, sent) == 3
    assert exemplars_select([7], 1_000, 2_000) == [sent[1], sent[0]]
    assert exemplars_select([7, 9], 0, 1_500) == [sent[1], sent[2]]
    assert exemplars_select([7, 9], 0, 9_999, limit=1) == [sent[1]]


def test_what_a_target_shows_again_at_every_scrape_is_one_row_and_costs_no_rate():
    for _ in range(100):
        exemplars_append(None, [one(), one()])
    assert Row.objects.count() == 1
    assert exemplars_append(None, [one(at=2_000)]) == 1


def test_those_of_one_time_are_told_apart_by_value_and_labels():
    assert exemplars_append(None, [one(), one(value=0.6), one(trace_id="abd")]) == 3


def test_a_series_is_thinned_to_its_rate_and_others_are_not():
    assert exemplars_append(None, [one(at=at) for at in range(200)]) == 60
    assert exemplars_append(None, [one(series=8)]) == 1


@pytest.mark.parametrize("text", ["x" * 129, "a\0b"])
def test_labels_too_long_or_with_nul_cost_only_their_own_exemplar(text: str):
    assert exemplars_append(None, [one(trace_id=text), one()]) == 1


def test_old_ones_are_deleted_slice_by_slice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exemplars, "SLICE", 2)
    exemplars_append(None, [one(at=at) for at in range(7)])
    assert exemplars_drop_before(5) == 5
    assert [row.timestamp_ms for row in exemplars_select([7], 0, 10)] == [5, 6]
