"""Sums over a matrix are the sums one after the other."""

import itertools
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics.native_histograms.dense import dense
from metrics.native_histograms.equality import alike
from metrics.native_histograms.layout import negative_of, positive_of
from metrics.native_histograms.model import ResetHint
from metrics.native_histograms.resets import is_reset
from metrics.native_histograms.sums import Sum
from tests.metrics.native_histograms.builds import custom, exponential, exponential_histograms


@st.composite
def alike_in_shape(draw):
    schema = draw(st.integers(-4, 8))
    return [
        replace(one, schema=schema, zero_threshold=0.0, reset_hint=draw(st.sampled_from(ResetHint)))
        for one in draw(st.lists(exponential_histograms(), min_size=2, max_size=5))
    ]


@given(alike_in_shape())
def test_the_sum_of_a_matrix_is_the_sum_of_its_histograms(points):
    together = dense(points)
    assert together is not None
    gathering = Sum(points[0])
    for point in points[1:]:
        gathering.add(point)
    assert alike(gathering.result(compact=True), together.histogram(*together.total()), 1e-12, with_hint=True)


@given(alike_in_shape())
def test_resets_of_a_matrix_are_those_between_its_histograms(points):
    together = dense(points)
    assert together is not None
    told = [False, *(is_reset(after, before) for before, after in itertools.pairwise(points))]
    assert together.resets().tolist() == told


def test_different_shapes_and_endless_numbers_make_no_matrix():
    one = exponential(0, (1, 2))
    assert dense([one, exponential(1, (1, 2))]) is None
    assert dense([one, replace(one, zero_threshold=0.5)]) is None
    assert dense([one, replace(one, sum=np.inf)]) is None
    assert dense([one, replace(one, sum=np.nan)]) is None
    assert dense([custom((1, 2), (1, 1)), custom((1, 3), (1, 1))]) is None


def test_spans_that_differ_share_the_columns_of_all():
    together = dense([exponential(0, (1, 2)), exponential(0, (4, 0, 8), 1, negative=(3,))])
    assert together is not None
    total = together.histogram(*together.total())
    assert (positive_of(total), negative_of(total)) == ({0: 1.0, 1: 6.0, 3: 8.0}, {0: 3.0})
    assert total.count == 18.0
