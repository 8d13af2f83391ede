"""Delimited MetricFamily messages."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.native_histograms.codec import decode
from metrics.native_histograms.model import Span
from metrics.wire.errors import WireError
from metrics.wire.exposition.forms import ExpositionError, Form
from metrics.wire.exposition.protobuf import _FAMILY
from metrics.wire.exposition.reading import read_page
from tests.conftest import PROJECT_DIR

CORPUS = (
    Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data") / "exposition-testdata" / "expfmt"
)


def delimited(family: Any) -> bytes:
    body = family.SerializeToString()
    size, prefix = len(body), b""
    while size > 127:
        prefix, size = prefix + bytes([size & 127 | 128]), size >> 7
    return bytes(prefix + bytes([size]) + body)


def sparse() -> Any:
    family = _FAMILY(name="lag_seconds", type=4, help="How long.", unit="seconds")
    metric = family.metric.add(timestamp_ms=1234)
    metric.label.add(name="path", value="/")
    histogram = metric.histogram
    histogram.sample_count, histogram.sample_sum, histogram.schema = 9, 18.4, 3
    histogram.zero_threshold, histogram.zero_count = 0.001, 2
    histogram.positive_span.add(offset=0, length=2)
    histogram.positive_span.add(offset=1, length=1)
    histogram.positive_delta.extend([1, 1, 2])
    bucket = histogram.bucket.add(upper_bound=1.0, cumulative_count=5)
    bucket.exemplar.value = 0.7
    bucket.exemplar.label.add(name="trace_id", value="abc")
    return family


def test_a_native_histogram_keeps_its_buckets_and_exemplars() -> None:
    rows = read_page(delimited(sparse()), Form.PROTOBUF)
    assert rows.labels == [{"__name__": "lag_seconds", "path": "/"}]
    assert (rows.values.tolist(), rows.timestamps_ms.tolist()) == ([9.0], [1234])
    assert rows.histograms is not None
    histogram = decode(rows.histograms[0])
    assert (histogram.schema, histogram.positive, histogram.positive_spans) == (
        3, (1.0, 2.0, 4.0), (Span(0, 2), Span(1, 1)),
    )  # fmt: skip
    assert (histogram.zero_count, histogram.sum) == (2.0, 18.4)
    assert [(e.series, e.labels) for e in rows.exemplars] == [(0, {"trace_id": "abc"})]
    assert [(m.type, m.unit, m.help) for m in rows.metadata] == [("histogram", "seconds", "How long.")]


def test_classic_buckets_are_kept_beside_native_ones_where_asked() -> None:
    rows = read_page(delimited(sparse()), Form.PROTOBUF, classic=True)
    assert [labels.get("le", labels["__name__"]) for labels in rows.labels] == [
        "lag_seconds", "lag_seconds_sum", "lag_seconds_count", "1.0", "+Inf",
    ]  # fmt: skip


def test_spans_that_do_not_fit_are_refused() -> None:
    family = sparse()
    family.metric[0].histogram.positive_delta.append(1)
    with pytest.raises(ExpositionError, match="lag_seconds: positive side: spans need 3 buckets, have 4"):
        read_page(delimited(family), Form.PROTOBUF)


def test_buckets_that_do_not_add_up_to_the_count_are_refused() -> None:
    family = sparse()
    family.metric[0].histogram.sample_count = 10
    with pytest.raises(ExpositionError, match="hold 9 observations, its count says 10"):
        read_page(delimited(family), Form.PROTOBUF)


def test_a_body_that_is_cut_is_refused() -> None:
    body = delimited(sparse())
    for end in range(1, len(body)):
        with pytest.raises(WireError):
            read_page(body[:end], Form.PROTOBUF)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        rows = read_page(data, Form.PROTOBUF)
    except WireError:
        return
    assert len(rows.labels) == rows.values.size


@pytest.mark.skipif(not CORPUS.exists(), reason="CORPORA_DIR has no exposition-testdata")
def test_the_text_and_the_protobuf_form_of_one_page_are_the_same_rows() -> None:
    def rows_of(name: str, form: Form) -> list[tuple[Any, str]]:
        rows = read_page((CORPUS / name).read_bytes(), form)
        return sorted((sorted(lb.items()), repr(v)) for lb, v in zip(rows.labels, rows.values.tolist(), strict=True))

    assert rows_of("text", Form.TEXT) == rows_of("protobuf", Form.PROTOBUF)
    assert len(rows_of("protobuf-multimessage", Form.PROTOBUF)) > 0
