"""A file of unit tests, read strictly."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import yaml

from alerts.engine.prometheus.documents import Mistake, Reading, first_document

FILE_FIELDS = ("rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare")
TEST_FIELDS = (
    "interval", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url", "name",
    "start_timestamp",
)  # fmt: skip
MINUTE_MS = 60_000
# Times after the year 9999 are mistakes; Prometheus' own bound is a little wider.
LATEST_SECONDS = 253_402_300_799
SECONDS = re.compile(r"[-+]?\d{1,15}(\.\d{1,9})?([eE]\+?\d{1,2})?")  # noqa: TID251 - our own constant, linear


@dataclass(frozen=True, slots=True)
class InputSeries:
    """A series and its samples, as they are written."""

    series: str
    values: str


@dataclass(frozen=True, slots=True)
class ExpectedAlert:
    """The labels and annotations of an alert that fires."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AlertCase:
    """Which alerts of a name fire at a time."""

    eval_ms: int
    alertname: str
    expected: Sequence[ExpectedAlert]


@dataclass(frozen=True, slots=True)
class ExpectedSample:
    """One row of an answer; a histogram takes the place of the value."""

    labels: str
    value: float
    histogram: str


@dataclass(frozen=True, slots=True)
class QueryCase:
    """What a query answers at a time."""

    expr: str
    eval_ms: int
    expected: Sequence[ExpectedSample]


@dataclass(frozen=True, slots=True)
class TestGroup:
    """Samples, and what follows from them."""

    name: str
    interval_ms: int
    start_ms: int
    series: Sequence[InputSeries]
    alerts: Sequence[AlertCase]
    queries: Sequence[QueryCase]
    external_labels: Mapping[str, str]
    external_url: str

    @property
    def cases(self) -> int:
        """Return how many things are asserted; a group that asserts nothing asserts that its rules can be evaluated."""
        return (len(self.alerts) + len(self.queries)) or 1


@dataclass(slots=True)
class TestFile:
    """What a file holds, and what is wrong with it."""

    rule_files: list[str] = field(default_factory=list)
    interval_ms: int = MINUTE_MS
    fuzzy: bool = False
    order: list[str] = field(default_factory=list)
    tests: list[TestGroup] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


def read_test_file(content: str | bytes) -> TestFile:
    """Read a file of unit tests; mistakes are collected, not raised."""
    root, mistakes = first_document(content)
    if mistakes:
        return TestFile(mistakes=mistakes)
    reading = Reading()
    given = reading.fields(root, "a test file", FILE_FIELDS)
    found = TestFile(
        rule_files=[reading.text(node) for node in reading.items(given.get("rule_files"), "files")],
        interval_ms=reading.duration_ms(given.get("evaluation_interval")) or MINUTE_MS,
        fuzzy=reading.truth(given.get("fuzzy_compare")),
        order=[reading.text(node) for node in reading.items(given.get("group_eval_order"), "groups")],
    )
    tests = reading.items(given.get("tests"), "tests")
    found.tests = [_test(reading, node, found.interval_ms) for node in tests]
    repeated = next((name for place, name in enumerate(found.order) if name in found.order[:place]), None)
    if repeated is not None:
        reading.mistakes.append(Mistake(f"group name repeated in evaluation order: {repeated}"))
    found.mistakes = reading.mistakes
    return found


def _test(reading: Reading, node: yaml.Node, interval_ms: int) -> TestGroup:
    given = reading.fields(node, "a test", TEST_FIELDS)
    return TestGroup(
        name=reading.text(given.get("name")),
        interval_ms=reading.duration_ms(given.get("interval")) or interval_ms,
        start_ms=_moment_ms(reading, given.get("start_timestamp")),
        series=[_series(reading, one) for one in reading.items(given.get("input_series"), "series")],
        alerts=[_alert_case(reading, one) for one in reading.items(given.get("alert_rule_test"), "alert tests")],
        queries=[_query_case(reading, one) for one in reading.items(given.get("promql_expr_test"), "query tests")],
        external_labels=reading.texts(given.get("external_labels"), "labels"),
        external_url=reading.text(given.get("external_url")),
    )


def _moment_ms(reading: Reading, node: yaml.Node | None) -> int:
    """Return Unix seconds or a time of RFC 3339 in milliseconds."""
    text = reading.text(node)
    if node is None or not text:
        return 0
    try:
        seconds = float(text) if SECONDS.fullmatch(text) else _parsed(text)
        if not 0 <= seconds <= LATEST_SECONDS:
            raise ValueError(text)
    except ValueError:
        reading.wrong(node, f'cannot parse "{text}" to a valid timestamp: write Unix seconds or 2024-01-01T00:00:00Z')
        return 0
    return round(seconds * 1000)


def _parsed(text: str) -> float:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or "T" not in text:
        raise ValueError(text)
    return at.astimezone(UTC).timestamp()


def _series(reading: Reading, node: yaml.Node) -> InputSeries:
    given = reading.fields(node, "a series", ("series", "values"))
    return InputSeries(reading.text(given.get("series")), reading.text(given.get("values")))


def _alert_case(reading: Reading, node: yaml.Node) -> AlertCase:
    given = reading.fields(node, "an alert test", ("eval_time", "alertname", "exp_alerts"))
    expected = []
    for one in reading.items(given.get("exp_alerts"), "alerts"):
        alert = reading.fields(one, "an expected alert", ("exp_labels", "exp_annotations"))
        expected.append(
            ExpectedAlert(
                reading.texts(alert.get("exp_labels"), "labels"),
                reading.texts(alert.get("exp_annotations"), "annotations"),
            )
        )
    eval_ms = reading.duration_ms(given.get("eval_time")) or 0
    return AlertCase(eval_ms, reading.text(given.get("alertname")), expected)


def _query_case(reading: Reading, node: yaml.Node) -> QueryCase:
    given = reading.fields(node, "a query test", ("expr", "eval_time", "exp_samples"))
    expected = []
    for one in reading.items(given.get("exp_samples"), "samples"):
        sample = reading.fields(one, "an expected sample", ("labels", "value", "histogram"))
        expected.append(
            ExpectedSample(
                reading.text(sample.get("labels")),
                reading.number(sample.get("value")),
                reading.text(sample.get("histogram")),
            )
        )
    eval_ms = reading.duration_ms(given.get("eval_time")) or 0
    return QueryCase(reading.text(given.get("expr")), eval_ms, expected)
