"""Rates of native histograms: all windows of a series at once give what one after the other gives."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.native_histograms.equality import alike
from metrics.native_histograms.model import ResetHint
from metrics.native_histograms.resets import is_reset
from metrics.promql.annotations import Annotations
from metrics.promql.native.dense_rates import rates_at_once
from metrics.promql.native.extending import at_instant, extended
from metrics.promql.native.notes import Speaker
from metrics.promql.native.rates import Edges, Run, extrapolated
from tests.metrics.native_histograms.builds import custom, exponential

RANGE_MS = 300_000
COUNTS = st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=2, max_size=6)
HINTS = st.sampled_from((ResetHint.UNKNOWN, ResetHint.NO, ResetHint.YES))


def speaker():
    return Speaker(Annotations(), (0, 0), "h")


def run_of(points, times):
    resets = [False, *(is_reset(after, before) for before, after in itertools.pairwise(points))]
    return Run(points, resets, times)


@given(COUNTS, HINTS, st.booleans(), st.booleans(), st.integers(0, 200_000))
def test_windows_at_once_are_windows_one_by_one(counts, hint, counter, per_second, late_ms):
    points = [exponential(0, one, sum=sum(one) * 1.5, reset_hint=hint) for one in counts]
    times = [60_000 * place for place in range(len(points))]
    end = times[-1] + late_ms
    windows = (np.array([0]), np.array([len(points) - 1]), np.array([end]))
    found = rates_at_once(points, np.array(times), windows, (RANGE_MS, counter, per_second), speaker())
    assert found is not None
    single = extrapolated(run_of(points, times), Edges(end - RANGE_MS, end, counter, per_second), speaker())
    assert single is not None
    assert alike(replace(single, zero_count=0.0), replace(found[0], zero_count=0.0), 1e-9, with_hint=True)


def test_a_gauge_taken_for_a_counter_is_told_of():
    said = speaker()
    points = [exponential(0, (one,), reset_hint=ResetHint.GAUGE) for one in (1, 2, 3)]
    result = extrapolated(run_of(points, [0, 60_000, 120_000]), Edges(-60_000, 120_000, True, False), said)
    assert result is not None
    assert said.warnings == ['this native histogram metric is not a counter: "h"'] * 2


def test_a_mix_of_bounds_has_no_rate_but_before_a_reset_anything_may_be():
    said = speaker()
    mixed = [exponential(0, (1,)), exponential(0, (2,)), custom((1,), (3, 4))]
    edges = Edges(-60_000, 120_000, True, False)
    assert extrapolated(run_of(mixed, [0, 60_000, 120_000]), edges, said) is None
    assert "exponential and custom" in said.warnings[0]
    fine = [exponential(0, (1,)), custom((1,), (1, 1)), custom((1,), (3, 4))]
    result = extrapolated(run_of(fine, [0, 60_000, 120_000]), edges, speaker())
    assert result is not None
    assert result.is_custom


def test_a_smoothed_rate_meets_a_reset_at_its_left_edge_once():
    points = [exponential(0, (one,)) for one in (10, 2, 6)]
    run = run_of(points, [0, 60_000, 120_000])
    grown = extended(run, Edges(30_000, 120_000, True, False), speaker(), smoothed=True)
    # At the edge the counter is taken to have grown from zero to one.
    assert grown is not None
    assert grown.count == pytest.approx(5)
    anchored = extended(run, Edges(30_000, 120_000, True, False), speaker(), smoothed=False)
    assert anchored is not None
    assert anchored.count == pytest.approx(6)


def test_between_two_samples_a_histogram_is_in_proportion():
    run = run_of([exponential(0, (2,)), exponential(0, (6,))], [0, 60_000])
    middle = at_instant(run, 30_000, speaker())
    assert middle is not None
    assert middle.count == 4
    assert at_instant(run, -1, speaker()) is None
    assert at_instant(run, 60_000, speaker()) == run.points[1]
    assert at_instant(run, 90_000, speaker()) == run.points[1]
    said = speaker()
    assert at_instant(run_of([exponential(0, (2,)), custom((1,), (9, 9))], [0, 60_000]), 1, said) is None
    assert len(said.warnings) <= 1
