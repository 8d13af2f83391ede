"""The page of test runs: suites and branches, the runs of one of them, its modules, and the canaries; one run alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from aivillage_console.accounts.authentication import actor_of
from aivillage_console.accounts.models import Role
from aivillage_console.accounts.permissions import role_required
from aivillage_console.lib import clock
from alerts.engine.testruns.findings import Category, Finding, Run, findings
from alerts.engine.testruns.outcomes import WORST_FIRST, Outcome
from alerts.engine.testruns.summary import DIRECTION_DAYS, band, direction, hot_issues
from alerts.models import Canary, TestRun, TestSuite
from alerts.models.testruns import unpacked
from alerts.rules.testruns import limits_of
from alerts.services import configuration
from alerts.services.testruns import canary_save
from alerts.testruns.forms import CanaryForm

MOST_SUITES, RUNS_LISTED, MODULES_SHOWN, TESTS_SHOWN = 200, 20, 100, 300
BARS, STEP, WIDTH, HEIGHT = 100, 6, 5, 48
LOOKS = {"ok": ("ok", "check"), "warning": ("medium", "diamond"), "bad": ("critical", "octagon")}
NO_LOOK = ("unknown", "unknown")
UNLIKE_PASSED = [outcome for outcome in WORST_FIRST if outcome is not Outcome.PASSED]


@dataclass(frozen=True, slots=True)
class Rated:
    """A success rate as it is drawn: never by colour alone."""

    rate: float | None
    module: bool = False

    @property
    def band(self) -> str:
        """Return its band."""
        return band(self.rate, module=self.module)

    @property
    def look(self) -> str:
        """Return its colour."""
        return LOOKS.get(self.band, NO_LOOK)[0]

    @property
    def shape(self) -> str:
        """Return its form."""
        return LOOKS.get(self.band, NO_LOOK)[1]


@dataclass(frozen=True, slots=True)
class Bar:
    """One run of the picture."""

    x: int
    y: float
    height: float
    look: str
    title: str
    run_id: int


def _may_change(request: HttpRequest) -> bool:
    return bool(request.user.is_authenticated and request.user.has_role(Role.EDITOR))


def _suites() -> list[TestSuite]:
    last = TestRun.objects.filter(suite=OuterRef("pk")).order_by("-at", "-id")
    return list(
        TestSuite.objects.defer("histories").order_by("-last_run_at", "name", "branch").annotate(
            last_rate=Subquery(last.values("success_rate")[:1])
        )[:MOST_SUITES]
    )  # fmt: skip


def _chosen(request: HttpRequest, suites: Sequence[TestSuite]) -> TestSuite | None:
    name, branch = request.GET.get("suite", ""), request.GET.get("branch", "")
    fitting = [one for one in suites if name in ("", one.name) and branch in ("", one.branch)]
    return fitting[0] if fitting else None


@require_GET
@role_required(Role.VIEWER)
def testruns(request: HttpRequest) -> HttpResponse:
    """Show the runs of a suite at a branch: how well, where to, and where it hurts."""
    suites = _suites()
    chosen = _chosen(request, suites)
    context: dict[str, Any] = {
        "suites": [(one, Rated(one.last_rate)) for one in suites], "chosen": chosen,  # type: ignore[attr-defined]
        "may_change": _may_change(request), "form": CanaryForm(initial={"suite": chosen.name if chosen else ""}),
    }  # fmt: skip
    canaries = list(Canary.objects.filter(suite__in=("", chosen.name)) if chosen else Canary.objects.all())
    context["canaries"] = canaries
    if chosen is not None:
        context |= _figures(chosen, canaries, clock.now())
    fragment = request.GET.get("fragment") == "runs"
    return render(request, "testruns/_runs.html" if fragment else "testruns/list.html", context)


def _figures(suite: TestSuite, canaries: Sequence[Canary], now: datetime) -> dict[str, Any]:
    rows = list(reversed(suite.runs.defer("outcomes").order_by("-at", "-id")[:BARS]))
    if not rows:
        return {}
    runs = [_run(row) for row in rows]
    last = rows[-1]
    month = now - timedelta(days=DIRECTION_DAYS)
    rates = [row.success_rate for row in rows if row.success_rate is not None and row.at >= month]
    where, change = direction(rates)
    return {
        "last": last, "rated": Rated(last.success_rate), "bars": _bars(rows), "width": BARS * STEP, "height": HEIGHT,
        "direction": where.value, "change": change, "mean_seconds": runs[-1].mean_seconds,
        "runs": [(row, Rated(row.success_rate)) for row in reversed(rows[-RUNS_LISTED:])],
        "modules": _modules(last), "hot": [(one, Rated(one.rate, module=True)) for one in hot_issues(
            [row.modules for row in rows])],
        "flaky": last.flips[:10], "varying": last.variation[:10], "found": _found(runs, canaries),
        "good": 95,
    }  # fmt: skip


def _run(row: TestRun) -> Run:
    return Run(
        row.success_rate, row.tried, row.duration_seconds, row.modules, row.flips, row.variation, row.canaries
    )  # fmt: skip


def _found(runs: Sequence[Run], canaries: Sequence[Canary]) -> list[Finding]:
    """Return what the usual limits say about the last run; the rules have limits of their own."""
    return findings(list(Category), runs, limits_of({}), [canary.facts for canary in canaries])


def _modules(run: TestRun) -> list[tuple[str, dict[str, Any], Rated]]:
    rows = [(name, counts, Rated(counts.get("success_rate"), module=True)) for name, counts in run.modules.items()]
    return sorted(rows, key=lambda row: (row[2].rate is None, row[2].rate, row[0]))[:MODULES_SHOWN]


def _bars(rows: Sequence[TestRun]) -> list[Bar]:
    return [_bar(place, row) for place, row in enumerate(rows)]


def _bar(place: int, row: TestRun) -> Bar:
    rated = Rated(row.success_rate)
    # From 50 % on, so that the last few points are seen; the words say the number.
    share = 0.0 if row.success_rate is None else max(0.0, (row.success_rate - 50) / 50)
    height = 4 + share * (HEIGHT - 4)
    rate = "no rate" if row.success_rate is None else f"{row.success_rate:.1f} %"
    return Bar(place * STEP, HEIGHT - height, height, rated.look, f"{row.at:%Y-%m-%d %H:%M} UTC: {rate}", row.pk)


@require_GET
@role_required(Role.VIEWER)
def detail(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show one run: its modules, and every test that did not simply pass."""
    run = TestRun.objects.select_related("suite").filter(pk=run_id).first()
    if run is None:
        raise Http404("There is no such run; the last hundred of a suite and branch are kept.")
    told = unpacked(run.outcomes)
    outcomes = [(outcome.value, sorted(told[outcome])) for outcome in UNLIKE_PASSED if told.get(outcome)]
    shown = [(name, tests[:TESTS_SHOWN], len(tests) - TESTS_SHOWN) for name, tests in outcomes]
    names = dict(Canary.objects.filter(pk__in=list(run.canaries)).values_list("pk", "name"))
    context = {
        "run": run, "rated": Rated(run.success_rate), "modules": _modules(run), "outcomes": shown,
        "canaries": [(names.get(UUID(key), ""), status) for key, status in run.canaries.items()], "told": bool(told),
    }  # fmt: skip
    return render(request, "testruns/run.html", context)


@require_POST
@role_required(Role.EDITOR)
def canary_add(request: HttpRequest) -> HttpResponseBase:
    """Make a canary."""
    form = CanaryForm(request.POST)
    if form.is_valid():
        canary = Canary(**form.cleaned_data)
        try:
            canary_save(canary, actor=actor_of(request), now=clock.now())
        except configuration.Invalid as invalid:
            for field, text in invalid.problems.items():
                form.add_error(field if field in form.fields else None, text)
        else:
            messages.success(request, f"{canary.name} is watched: {canary.last_status or 'no run has it yet'}.")
            return redirect("testruns:list")
    suites = _suites()
    context = {"suites": [(one, Rated(one.last_rate)) for one in suites], "form": form, "may_change": True,  # type: ignore[attr-defined]
               "canaries": list(Canary.objects.all())}  # fmt: skip
    return render(request, "testruns/list.html", context, status=422)


@require_POST
@role_required(Role.EDITOR)
def canary_delete(request: HttpRequest, canary_id: UUID) -> HttpResponseBase:
    """Delete a canary."""
    canary = Canary.objects.filter(pk=canary_id).first()
    if canary is None:
        raise Http404("There is no such canary.")
    name = canary.name
    configuration.configured_delete(canary, actor=actor_of(request), now=clock.now())
    messages.success(request, f"{name} is no longer watched.")
    return redirect("testruns:list")
