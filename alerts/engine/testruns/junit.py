"""Reads JUnit XML as it streams by: a document with a DTD is refused, so there are no entities to expand."""

from datetime import datetime
from math import isfinite
from typing import Any
from xml.parsers import expat

from alerts.engine.testruns.names import split_class
from alerts.engine.testruns.outcomes import MOST_TESTS, BadReport, Outcome, Report, TestCase, report_of, worst

DEEPEST = 20
LONGEST_MESSAGE = 400
CHUNK_BYTES = 1 << 16
STRICT = "[XPASS(strict)]"
COLLECTION = "collection failure"
LONGEST_SECONDS = 30 * 86_400


class _Reader:
    """What is collected while the elements go by."""

    def __init__(self) -> None:
        self.cases: list[TestCase] = []
        self.seen_suite = False
        self.seconds: float | None = None
        self.at: float | None = None
        self._open: list[str] = []
        self._case: dict[str, str] | None = None
        self._outcome = Outcome.PASSED
        self._text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        if len(self._open) >= DEEPEST:
            raise BadReport(f"The XML is nested deeper than {DEEPEST} levels.")
        if name == "testsuite" and "testsuite" not in self._open:
            self._suite(attributes)
        elif name == "testcase":
            self._case, self._outcome = attributes, Outcome.PASSED
        elif self._case is not None and name in ("failure", "error", "skipped"):
            self._text = [attributes.get("message", ""), attributes.get("type", "")]
        self._open.append(name)
        self.seen_suite = self.seen_suite or name in ("testsuite", "testsuites")

    def _suite(self, attributes: dict[str, str]) -> None:
        seconds = _seconds(attributes.get("time", ""))
        if seconds is not None:
            self.seconds = (self.seconds or 0.0) + seconds
        if self.at is None:
            self.at = _moment(attributes.get("timestamp", ""))

    def text(self, text: str) -> None:
        """Take text, of which only the beginning counts."""
        if self._case is not None and len(self._text) < 6:
            self._text.append(text[:LONGEST_MESSAGE])

    def end(self, name: str) -> None:
        """Take the end of an element."""
        self._open.pop()
        if self._case is None:
            return
        if name in ("failure", "error"):
            self._outcome = worst(_outcome(name, self._text), self._outcome)
        elif name == "skipped" and self._outcome is Outcome.PASSED:
            self._outcome = _skipped(self._text)
        elif name == "testcase":
            self._close(self._case)
            self._case = None

    def _close(self, case: dict[str, str]) -> None:
        if len(self.cases) >= MOST_TESTS:
            raise BadReport(f"More than {MOST_TESTS} tests: send a report per part.")
        module, name = split_class(case.get("classname", ""), case.get("name", ""), case.get("file", ""))
        if self._outcome is Outcome.COLLECTION_ERROR and not case.get("classname"):
            module = name
        if name:
            self.cases.append(TestCase(name, module, self._outcome, _seconds(case.get("time", ""))))


def _outcome(name: str, said: list[str]) -> Outcome:
    if name == "failure":
        return Outcome.XPASSED_STRICT if any(STRICT in text for text in said) else Outcome.FAILED
    return Outcome.COLLECTION_ERROR if said[0].startswith(COLLECTION) else Outcome.ERROR


def _skipped(said: list[str]) -> Outcome:
    return Outcome.XFAILED if said[1] == "pytest.xfail" else Outcome.SKIPPED


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return None
    return seconds if isfinite(seconds) and 0 <= seconds <= LONGEST_SECONDS else None


def _moment(text: str) -> float | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Without a zone it is the sender's wall clock, which nobody here knows.
    return at.timestamp() if at.tzinfo else None


def _refuse_dtd(*_declared: Any) -> None:
    raise BadReport("The XML brings a document type (DTD), which no JUnit report needs; entities are not expanded.")


def read_junit(body: bytes) -> Report:
    """Return the report of a JUnit XML file; raises BadReport."""
    reader, parser = _Reader(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse_dtd
    try:
        for start in range(0, len(body), CHUNK_BYTES):
            parser.Parse(body[start : start + CHUNK_BYTES], False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise BadReport(f"The body is not XML: {error}.") from None
    except LookupError:
        raise BadReport("The XML names an encoding nobody knows; send UTF-8.") from None
    if not reader.seen_suite:
        raise BadReport("The XML has no <testsuite>: it is no JUnit report.")
    return report_of("junit", reader.cases, duration_seconds=reader.seconds, at=reader.at)
