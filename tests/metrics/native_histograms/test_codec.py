"""A histogram comes back from its bytes as it went in, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.native_histograms.codec import CorruptHistogram, decode, encode
from metrics.native_histograms.model import Histogram, ResetHint, Span

numbers = st.lists(st.floats(allow_nan=False), max_size=8).map(tuple)
spans = st.lists(st.builds(Span, st.integers(-1000, 1000), st.integers(0, 100)), max_size=4).map(tuple)
finite = st.floats(allow_nan=False)
histograms = st.builds(
    Histogram, st.integers(-53, 8), finite, finite, finite, finite, spans, numbers, spans, numbers, numbers,
    st.sampled_from(ResetHint),
)  # fmt: skip


@given(histograms)
def test_a_histogram_comes_back(histogram: Histogram) -> None:
    assert decode(encode(histogram)) == histogram


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptHistogram):
        decode(b"\x09" + data)


def test_a_cut_histogram_is_refused() -> None:
    data = encode(Histogram(0, 3.0, 4.0, positive_spans=(Span(0, 2),), positive=(1.0, 2.0)))
    with pytest.raises(CorruptHistogram):
        decode(data[:-1])
