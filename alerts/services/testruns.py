"""Reports of test runs taken in, a hundred a suite and branch; canaries made and changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from django.db import transaction

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, live
from alerts.engine.testruns.canaries import MISSING, status_of
from alerts.engine.testruns.flips import RUNS_KEPT, flipping, histories_after, varying
from alerts.engine.testruns.outcomes import BadReport, Counts, Outcome, Report
from alerts.models import Canary, TestRun, TestSuite
from alerts.models.testruns import packed, unpacked
from alerts.services.configuration import checked, saved, stored_of
from alerts.services.hurrying import hurry

MOST_BRANCHES, MOST_SUITES = 100, 200
MOST_CANARIES = 200
BELIEVED = timedelta(days=1)
AHEAD = timedelta(minutes=10)
SUITE_DAYS = 90
LOOKED_BACK_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What goes with a report: whose it is."""

    suite: str
    branch: str
    key: str = ""
    commit: str = ""
    url: str = ""
    source_id: Any = None


@transaction.atomic
def run_keep(report: Report, sent: Sent, *, now: datetime) -> tuple[TestRun, bool]:
    """Store a run and what follows from it; return it, and whether it is new. Raises BadReport."""
    suite = _suite(sent)
    known = suite.runs.filter(key=sent.key).first() if sent.key else None
    if known is not None:
        return known, False
    run = TestRun(
        suite=suite, key=sent.key, at=_believed(report.at, now), received_at=now, source_id=sent.source_id,
        form=report.form, commit=sent.commit, url=sent.url, modules=_by_module(report.modules),
        duration_seconds=report.duration_seconds, **report.counts.as_map(),
    )  # fmt: skip
    canaries = list(Canary.objects.filter(suite__in=("", suite.name)))
    if report.outcomes:
        _follow(run, suite, report)
        run.canaries = {str(one.pk): status_of(one.facts, report.outcomes) for one in canaries}
    else:
        _vary(run, suite)
    run.save()
    _canaries_told(canaries, run)
    suite.last_run_at = max(run.at, suite.last_run_at) if suite.last_run_at else run.at
    suite.save(update_fields=["last_run_at", "histories"])
    _drop_beyond(suite)
    hurry("test_run")
    live.ring("setup")
    return run, True


def _suite(sent: Sent) -> TestSuite:
    """Return the suite at its branch, locked; of too many branches the one that was quiet longest goes."""
    suite = TestSuite.objects.select_for_update().filter(name=sent.suite, branch=sent.branch).first()
    if suite is not None:
        return suite
    branches = TestSuite.objects.filter(name=sent.suite)
    if branches.count() >= MOST_BRANCHES:
        oldest = branches.order_by("last_run_at", "id").first()
        if oldest is not None:
            oldest.delete()
    elif not branches.exists() and TestSuite.objects.values("name").distinct().count() >= MOST_SUITES:
        raise BadReport(f"There are {MOST_SUITES} suites already; name one of them, or let old ones expire.")
    TestSuite.objects.bulk_create([TestSuite(name=sent.suite, branch=sent.branch)], ignore_conflicts=True)
    return TestSuite.objects.select_for_update().get(name=sent.suite, branch=sent.branch)


def _believed(at: float | None, now: datetime) -> datetime:
    moment = clock.at_seconds(at) if at is not None else None
    return moment if moment is not None and now - BELIEVED <= moment <= now + AHEAD else now


def _by_module(modules: Mapping[str, Counts]) -> dict[str, Any]:
    return {name.replace("\0", ""): counts.as_map() for name, counts in modules.items()}


def _follow(run: TestRun, suite: TestSuite, report: Report) -> None:
    """Add the run to the story of each test, and keep which of them flip."""
    histories = histories_after(unpacked(suite.histories), report.outcomes)
    suite.histories = packed(histories)
    run.flips = [
        {"test": one.name, "flips": one.flips, "runs": one.runs, "share": one.share} for one in flipping(histories)
    ]
    by_outcome: dict[str, list[str]] = {}
    for name, outcome in report.outcomes.items():
        by_outcome.setdefault(outcome.value, []).append(name)
    run.outcomes = packed(by_outcome)


def _vary(run: TestRun, suite: TestSuite) -> None:
    """Keep how much the modules vary, where no single tests are told."""
    before = suite.runs.order_by("-at", "-id").values_list("modules", flat=True)[: RUNS_KEPT - 1]
    rates = [{name: counts.get("success_rate") for name, counts in each.items()} for each in [run.modules, *before]]
    run.variation = [{"module": name, "variation": share} for name, share in varying(rates)]


def _canaries_told(canaries: list[Canary], run: TestRun) -> None:
    """Keep what each canary did last, and since when."""
    for canary in canaries:
        status = run.canaries.get(str(canary.pk), "")
        # Without a suite it is looked for everywhere, and not being in most of them says nothing.
        elsewhere = status == MISSING and not canary.suite
        if status and status != canary.last_status and not elsewhere:
            Canary.objects.filter(pk=canary.pk).update(last_status=status, last_changed_at=run.at)


def _drop_beyond(suite: TestSuite) -> None:
    extra = list(suite.runs.order_by("-at", "-id").values_list("pk", flat=True)[RUNS_KEPT : 2 * RUNS_KEPT])
    if extra:
        TestRun.objects.filter(pk__in=extra).delete()


def outcomes_of(run: TestRun) -> dict[str, Outcome]:
    """Return how each test of a run ended, where that was told."""
    return {name: Outcome(outcome) for outcome, names in unpacked(run.outcomes).items() for name in names}


@transaction.atomic
def canary_save(canary: Canary, *, actor: Actor, now: datetime, version: int | None = None) -> Canary:
    """Store a canary, and look what it did in the last runs."""
    stored = stored_of(canary, version)
    problems = {}
    if stored is None and Canary.objects.count() >= MOST_CANARIES:
        problems["name"] = f"There are {MOST_CANARIES} canaries already; delete some."
    canary.path = canary.path.strip()
    checked(canary, problems)
    saved(canary, stored, actor=actor, now=now)
    _look_back(canary)
    hurry("test_run")
    return canary


def _look_back(canary: Canary) -> None:
    suites = TestSuite.objects.filter(name=canary.suite) if canary.suite else TestSuite.objects.all()
    rows = TestRun.objects.filter(suite__in=suites).exclude(outcomes=b"").order_by("-at", "-id")
    runs = list(rows.only("id", "at", "outcomes", "canaries")[:LOOKED_BACK_RUNS])
    for run in runs:
        run.canaries[str(canary.pk)] = status_of(canary.facts, outcomes_of(run))
    TestRun.objects.bulk_update(runs, ["canaries"])
    if runs:
        newest = runs[0].canaries[str(canary.pk)]
        same = list(takewhile(lambda run: run.canaries[str(canary.pk)] == newest, runs))
        canary.last_status, canary.last_changed_at = newest, same[-1].at
        Canary.objects.filter(pk=canary.pk).update(last_status=newest, last_changed_at=same[-1].at)


def suites_retain(*, now: datetime) -> int:
    """Drop suites at branches nobody ran for long, with their runs."""
    dropped, _ = TestSuite.objects.filter(last_run_at__lt=now - timedelta(days=SUITE_DAYS)).delete()
    return dropped
