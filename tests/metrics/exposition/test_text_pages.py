"""Text pages to rows."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from metrics.wire.exposition import kernels
from metrics.wire.exposition.forms import NO_TIMESTAMP, ExpositionError, Form, form_of
from metrics.wire.exposition.naming import canonical, series_of
from metrics.wire.exposition.page import PrefixTable, scan
from metrics.wire.exposition.reading import read_page, stamped
from tests.conftest import PROJECT_DIR

CORPUS = Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data") / "exposition-testdata"
PAGE = b"""# HELP requests_total Served \\\\ and\\nanswered.
# TYPE requests_total counter
requests_total{code="200",path="/a\\"b\\\\c\\n"} 1027 1395066363000
requests_total {code = "400" , } 3
\tup\t1
# just a remark
# TYPE lag_seconds histogram
lag_seconds_bucket{le="1"} 2
lag_seconds_bucket{le="+Inf"} 3
lag_seconds_sum 1.5e-3
lag_seconds_count 3
{"my.metric","a.label"="x"} NaN
"""


def test_a_page_becomes_labels_values_and_times() -> None:
    rows = read_page(PAGE, Form.TEXT)
    assert rows.labels == [
        {"__name__": "requests_total", "code": "200", "path": '/a"b\\c\n'},
        {"__name__": "requests_total", "code": "400"},
        {"__name__": "up"},
        {"__name__": "lag_seconds_bucket", "le": "1.0"},
        {"__name__": "lag_seconds_bucket", "le": "+Inf"},
        {"__name__": "lag_seconds_sum"},
        {"__name__": "lag_seconds_count"},
        {"__name__": "my.metric", "a.label": "x"},
    ]
    assert rows.values.tolist()[:7] == [1027.0, 3.0, 1.0, 2.0, 3.0, 0.0015, 3.0]
    assert math.isnan(rows.values[7])
    assert rows.timestamps_ms.tolist() == [1395066363000] + [NO_TIMESTAMP] * 7
    assert [(m.family, m.type, m.help) for m in rows.metadata] == [
        ("requests_total", "counter", "Served \\ and\nanswered."),
        ("lag_seconds", "histogram", ""),
    ]


def test_rows_without_a_time_get_the_one_of_the_scrape() -> None:
    assert stamped(read_page(b"a 1 5\nb 2\n", Form.TEXT), 77).timestamps_ms.tolist() == [5, 77]


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (b"ok 1\na\n", "line 2: the value is missing"),
        (b"a{b=\"c\" 1\n", "line 1: a brace or a quote is not closed"),
        (b"a{b=c} 1\n", "without quotes"),
        (b"a{b=\"c\",b=\"d\"} 1\n", "given twice"),
        (b"a one\n", "'one' is not a number"),
        (b"a 1_000\n", "not a number"),
        (b"a 0x10\n", "not a number"),
        (b"a 1 1.5\n", "whole number of milliseconds"),
        (b"a 1 2 3\n", "stands behind"),
        (b"a 1 # {} 1\n", "stands behind"),
        (b"1a 1\n", "expected '{' at place 1"),
        (b"a-b 1\n", "expected '{'"),
        (b"a{} x 1\n", "not a number"),
        (b"{b=\"c\"} 1\n", "the metric name is missing"),
        (b"a{\"b\"} 1\n", "named twice"),
        (b"a{b=\"c\"}d 1\n", "'d' is not a number"),
        (b"# TYPE a sparkline\na 1\n", "not a type of metric"),
        (b"# TYPE {} gauge\n", "without the name"),
        (b"a{b=\"\xff\"} 1\n", "not UTF-8"),
        (b"a 1\r\n", "not a number"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(page: bytes, reason: str) -> None:
    with pytest.raises(ExpositionError, match=r"line \d+") as error:
        read_page(page, Form.TEXT)
    assert reason in str(error.value)


@given(st.floats(), st.sampled_from(["{!r}", "{:.3f}", "{:e}", "{:g}", "+{!r}"]))
def test_numbers_are_read_as_python_reads_them(value: float, shape: str) -> None:
    text = shape.format(value).replace("+-", "-").encode()
    found = read_page(b"a " + text + b"\n", Form.TEXT).values[0]
    assert np.float64(found).tobytes() == np.float64(float(text)).tobytes() or math.isnan(value)


@given(st.binary(max_size=60))
def test_the_walk_stays_within_any_bytes(data: bytes) -> None:
    try:
        rows = read_page(data, Form.TEXT)
    except ExpositionError:
        return
    assert len(rows.labels) == rows.values.size


@given(st.text(alphabet='a{}",=\\ #1.e-\n', max_size=40))
def test_the_walk_finds_the_rows_a_plain_reading_finds(text: str) -> None:
    data = text.encode()
    lines = [line for line in text.split("\n") if line.strip(" \t") and not line.strip(" \t").startswith("#")]
    try:
        page = scan(data, PrefixTable(), openmetrics=False)
    except ExpositionError:
        return
    assert page.values.size == len(lines)
    for row, line in enumerate(lines):
        assert line.lstrip(" \t").encode().startswith(page.series_text(row))


def test_a_known_page_is_known_again_and_its_shape_is_the_same_while_only_values_change() -> None:
    table = PrefixTable()
    first = scan(PAGE, table, openmetrics=False)
    table.add(first.low, first.high, np.arange(first.values.size))
    again = scan(PAGE.replace(b"1027", b"1028"), table, openmetrics=False)
    assert first.places.tolist() == [-1] * 8
    assert again.places.tolist() == list(range(8))
    assert again.shape == first.shape
    assert scan(PAGE.replace(b"/a", b"/b"), table, openmetrics=False).shape != first.shape


def test_a_table_keeps_what_it_knows_when_it_grows() -> None:
    table = PrefixTable()
    for start in range(0, 1000, 100):
        page = scan(b"".join(b"m%d 1\n" % n for n in range(start, start + 100)), table, openmetrics=False)
        table.add(page.low, page.high, np.arange(start, start + 100))
    page = scan(b"".join(b"m%d 1\n" % n for n in range(1000)), table, openmetrics=False)
    assert page.places.tolist() == list(range(1000))


@pytest.mark.parametrize(
    ("bound", "text"),
    [("1", "1.0"), ("0.5", "0.5"), ("1e6", "1e+06"), ("123456", "123456.0"), ("1234567", "1.234567e+06"), ("0", "0.0"),
     ("1e-5", "1e-05"), ("0.0001", "0.0001"), ("+inf", "+Inf"), ("-1", "-1.0"), ("nan", "NaN"), ("100", "100.0"),
     ("", ""), ("x", "x")],
)  # fmt: skip
def test_bounds_have_one_spelling(bound: str, text: str) -> None:
    assert canonical(bound) == text


@pytest.mark.parametrize(
    ("content_type", "form"),
    [("text/plain; version=0.0.4; charset=utf-8", Form.TEXT), ("text/plain", Form.TEXT),
     ("application/openmetrics-text; version=1.0.0", Form.OPENMETRICS), ("text/html", None), ("", None),
     ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", Form.PROTOBUF),
     ("application/vnd.google.protobuf", None)],
)  # fmt: skip
def test_the_content_type_names_the_form(content_type: str, form: Form | None) -> None:
    assert form_of(content_type) is form


def test_a_quoted_name_may_hold_anything_but_nothing() -> None:
    assert series_of('{"größe.x y"}'.encode()) == {"__name__": "größe.x y"}
    with pytest.raises(ExpositionError):
        series_of(b'{""}')


def test_the_compiled_number_says_when_it_is_not_sure() -> None:
    for text in (b"NaN", b"1e400", b"12345678901234567890", b"1e", b"", b"-", b"1.2.3"):
        assert kernels.number(np.frombuffer(text + b" ", np.uint8), 0, len(text))[1] == kernels.SLOW


@pytest.mark.skipif(not CORPUS.exists(), reason="CORPORA_DIR has no exposition-testdata")
def test_real_pages_are_read_as_the_official_client_reads_them() -> None:
    paths = [*CORPUS.glob("node_exporter/*.txt"), *CORPUS.glob("textparse/*.prom.txt"), CORPUS / "expfmt" / "text"]
    assert len(paths) > 9
    for path in paths:
        rows = read_page(path.read_bytes(), Form.TEXT)
        known = [s for f in text_string_to_metric_families(path.read_text()) for s in f.samples]
        assert len(known) == len(rows.labels), path
        for sample, labels, value in zip(known, rows.labels, rows.values.tolist(), strict=True):
            bounds = {k: canonical(v) for k, v in sample.labels.items() if k in ("le", "quantile")}
            ours = {k: canonical(v) if k in bounds else v for k, v in labels.items()}
            assert ours == {"__name__": sample.name, **sample.labels, **bounds}
            assert value == float(sample.value) or math.isnan(value)
