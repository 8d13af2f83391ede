"""Runs the tests of a file over its rules."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alerts.engine.prometheus.asking import Ask, asking
from alerts.engine.prometheus.evaluating import ALERT_NAME, RunningGroup
from alerts.engine.prometheus.rule_files import FileGroup
from alerts.engine.prometheus.shelf import Shelf
from alerts.engine.prometheus.spelling import duration_text
from alerts.engine.prometheus.unit_tests.files import AlertCase, ExpectedSample, QueryCase, TestFile, TestGroup
from alerts.engine.prometheus.unit_tests.showing import (
    Told,
    indented,
    shown_alerts,
    shown_histogram,
    shown_labels,
    shown_number,
)
from alerts.engine.templates.formatting import quoted
from alerts.engine.templates.times import span_text
from alerts.engine.templates.values import Sample, Span
from metrics.native_histograms.model import Histogram
from metrics.promql.scripts.durations import BadScript
from metrics.promql.scripts.series import labels_of, points_of, series_of
from metrics.promql.types import QueryError

# How often the groups of one test may be evaluated.
MOST_STEPS = 200_000
INSET = "            "
Row = tuple[list[tuple[str, str]], float, str]


@dataclass(slots=True)
class Outcome:
    """What became of one test: how many of its cases hold, and what is wrong with the others."""

    name: str
    cases: int
    failed: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Say whether all is well."""
        return not self.errors

    @property
    def passed(self) -> int:
        """Return how many cases hold."""
        return self.cases - self.failed


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a test file, or why they cannot be had."""

    groups: Sequence[FileGroup] = ()
    errors: Sequence[str] = ()


def run_tests(file: TestFile, rules: Rules, chosen: Sequence[int], *, experimental: bool = False) -> Iterator[Outcome]:
    """Run the chosen tests of a file, one after the other."""
    order = {name: place for place, name in enumerate(file.order)}
    groups = sorted(rules.groups, key=lambda group: order.get(group.name, 0))
    for place in chosen:
        test = file.tests[place]
        outcome = Outcome(test.name or f"unnamed#{place}", test.cases)
        if rules.errors:
            outcome.errors, outcome.failed = list(rules.errors), test.cases
        else:
            _Run(file, test, groups, outcome, experimental=experimental).all()
        yield outcome


class _Run:
    """One test, from its samples to its outcome."""

    def __init__(
        self, file: TestFile, test: TestGroup, groups: Sequence[FileGroup], outcome: Outcome, *, experimental: bool
    ) -> None:
        self.file, self.test, self.outcome = file, test, outcome
        self.shelf = Shelf()
        self.ask: Ask = asking(self.shelf, subquery_step_ms=file.interval_ms, experimental=experimental)
        self.groups = [
            RunningGroup.of(group, external_labels=test.external_labels, external_url=test.external_url)
            for group in groups
        ]
        times = [case.eval_ms for case in test.alerts] + [case.eval_ms for case in test.queries]
        self.last_ms = max([0, *times])

    def stop(self, *errors: str) -> None:
        """Fail everything."""
        self.outcome.errors += errors
        self.outcome.failed = self.outcome.cases

    def fail(self, error: str) -> None:
        """Fail one case."""
        self.outcome.errors.append(error)
        self.outcome.failed += 1

    def all(self) -> None:
        """Load, evaluate and compare."""
        problem = self.load() or self.unnamed()
        if problem:
            self.stop(problem)
            return
        if self.last_ms // self.file.interval_ms > MOST_STEPS:
            self.stop(
                f"    the rules would be evaluated more than {MOST_STEPS} times; use a longer evaluation_interval"
            )
            return
        waiting = sorted(self.test.alerts, key=lambda case: case.eval_ms)
        for since_ms in range(0, self.last_ms + 1, self.file.interval_ms):
            if not self.step(self.test.start_ms + since_ms):
                return
            while waiting and since_ms <= waiting[0].eval_ms < since_ms + self.file.interval_ms:
                self.judge_alerts(waiting.pop(0))
        self.shelf.advance()
        for case in self.test.queries:
            self.judge_query(case)

    def load(self) -> str:
        """Put the input series on the shelf; return what is wrong with them."""
        for given in self.test.series:
            try:
                series = series_of(f"{given.series} {given.values}")
            except BadScript as problem:
                return f"    input series {given.series} cannot be read: {problem}"
            times = (self.test.start_ms + place * self.test.interval_ms for place in range(len(series.points)))
            samples = [(at, point) for at, point in zip(times, series.points, strict=True) if not point.omitted]
            self.shelf.expect(series.labels, samples)
        return ""

    def unnamed(self) -> str:
        """Return which alert test says not what it is about."""
        for case in self.test.alerts:
            if not case.alertname:
                where = f" (in TestGroup {self.test.name})" if self.test.name else ""
                at = duration_text(case.eval_ms)
                return f"an item under alert_rule_test misses required attribute alertname at eval_time {at}{where}"
        return ""

    def step(self, at_ms: int) -> bool:
        """Evaluate all groups once; return whether they could be."""
        problem = self.shelf.advance(at_ms)
        if problem:
            self.outcome.errors.append(f"    input series: {problem}")
            self.outcome.failed = self.outcome.cases
            return False
        problems = [found for group in self.groups for found in group.evaluate(self.ask, self.shelf, at_ms)]
        if problems:
            at = span_text(Span(at_ms * 1_000_000))
            self.stop(*(f"    rule: {name}, time: {at}, err: {text}" for name, text in problems))
        return not problems

    # Alerts.

    def judge_alerts(self, case: AlertCase) -> None:
        """Compare which alerts fire."""
        expected = _sorted([({**one.labels, ALERT_NAME: case.alertname}, one.annotations) for one in case.expected])
        rules = [rule for group in self.groups for rule in group.alerting if rule.name == case.alertname]
        got = _sorted([(alert.labels, alert.annotations) for rule in rules for alert in rule.firing])
        if expected == got:
            return
        name = f"    name: {self.test.name},\n" if self.test.name else ""
        self.fail(
            f"{name}    alertname: {case.alertname}, time: {duration_text(case.eval_ms)}, \n"
            f"        exp:{indented(shown_alerts(expected), INSET)}, \n"
            f"        got:{indented(shown_alerts(got), INSET)}"
        )

    # Queries.

    def judge_query(self, case: QueryCase) -> None:
        """Compare what a query answers."""
        head = f"    expr: {quoted(case.expr)}, time: {duration_text(case.eval_ms)},"
        try:
            rows = self.ask(case.expr, self.test.start_ms + case.eval_ms)
        except QueryError as problem:
            self.fail(f"{head} err: {problem}")
            return
        try:
            expected = sorted((_expected(one) for one in case.expected), key=lambda row: row[0])
        except BadScript as problem:
            self.fail(f"{head} err: {problem}")
            return
        got = sorted((_row(row) for row in rows), key=lambda row: row[0])
        if len(expected) != len(got) or not all(map(self.same, expected, got)):
            self.fail(f"{head}\n        exp: {_shown(expected)}\n        got: {_shown(got)}")

    def same(self, expected: Row, got: Row) -> bool:
        """Compare two rows; a fuzzy comparison lets numbers differ in the last bit."""
        near = expected[1] == got[1] or (
            self.file.fuzzy
            and got[1] in (math.nextafter(expected[1], math.inf), math.nextafter(expected[1], -math.inf))
        )
        return expected[0] == got[0] and expected[2] == got[2] and near


def _sorted(alerts: Sequence[Told]) -> list[Told]:
    return sorted(
        ((dict(labels), dict(annotations)) for labels, annotations in alerts),
        key=lambda alert: (sorted(alert[0].items()), sorted(alert[1].items())),
    )


def _row(sample: Sample) -> Row:
    labels = sorted(sample.labels.items())
    if isinstance(sample.value, Histogram):
        return labels, 0.0, shown_histogram(sample.value)
    return labels, sample.value, ""


def _expected(sample: ExpectedSample) -> Row:
    labels: Mapping[str, str] = {}
    if sample.labels.strip():
        labels, rest = labels_of(sample.labels.strip())
        if rest.strip():
            raise BadScript(f"labels {quoted(sample.labels)}: unexpected {rest.strip()!r}")
    if not sample.histogram:
        return sorted(labels.items()), sample.value, ""
    points = points_of(sample.histogram)
    if len(points) != 1 or points[0].histogram is None:
        raise BadScript(f"labels {quoted(sample.labels)}: expected histogram, got {sample.histogram}")
    # Where a histogram is expected, the number beside it does not count; the answer has none.
    return sorted(labels.items()), 0.0, shown_histogram(points[0].histogram)


def _shown(rows: Sequence[Row]) -> str:
    texts = [f"{shown_labels(dict(labels))} {histogram or shown_number(value)}" for labels, value, histogram in rows]
    return ", ".join(texts) or "nil"
