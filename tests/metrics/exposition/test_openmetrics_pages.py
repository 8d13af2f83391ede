"""OpenMetrics: every rule of the specification."""

import json
import os
from pathlib import Path

import pytest

from metrics.wire.errors import TooLarge, WireError
from metrics.wire.exposition.forms import ExpositionError, Form
from metrics.wire.exposition.reading import read_page, stamped
from tests.conftest import PROJECT_DIR

CASES = (
    Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data") / "openmetrics-tests" / "cases.jsonl"
)
PAGE = b"""# TYPE served counter
# HELP served Requests.
served_total{path="/"} 17 1520879607.789 # {trace_id="KOO5S4vxi0o"} 0.67 1520879600
served_created{path="/"} 1.5e9 1520879607.789
# TYPE lag_seconds histogram
# UNIT lag_seconds seconds
lag_seconds_bucket{le="0.5"} 1 # {trace_id="x"} 0.3
lag_seconds_bucket{le="+Inf"} 1
lag_seconds_count 1
lag_seconds_sum 0.3
# EOF
"""


def test_a_page_with_exemplars_and_times_is_read() -> None:
    rows = read_page(PAGE, Form.OPENMETRICS)
    assert rows.values.tolist() == [17.0, 1.5e9, 1.0, 1.0, 1.0, 0.3]
    assert rows.timestamps_ms[0] == 1520879607789
    first, second = stamped(rows, 99).exemplars
    assert (first.series, first.labels, first.value, first.timestamp_ms) == (
        0, {"trace_id": "KOO5S4vxi0o"}, 0.67, 1520879600000,
    )  # fmt: skip
    assert (second.series, second.timestamp_ms) == (2, 99)
    assert [(m.family, m.type, m.unit) for m in rows.metadata] == [
        ("served", "counter", ""), ("lag_seconds", "histogram", "seconds"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [
        b"a 1\n", b"# EOF\na 1\n", b"\n# EOF\n", b"# TYPE a counter\na 1\n# EOF\n",
        b"# TYPE a counter\n# TYPE a counter\n# EOF\n", b"# UNIT a seconds\n# EOF\n", b"a  1\n# EOF\n",
        b"# TYPE a info\na_info 2\n# EOF\n", b"# TYPE a stateset\na 1\n# EOF\n", b"a 1\nb 1\na 2\n# EOF\n",
        b"# TYPE a gauge\na 1 # {b=\"c\"} 1\n# EOF\n", b"# TYPE a histogram\na_bucket{le=\"1\"} 1\n# EOF\n",
        b"a 1 NaN\n# EOF\n", b"a 1 2\na 1 1\n# EOF\n", b"# TYPE a summary\na{quantile=\"2\"} 1\n# EOF\n",
    ],
)  # fmt: skip
def test_a_page_that_breaks_a_rule_is_refused(page: bytes) -> None:
    with pytest.raises(ExpositionError):
        read_page(page, Form.OPENMETRICS)


def test_the_line_that_breaks_a_rule_is_named() -> None:
    with pytest.raises(ExpositionError, match=r"^line 2: "):
        read_page(b"a 1\n b 1\n# EOF\n", Form.OPENMETRICS)


def test_what_would_cost_the_parser_too_much_is_refused_before_it() -> None:
    with pytest.raises(TooLarge):
        read_page(b'a{b="' + b"x" * 40_000 + b'"} 1\n# EOF\n', Form.OPENMETRICS)
    with pytest.raises(ExpositionError, match="backslashes"):
        read_page(b'a{b="' + b"\\" * 128 + b'"} 1\n# EOF\n', Form.OPENMETRICS)
    with pytest.raises(TooLarge):
        read_page(b'a{b="\\"\\""} 1\n' * 20_001 + b"# EOF\n", Form.OPENMETRICS)


@pytest.mark.skipif(not CASES.exists(), reason="CORPORA_DIR has no openmetrics-tests")
def test_the_cases_of_the_specification_are_judged_as_they_say() -> None:
    wrong = []
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    for case in cases:
        try:
            read_page(case["text"].encode(), Form.OPENMETRICS)
        except WireError:
            found = False
        else:
            found = True
        if found != case["shouldParse"]:
            wrong.append(case["id"])
    assert len(cases) >= 100
    assert wrong == []
