"""The rule kind `test_run`: what is wrong with the last run of a suite at a branch, in six categories."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from django.db.models import Prefetch, Q

from alerts.engine.testruns.canaries import Canary as CanaryFacts
from alerts.engine.testruns.findings import BASELINE_RUNS, JUDGES, Category, Finding, Limits, Run
from alerts.models import AlertSettings, Canary, TestRun, TestSuite
from alerts.rules.fields import DAY_SECONDS, SpecField
from alerts.rules.kinds import AskedKind, Case

CATEGORIES = tuple(each.value for each in Category)
MOST_SUITES = 500
ALL_RUNS = 100
STALE_SECONDS = 14 * DAY_SECONDS
LONGEST_PATTERN = 200
# The file of settings knows both spellings; the second is the older one.
SPELLINGS = {
    "success_rate_threshold": ("success_rate_threshold",),
    "performance_degradation_threshold": ("performance_degradation_threshold", "performance_degradation"),
    "flaky_test_threshold": ("flaky_test_threshold",),
    "consecutive_failures_threshold": ("consecutive_failures_threshold", "consecutive_failures"),
}
FIELDS = (
    SpecField(
        name="category", type="choice", label="Category", choices=("", *CATEGORIES), default="",
        help="What it looks at; empty: all of them, each alert says which.",
    ),
    SpecField(name="suite", type="text", label="Suite", help="Name or glob; empty: all suites.", example="unit"),
    SpecField(name="branch", type="text", label="Branch", help="Name or glob; empty: all branches.", example="main"),
    SpecField(
        name="success_rate_threshold", type="number", label="Success rate", default=95.0, unit="percent", least=0,
        most=100, help="Fewer tests that pass are an alert, skipped ones left out.",
    ),
    SpecField(
        name="performance_degradation_threshold", type="number", label="Slow-down", default=1.5, least=1, most=1000,
        help=f"Mean time of a test against the last {BASELINE_RUNS} runs; also performance_degradation.",
    ),
    SpecField(
        name="flaky_test_threshold", type="number", label="Flaky from", default=0.2, least=0, most=1,
        help="Changes between passing and failing for each pair of runs.",
    ),
    SpecField(
        name="consecutive_failures_threshold", type="integer", label="Runs in a row", default=3, least=1, most=100,
        help="So many runs below the success rate make it critical; also consecutive_failures.",
    ),
    SpecField(
        name="trend_runs", type="integer", label="Trend over", default=10, unit="runs", least=5, most=ALL_RUNS,
        help="How many of the last runs the trend is drawn through.",
    ),
    SpecField(
        name="stale_seconds", type="seconds", label="Forgotten after", default=STALE_SECONDS, unit="seconds",
        least=3600, most=365 * DAY_SECONDS, help="A branch without a run for so long is no alert any more.",
    ),
)  # fmt: skip
OLD_KEYS = frozenset({"performance_degradation", "consecutive_failures"})


@dataclass(frozen=True, slots=True)
class Need:
    """What of the runs a category reads: how many, whether only those with a rate, and which columns."""

    runs: int
    rated: bool = False
    columns: tuple[str, ...] = ("success_rate",)


def limits_of(spec: Mapping[str, Any]) -> Limits:
    """Return the limits of a spec, in either spelling."""

    def told(name: str, default: float) -> float:
        return float(next((spec[key] for key in SPELLINGS[name] if spec.get(key) is not None), default))

    row = AlertSettings.current()
    usual = Limits(
        row.success_rate_threshold, row.performance_degradation_threshold, row.flaky_test_threshold,
        row.consecutive_failures_threshold,
    )  # fmt: skip
    return Limits(
        told("success_rate_threshold", usual.success_rate),
        told("performance_degradation_threshold", usual.performance),
        told("flaky_test_threshold", usual.flaky_tests),
        int(told("consecutive_failures_threshold", usual.consecutive_failures)),
        int(spec.get("trend_runs") or usual.trend_runs),
    )


def _needs(limits: Limits) -> Mapping[Category, Need]:
    return {
        Category.SUCCESS_RATE: Need(limits.consecutive_failures, rated=True),
        Category.PERFORMANCE: Need(
            BASELINE_RUNS + 1, columns=("success_rate", "passed", "failed", "errors", "duration_seconds")
        ),
        Category.MODULE_DEGRADATION: Need(1, columns=("modules",)),
        Category.FLAKY_TESTS: Need(1, columns=("flips", "variation")),
        Category.TREND: Need(limits.trend_runs, rated=True),
        Category.CANARY: Need(ALL_RUNS, columns=("canaries",)),
    }


def problems(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a spec, by key."""
    found = {}
    if spec.get("category", "") not in ("", *CATEGORIES):
        found["category"] = f"must be one of {', '.join(CATEGORIES)}, or empty for all"
    for name in ("suite", "branch"):
        text = spec.get(name, "")
        if not isinstance(text, str) or len(text) > LONGEST_PATTERN:
            found[name] = f"must be a name or a glob of at most {LONGEST_PATTERN} characters"
    for field in FIELDS:
        for key in SPELLINGS.get(field.name, (field.name,)):
            if field.type in ("number", "integer", "seconds") and (wrong := _number_problem(field, spec.get(key))):
                found[key] = wrong
    return found


def _number_problem(field: SpecField, value: Any) -> str:
    if value is None:
        return ""
    wanted = int if field.type == "integer" else (int, float)
    least, most = field.least or 0, field.most or 0
    if isinstance(value, bool) or not isinstance(value, wanted) or not least <= value <= most:
        return f"must be a {'whole ' if wanted is int else ''}number from {least:g} to {most:g}"
    return ""


def _suites(spec: Mapping[str, Any], at: datetime) -> list[TestSuite]:
    """Return the suites at their branches that a spec speaks of, and that ran not too long before a time."""
    since = at - timedelta(seconds=_stale_seconds(spec))
    rows = TestSuite.objects.filter(last_run_at__gte=since).defer("histories").order_by("name", "branch")
    suite, branch = spec.get("suite") or "*", spec.get("branch") or "*"
    chosen = [row for row in rows if fnmatchcase(row.name, suite) and fnmatchcase(row.branch, branch)]
    if len(chosen) > MOST_SUITES:
        raise ValueError(f"{len(chosen)} suites and branches, at most {MOST_SUITES} are judged by one rule")
    return chosen


def ask(spec: Mapping[str, Any], _window_seconds: int, at: datetime) -> Sequence[Case]:
    """Return what was wrong at a time with the last runs until then."""
    suites = _suites(spec, at)
    return _judged(spec, at, lambda need: _runs(suites, need, at)) if suites else []


def _judged(
    spec: Mapping[str, Any], at: datetime, runs_of: Callable[[Need], Iterable[tuple[TestSuite, list[TestRun]]]],
    canaries: Sequence[Canary] | None = None,
) -> list[Case]:  # fmt: skip
    limits, since, cases = limits_of(spec), at - timedelta(seconds=_stale_seconds(spec)), []
    categories = [Category(spec["category"])] if spec.get("category") else list(Category)
    if canaries is None:
        canaries = list(Canary.objects.all()) if Category.CANARY in categories else []
    for category in categories:
        for suite, runs in runs_of(_needs(limits)[category]):
            if runs and runs[-1].at >= since:
                found = JUDGES[category]([_run(row) for row in runs], limits, _canaries_of(suite, canaries))
                cases += [_case(suite, runs[-1], finding) for finding in found]
    return cases


def between(spec: Mapping[str, Any], start: datetime, end: datetime) -> Callable[[datetime], Sequence[Case]]:
    """Answer for many times between two: runs are read once, and judged once for each one that came."""
    suites = _suites(spec, start)
    canaries = list(Canary.objects.all())
    rows: dict[int, list[TestRun]] = {suite.pk: [] for suite in suites}
    for row in TestRun.objects.filter(suite__in=suites, at__lte=end).defer("outcomes").order_by("at", "id"):
        rows[row.suite_id].append(row)
    times = {key: [row.at for row in each] for key, each in rows.items()}
    known: dict[tuple[Any, ...], Sequence[Case]] = {}

    def asked(at: datetime) -> Sequence[Case]:
        since = at - timedelta(seconds=_stale_seconds(spec))
        seen = {key: bisect_right(each, at) for key, each in times.items()}
        mark = tuple((many, bool(many) and times[key][many - 1] >= since) for key, many in seen.items())
        if mark not in known:
            known[mark] = _judged(spec, at, lambda need: _last_of(suites, rows, seen, need), canaries)
        return known[mark]

    return asked


def _last_of(
    suites: Iterable[TestSuite], rows: Mapping[int, list[TestRun]], seen: Mapping[int, int], need: Need
) -> list[tuple[TestSuite, list[TestRun]]]:
    return [
        (suite, [row for row in rows[suite.pk][: seen[suite.pk]] if not need.rated or row.success_rate is not None][
            -need.runs :])
        for suite in suites
    ]  # fmt: skip


def _stale_seconds(spec: Mapping[str, Any]) -> float:
    return float(spec.get("stale_seconds") or STALE_SECONDS)


def _canaries_of(suite: TestSuite, canaries: Sequence[Canary]) -> list[CanaryFacts]:
    return [canary.facts for canary in canaries if canary.suite in ("", suite.name)]


def _runs(suites: list[TestSuite], need: Need, at: datetime) -> list[tuple[TestSuite, list[TestRun]]]:
    """Return of each suite its last runs until a time, oldest first; suites are read in one query."""
    rated = Q(success_rate__isnull=False) if need.rated else Q()
    rows = TestRun.objects.filter(rated, at__lte=at).only("suite_id", "at", "commit", "url", *need.columns)
    newest = Prefetch("runs", rows.order_by("-at", "-id")[: need.runs], to_attr="newest")
    found = list(
        TestSuite.objects.filter(pk__in=[suite.pk for suite in suites]).defer("histories").prefetch_related(newest)
    )
    return [(suite, list(reversed(suite.newest))) for suite in found]


def _run(row: TestRun) -> Run:
    known = row.get_deferred_fields()

    def told(name: str, default: Any) -> Any:
        return default if name in known else getattr(row, name)

    return Run(
        told("success_rate", None), row.tried if "passed" not in known else 0, told("duration_seconds", None),
        told("modules", {}), told("flips", ()), told("variation", ()), told("canaries", {}),
    )  # fmt: skip


def _case(suite: TestSuite, run: TestRun, finding: Finding) -> Case:
    # Labels last for as long as the trouble does: one alert a branch, told again when it worsens, not at each run.
    labels = {"suite": suite.name, "branch": suite.branch, "category": finding.category.value, **finding.labels}
    where = {"run": run.pk, "run_at": run.at.isoformat(), "commit": run.commit, "url": run.url}
    return Case(
        labels=labels, value=finding.value, severity=finding.severity,
        annotations={"summary": f"{suite.name} at {suite.branch}: {finding.summary}", "because": finding.summary},
        evidence={**where, "said": finding.summary, "found": {**finding.evidence}, "shown": _shown(finding.evidence)},
    )  # fmt: skip


def _shown(evidence: Mapping[str, Any]) -> dict[str, str]:
    """Return what was found as people read it; lists of tests and modules are drawn apart."""
    return {
        name.replace("_", " "): _text(value) for name, value in evidence.items() if name not in ("tests", "modules")
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_text(each)}" for name, each in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def threshold(spec: Mapping[str, Any]) -> float | None:
    """Return the rate a value is held against; of the other categories the alert's own words say it."""
    return limits_of(spec).success_rate if spec.get("category") == Category.SUCCESS_RATE else None


def over_because(spec: Mapping[str, Any], labels: Mapping[str, str], *, at: datetime) -> str:
    """Say what came after the run that was told of."""
    rows = TestRun.objects.filter(suite__name=labels.get("suite", ""), suite__branch=labels.get("branch", ""))
    last = rows.filter(at__lte=at).order_by("-at", "-id").only("id", "at", "success_rate").first()
    if last is None:
        return "its runs were dropped"
    if (at - last.at).total_seconds() > _stale_seconds(spec):
        return "no run came for too long, so the branch is forgotten"
    rate = "" if last.success_rate is None else f": {last.success_rate:.1f} % pass"
    return f"no longer so in the run of {last.at:%H:%M:%S} UTC{rate}"


TEST_RUN = AskedKind(
    label="Test run", keys=frozenset(field.name for field in FIELDS) | OLD_KEYS, problems=problems, ask=ask,
    between=between, threshold=threshold, operator="≤", over="no longer so in the last run",
    over_because=over_because, fields=FIELDS,
    uses_window=False, evidence_template="testruns/_alert_evidence.html",
    help="Reports of test runs: success rate, slow-down, modules, flaky tests, trend, canaries; an alert a branch.",
)  # fmt: skip
