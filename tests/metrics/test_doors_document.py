"""docs/bad-input.md is the table that the tests send; run this module with pytest and WRITE_DOCS=1 to write it."""

import os
from collections.abc import Sequence
from pathlib import Path

from metrics.ingest import refusals
from tests.forge.test_bad_input import BAD as PIPELINE_EVENTS
from tests.health.test_bad_input import BAD as HEALTH_RESULTS
from tests.metrics.test_doors_bad_input import NATIVE, REMOTE_WRITE, ROWS
from tests.security.test_bad_input import BAD as SECURITY_EVENTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"
INTRODUCTION = f"""# Bad input at the doors

What a sender gets back for what cannot be taken. Every row is a case of the tests: the input is sent, the status is
compared, and the words are looked for in the answer. No input may lead to a 5xx; random bytes are tried too. A refused
request is kept for the Setup page (the newest {refusals.KEPT:,}), with the reason and without its body.

Whatever the door: 401 without a valid token, 403 without the scope or a source, 405 for another method, 429 with
`Retry-After` beyond a rate, 503 with `Retry-After` while the database is away, 507 with `Retry-After` while its disk is
nearly full. The limits themselves are in [doors.md](doors.md).
"""
REMOTE = """
## `POST /api/v1/write` (Prometheus remote write 1 and 2)

Answers in plain text. A request whose good part was stored and whose bad part was not is answered 400 (429 where a
limit held it back) with the count of both. So is one with bad series, labels that cannot be read, histograms whose
buckets do not add up to their count, that have more than 1,000 buckets or break another rule of theirs, or exemplars
with labels of more than 128 characters: those are left out and named, the rest is stored.
"""
BATCHES = """
## `POST /api/v1/ingest/metrics` (JSON batches)

Answers `application/problem+json`; the words are in `detail`.
"""
ROW = """
### Rows of a batch

The batch is answered 200, its good rows are stored, and each bad row is named with its reason.
"""
KINDS = {"security-events": SECURITY_EVENTS, "pipeline-events": PIPELINE_EVENTS, "health-results": HEALTH_RESULTS}
KIND = """
## `POST /api/v1/ingest/{kind}`

A batch as a whole gets what one of `metrics` gets. Rows:
"""
REST = """
## `/api/console/v1/`

Every change is tried with each value of a proper body replaced by numbers beyond 64 bits, halves of surrogate pairs,
NUL, markup, nesting, long texts and wrong types; every route with ids of the wrong kind, other methods and senseless
words in the address. A body is JSON of at most 10 MB and 32 levels (413), without NaN (400); unknown and read-only
fields are refused with the field (400); an id of the wrong kind is not found (404).
"""


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|")


def _table(rows: Sequence[tuple[str, int, str]]) -> str:
    lines = [f"| {_cell(case)} | {status} | {_cell(words)} |" for case, status, words in rows]
    return "\n".join(["", "| input | status | words in the answer |", "|---|---|---|", *lines, ""])


def page() -> str:
    """Return the document."""
    remote = [(case[0], case[3], case[4]) for case in REMOTE_WRITE]
    native = [(case[0], case[3], case[4]) for case in NATIVE]
    rows = [(case, 200, words) for case, _, words in ROWS]
    metrics = REMOTE + _table(remote) + BATCHES + _table(native) + ROW + _table(rows)
    kinds = [
        KIND.format(kind=kind) + _table([(case, 200, words) for case, (_, words) in bad.items()])
        for kind, bad in KINDS.items()
    ]  # fmt: skip
    return INTRODUCTION + metrics + "".join(kinds) + REST


def test_the_page_of_doors_is_the_table_the_tests_send():
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run this test with WRITE_DOCS=1"
