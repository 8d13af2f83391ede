"""Histograms for tests, written short or drawn at random."""

from hypothesis import strategies as st

from metrics.native_histograms.bounds import exponential_bound
from metrics.native_histograms.layout import spans_of
from metrics.native_histograms.model import CUSTOM_SCHEMA, Histogram, ResetHint, Span

ALL_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def exponential(schema=0, buckets=(), offset=0, **more):
    """Return an exponential histogram whose count is that of its buckets."""
    negative, negative_offset = more.pop("negative", ()), more.pop("negative_offset", 0)
    zeros = more.get("zero_count", 0)
    return Histogram(
        schema,
        float(more.pop("count", sum(buckets) + sum(negative) + zeros)),
        float(more.pop("sum", 0.0)),
        positive_spans=(Span(offset, len(buckets)),) if buckets else (),
        positive=tuple(float(one) for one in buckets),
        negative_spans=(Span(negative_offset, len(negative)),) if negative else (),
        negative=tuple(float(one) for one in negative),
        **more,
    )


def custom(bounds, buckets, offset=0, **more):
    """Return a histogram with listed bounds."""
    return exponential(CUSTOM_SCHEMA, buckets, offset, custom_values=tuple(float(one) for one in bounds), **more)


@st.composite
def sides(draw, schema, threshold, *, most=60):
    """Draw spans beyond the bucket around zero with counts that are whole numbers, some of them zero."""
    buckets = draw(st.dictionaries(st.integers(-most, most), st.integers(0, 1000), max_size=12))
    indices = tuple(index for index in sorted(buckets) if exponential_bound(index - 1, schema) >= threshold)
    return spans_of(indices), tuple(float(buckets[index]) for index in indices)


@st.composite
def exponential_histograms(draw):
    """Draw an exponential histogram."""
    schema, threshold = draw(st.integers(-4, 8)), draw(st.sampled_from((0.0, 2.0**-128, 0.001, 0.5, 1.0)))
    positive_spans, positive = draw(sides(schema, threshold))
    negative_spans, negative = draw(sides(schema, threshold))
    zeros = float(draw(st.integers(0, 100)))
    return Histogram(
        schema, zeros + sum(positive) + sum(negative), float(draw(st.integers(-1000, 1000))), threshold, zeros,
        positive_spans, positive, negative_spans, negative, reset_hint=draw(st.sampled_from(ResetHint)),
    )  # fmt: skip


@st.composite
def custom_histograms(draw):
    """Draw a histogram with listed bounds."""
    bounds = tuple(sorted(draw(st.sets(st.sampled_from(ALL_BOUNDS), max_size=5))))
    counts = draw(st.lists(st.integers(0, 1000), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return custom(bounds, counts, sum=float(draw(st.integers(0, 1000))))
