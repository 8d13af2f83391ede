"""The verdict on an OpenMetrics page: every rule of the specification, or the reason why not.

The parser of the official Python client is the judge: it refuses all that the specification's own cases refuse, and
takes all that they take. It builds an object a sample, so whoever reads the same page again and again asks only when
its shape has changed (`Scan.shape`).
"""

from collections.abc import Iterator

from prometheus_client.openmetrics.parser import text_fd_to_metric_families

from metrics.wire.errors import TooLarge
from metrics.wire.exposition.forms import MAX_LINES, ExpositionError

# The parser looks back over backslashes for each quote and copies a line once a label.
MAX_LINE_BYTES = 32 << 10
MAX_BACKSLASHES = 64
MAX_ESCAPED_QUOTES = 20_000


class _Lines:
    """The lines of a page, counted while they are read."""

    def __init__(self, text: str) -> None:
        self.text, self.count = text, 0

    def __iter__(self) -> Iterator[str]:
        # Only a line feed ends a line here; str.splitlines knows a dozen more.
        parts = self.text.split("\n")
        last = parts.pop()
        for self.count, part in enumerate(parts, 1):
            yield f"{part}\n"
        if last:
            self.count += 1
            yield last


def _bounds(data: bytes) -> None:
    if data.count(b"\n") >= MAX_LINES:
        raise TooLarge(f"more than {MAX_LINES} lines on a page")
    if b"\\" * MAX_BACKSLASHES in data:
        raise ExpositionError(f"{MAX_BACKSLASHES} backslashes in a row")
    if data.count(b'\\"') > MAX_ESCAPED_QUOTES:
        raise TooLarge(f"more than {MAX_ESCAPED_QUOTES} escaped quotes on a page")
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        if end - start > MAX_LINE_BYTES:
            raise TooLarge(f"a line of more than {MAX_LINE_BYTES} bytes")
        start = end + 1
    if len(data) - start > MAX_LINE_BYTES:
        raise TooLarge(f"a line of more than {MAX_LINE_BYTES} bytes")


def check_openmetrics(data: bytes) -> None:
    """Return if a page follows OpenMetrics 1.0; raises ExpositionError with the line, or TooLarge."""
    _bounds(data)
    try:
        lines = _Lines(data.decode())
    except UnicodeDecodeError as error:
        raise ExpositionError(f"byte {error.start} is not UTF-8") from None
    try:
        for _ in text_fd_to_metric_families(lines):  # type: ignore[no-untyped-call]
            pass
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = str(error) if type(error) is ValueError and error.args else "not a line of OpenMetrics"
        raise ExpositionError(reason[:300], lines.count) from None
