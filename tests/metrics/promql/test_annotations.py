"""What an answer says besides its values."""

import pytest

from metrics.native_histograms.text import general
from metrics.promql.annotations import Annotations, cut_to_most, position
from metrics.promql.engine import evaluate
from metrics.promql.memory import MemorySource
from tests.metrics.promql.test_kernels import columns_of


def test_a_text_is_said_once_with_the_last_place():
    notes = Annotations()
    notes.warn("odd", (0, 1))
    notes.warn("odd", (5, 6))
    notes.inform("perhaps", (2, 3))
    assert notes.shown("a +\nb + c") == (["PromQL warning: odd (2:2)"], ["PromQL info: perhaps (1:3)"])


def test_columns_are_bytes():
    assert position("é + x", (4, 5)) == "1:6"


def test_an_answer_shows_ten_and_says_how_many_more():
    assert cut_to_most(["x"] * 10, "info") == ["x"] * 10
    assert cut_to_most(["x"] * 12, "info") == ["x"] * 10 + ["2 more info annotations omitted"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e6, "1e+06"), (-1234567.0, "-1.234567e+06"), (0.5, "0.5"), (1e-5, "1e-05"), (float("nan"), "NaN"), (0.0, "0")],
)
def test_numbers_in_messages_read_as_in_prometheus(value, text):
    assert general(value) == text


@pytest.mark.parametrize(("q", "said"), [("2", "2"), ("-0.5", "-0.5"), ("NaN", "NaN")])
def test_a_quantile_out_of_range_is_warned_of(q, said):
    source = MemorySource(columns_of([[(0, 1.0)]]))
    answer = evaluate(f'quantile({q}, {{i="0"}})', start_ms=0, end_ms=0, step_ms=0, source=source)
    assert len(answer.warnings) == 1
    assert answer.warnings[0].startswith(f"PromQL warning: quantile value should be between 0 and 1, got {said} (")
    assert answer.infos == []
