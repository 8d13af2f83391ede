"""The door of test runs, what is kept, and the alerts that come of it: one a branch."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts.services import Actor, source_named, token_issue
from aivillage_console.lib import clock
from alerts.engine.testruns.canaries import Expected
from alerts.engine.testruns.outcomes import BadReport
from alerts.engine.testruns.reading import read_report
from alerts.models import Alert, Canary, Rule, RuleGroup, TestRun, TestSuite
from alerts.rules.testruns import TEST_RUN, ask, between, limits_of
from alerts.rules.validation import rule_problems
from alerts.services import configuration, evaluate_due, testruns
from alerts.services.testruns import Sent, canary_save, outcomes_of, run_keep, suites_retain
from alerts.testruns import door
from tests.alerts.heartbeats.conftest import at

pytestmark = pytest.mark.django_db
COMMITTED = pytest.mark.django_db(transaction=True)
DOOR = "/api/v1/ingest/test-runs"
ACTOR = Actor.system("test")


def key(*scopes: str) -> str:
    made = source_named("ci")
    return token_issue(name="ci", kind="ingest", scopes=[*scopes], actor=ACTOR, now=clock.now(), source=made)[1]


def report(**outcomes: str) -> bytes:
    tests = [{"nodeid": f"tests/test_a.py::{name}", "outcome": outcome} for name, outcome in outcomes.items()]
    return json.dumps({"tests": tests, "duration": len(tests)}).encode()


def send(body: bytes, query: str = "", **headers: str) -> Any:
    door.SOURCES.clear()
    bearer = headers.pop("token", None) or key("ingest:tests")
    return Client().post(
        f"{DOOR}{query}", body, content_type="application/octet-stream",
        headers={"Authorization": f"Bearer {bearer}", **headers},
    )  # fmt: skip


def keep(rate: float | None, *, at_: datetime, suite: str = "unit", branch: str = "main", **more: Any) -> TestRun:
    """Keep a run of a hundred tests of which so many passed."""
    given = {"total_tests": 100, **({"skipped": 100} if rate is None else {"failed": 100 - int(rate)}), **more}
    return run_keep(read_report(json.dumps(given).encode()), Sent(suite=suite, branch=branch), now=at_)[0]


def test_a_report_is_stored_under_the_suite_and_branch_of_the_query() -> None:
    answer = send(report(a="passed", b="failed"), "?suite=unit&branch=feature/x&commit=abc&url=https://ci.example/1")
    assert (answer.status_code, answer.json()["success_rate"], answer.json()["form"]) == (201, 50.0, "pytest-json")
    run = TestRun.objects.select_related("suite", "source").get()
    assert (run.suite.name, run.suite.branch, run.commit, run.url) == (
        "unit",
        "feature/x",
        "abc",
        "https://ci.example/1",
    )
    assert run.source is not None
    assert run.source.name == "ci"
    assert {name: str(outcome) for name, outcome in outcomes_of(run).items()} == {
        "tests.test_a.a": "passed", "tests.test_a.b": "failed",
    }  # fmt: skip


def test_headers_say_the_same_and_nothing_said_is_tests_at_main() -> None:
    send(report(a="passed"), **{"X-Test-Suite": "e2e", "X-Test-Branch": "dev"})
    send(report(a="passed"))
    assert set(TestSuite.objects.values_list("name", "branch")) == {("e2e", "dev"), ("tests", "main")}


def test_a_report_that_is_sent_again_is_the_same_run() -> None:
    first, again = (send(report(a="passed"), "?run=job-7") for _ in range(2))
    assert (first.status_code, again.status_code, again.json()["duplicate"]) == (201, 200, True)
    assert TestRun.objects.count() == 1


BOMB = b'<!DOCTYPE a [<!ENTITY x "yyyy"><!ENTITY z "&x;&x;&x;">]><testsuite name="&z;"/>'


@pytest.mark.parametrize(
    ("body", "query", "headers", "status", "said"),
    [
        (BOMB, "", {}, 400, "document type"), (b"x", "", {}, 400, "neither XML nor JSON"),
        (b"{}", "?suite=" + "x" * 121, {}, 400, "suite: at most 120"), (b"{}", "?branch=a%00b", {}, 400, "branch"),
        (b"{}", "?url=javascript:alert(1)", {}, 400, "url"), (b"{}", "", {"Content-Encoding": "gzip"}, 415, "as it is"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_is_told_why(
    body: bytes, query: str, headers: dict[str, str], status: int, said: str
) -> None:
    answer = send(body, query, **headers)
    assert (answer.status_code, said in answer.json()["detail"], TestRun.objects.count()) == (status, True, 0)


def test_the_door_asks_for_its_scope_its_method_and_a_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(report(a="passed"), token=key("ingest:metrics")).status_code == 403
    assert Client().post(DOOR, b"{}", content_type="text/xml").status_code == 401
    assert Client().get(DOOR).status_code == 405
    monkeypatch.setattr(door, "BODY_BYTES", 10)
    assert send(report(a="passed")).status_code == 413


def test_a_hundred_runs_a_suite_and_branch_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testruns, "RUNS_KEPT", 3)
    now = clock.now()
    for minute in range(5):
        keep(100, at_=now + timedelta(minutes=minute))
    keep(100, at_=now, branch="dev")
    assert [run.at for run in TestSuite.objects.get(branch="main").runs.all()] == [
        now + timedelta(minutes=minute) for minute in (4, 3, 2)
    ]
    assert TestSuite.objects.get(branch="dev").runs.count() == 1


def test_of_too_many_branches_the_quietest_goes_and_too_many_suites_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(testruns, "MOST_BRANCHES", 2)
    monkeypatch.setattr(testruns, "MOST_SUITES", 1)
    now = clock.now()
    for minute, branch in enumerate(("a", "b", "c")):
        keep(100, at_=now + timedelta(minutes=minute), branch=branch)
    assert set(TestSuite.objects.values_list("branch", flat=True)) == {"b", "c"}
    with pytest.raises(BadReport, match="suites already"):
        keep(100, at_=now, suite="other")


def test_a_time_in_the_report_is_believed_within_a_day() -> None:
    now = clock.now()
    stamps = {now.timestamp() - 3600: now - timedelta(hours=1), now.timestamp() - 9e5: now, now.timestamp() + 9e5: now}
    for stamp, expected in stamps.items():
        assert abs((keep(100, at_=now, timestamp=stamp).at - expected).total_seconds()) < 1e-3


def test_flips_are_kept_with_the_run() -> None:
    now = clock.now()
    for minute in range(11):
        outcome = "passed" if minute % 2 else "failed"
        body = read_report(report(wild=outcome, calm="passed"))
        run, _ = run_keep(body, Sent(suite="unit", branch="main"), now=now + timedelta(minutes=minute))
    assert run.flips == [{"test": "tests.test_a.wild", "flips": 10, "runs": 11, "share": 1.0}]
    [case] = ask({"category": "flaky_tests"}, 60, now + timedelta(hours=1))
    assert (case.severity, case.value) == ("medium", 1.0)


def test_without_single_tests_the_modules_variation_is_kept() -> None:
    now = clock.now()
    for minute in range(10):
        failed = 8 * (minute % 2)
        run = keep(95, at_=now + timedelta(minutes=minute), modules={"core": {"total": 10, "failed": failed}})
    assert [(one["module"], round(one["variation"], 3)) for one in run.variation] == [("core", 0.667)]


def test_a_canary_is_looked_up_in_the_runs_there_are_and_in_each_new_one() -> None:
    now = clock.now()
    for minute, outcome in enumerate(("xfailed", "passed", "passed")):
        run_keep(
            read_report(report(quant=outcome)), Sent(suite="unit", branch="main"), now=now + timedelta(minutes=minute)
        )
    made = canary_save(Canary(name="BitNet", path="test_a.py::quant"), actor=ACTOR, now=now)
    assert made.last_status == "missing"
    made.path = "tests/test_a.py::quant"
    made = canary_save(made, actor=ACTOR, now=now, version=1)
    assert (made.last_status, made.last_changed_at) == ("passed", now + timedelta(minutes=1))
    [case] = ask({"category": "canary"}, 60, now + timedelta(hours=1))
    assert (case.severity, case.labels["canary"]) == ("critical", "BitNet")
    run_keep(read_report(report(quant="xfailed")), Sent(suite="unit", branch="main"), now=now + timedelta(minutes=9))
    assert ask({"category": "canary"}, 60, now + timedelta(hours=1)) == []
    made.refresh_from_db()
    assert made.last_status == "xfailed"
    with pytest.raises(configuration.Invalid):
        canary_save(
            Canary(name="x", path="a", expected_status=Expected.SKIP, failure_threshold=0), actor=ACTOR, now=now
        )


def rule(**spec: Any) -> Rule:
    group, _ = RuleGroup.objects.get_or_create(name="tests", defaults={"interval_seconds": 60, "due_at": clock.now()})
    return Rule.objects.create(
        group=group, name="Persistent Test Failures", kind="test_run", spec={"category": "success_rate", **spec},
        cooldown_seconds=0,
    )  # fmt: skip


def tick(start: datetime, *minutes: float) -> None:
    RuleGroup.objects.update(due_at=start, lease_token=None)
    for minute in minutes:
        evaluate_due(hand="celery", read_clock=at(start + timedelta(minutes=minute)))


@COMMITTED
def test_each_branch_is_one_alert_that_worsens_and_ends_and_is_never_repeated() -> None:
    now = clock.now()
    start = clock.at_seconds(now.timestamp() - now.timestamp() % 60 - 3600)
    rule()
    keep(94, at_=start)
    keep(99, at_=start, branch="dev")
    tick(start, 0)
    alert = Alert.objects.get()
    assert (alert.severity, alert.value, alert.threshold) == ("medium", 94.0, 95.0)
    assert alert.labels == {"suite": "unit", "branch": "main", "category": "success_rate"}
    keep(94, at_=start + timedelta(seconds=70))
    keep(94, at_=start + timedelta(seconds=75))
    keep(None, at_=start + timedelta(seconds=80))
    tick(start, 2)
    alert.refresh_from_db()
    assert (Alert.objects.count(), alert.severity, alert.episode) == (1, "critical", 1)
    keep(98, at_=start + timedelta(seconds=130))
    tick(start, 3)
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert "98.0 % pass" in alert.resolved_because


def test_asking_about_the_past_gives_the_past_answer_and_old_branches_are_forgotten() -> None:
    start = clock.now() - timedelta(days=20)
    keep(70, at_=start)
    keep(99, at_=start + timedelta(days=1))
    keep(60, at_=start + timedelta(days=2))

    def rates(days: float, **spec: Any) -> list[float | None]:
        return [case.value for case in ask({"category": "success_rate", **spec}, 60, start + timedelta(days=days))]

    assert [rates(days) for days in (-0.1, 0.5, 1.5, 2, 15.9, 16.1)] == [[], [70], [], [60], [60], []]
    for spec in ({}, {"category": "success_rate", "stale_seconds": 86_400}):
        asked = between(spec, start - timedelta(days=1), start + timedelta(days=19))
        for hours in range(-20, 450, 7):
            at_ = start + timedelta(hours=hours)
            assert asked(at_) == ask(spec, 60, at_), (spec, hours)
    assert rates(2, suite="u*", branch="main") == [60]
    assert rates(2, branch="release/*") == []
    assert rates(2, stale_seconds=3600) == [60]
    assert rates(3, stale_seconds=3600) == []


def test_all_categories_at_once_say_which_each_is_about() -> None:
    start = clock.now()
    for minute, rate in enumerate((100, 95, 90, 85, 60)):
        keep(rate, at_=start + timedelta(minutes=minute), duration=100 * (1 + minute // 4),
             modules={"core": {"total": 5, "failed": 4}})  # fmt: skip
    cases = ask({}, 60, start + timedelta(hours=1))
    assert [(case.labels["category"], case.severity, case.labels.get("module")) for case in cases] == [
        ("success_rate", "critical", None), ("performance", "medium", None), ("module_degradation", "high", "core"),
        ("trend", "high", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "key_", "value"),
    [
        ({"performance_degradation": 2}, "performance", 2.0),
        ({"performance_degradation_threshold": 3}, "performance", 3.0),
        ({"consecutive_failures": 5}, "consecutive_failures", 5),
        ({"consecutive_failures_threshold": 4}, "consecutive_failures", 4),
        ({"flaky_test_threshold": 0.5}, "flaky_tests", 0.5),
        ({"success_rate_threshold": 90}, "success_rate", 90.0), ({}, "trend_runs", 10),
    ],
)  # fmt: skip
def test_limits_are_known_in_both_spellings(spec: dict[str, Any], key_: str, value: float) -> None:
    assert rule_problems({"kind": "test_run", "name": "x", "spec": spec}) == {}
    assert getattr(limits_of(spec), key_) == value


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"category": "speed"}, "category: "), ({"suite": 3}, "suite: "),
        ({"success_rate_threshold": 101}, "success_rate"),
        ({"consecutive_failures": 2.5}, "whole number"), ({"trend_runs": 4}, "trend_runs"),
        ({"window": 3}, "Unknown keys"),
        ({"performance_degradation": True}, "performance_degradation"),
    ],
)  # fmt: skip
def test_a_bad_spec_names_the_key(spec: dict[str, Any], said: str) -> None:
    assert said in rule_problems({"kind": "test_run", "name": "x", "spec": spec})["spec"]
    assert TEST_RUN.threshold({"category": "success_rate"}) == 95.0
    assert TEST_RUN.threshold({}) is None


def test_suites_nobody_runs_any_more_are_dropped() -> None:
    now = clock.now()
    keep(99, at_=now - timedelta(days=91), branch="old")
    keep(99, at_=now, branch="new")
    suites_retain(now=now)
    assert list(TestSuite.objects.values_list("branch", flat=True)) == ["new"]
