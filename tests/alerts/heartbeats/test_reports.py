"""A job's address, what is kept of its calls, and the alerts that come of silence."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.lib import clock
from aivillage_console.lib.ratelimit import Buckets, Limit
from alerts.engine.heartbeats.standing import PingKind
from alerts.heartbeats import door
from alerts.models import Alert, CronJob, Ping, Rule, RuleGroup
from alerts.rules.heartbeats import HEARTBEAT, ask, between, facts_at
from alerts.rules.validation import rule_problems
from alerts.services import configuration, evaluate_due, heartbeats
from alerts.services.backtest import backtest
from alerts.services.heartbeats import Keyed, Report, job_pause, job_rotate, job_save, ping_keep
from tests.alerts.heartbeats.conftest import ACTOR, at

pytestmark = pytest.mark.django_db
COMMITTED = pytest.mark.django_db(transaction=True)
Make = Callable[..., Keyed]


def ping(key: str, tail: str = "", *, method: str = "get", **more: Any) -> Any:
    return getattr(Client(), method)(f"/ping/{key}{tail}", **more)


@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_a_call_is_answered_ok_and_kept(job: Make, method: str) -> None:
    made = job()
    answer = ping(made.key, method=method, headers={"User-Agent": "curl/8"})
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (
        200, b"" if method == "head" else b"OK", "text/plain; charset=utf-8",
    )  # fmt: skip
    row = Ping.objects.get()
    assert (row.kind, row.number, row.method, row.agent, row.ip) == (
        "success",
        1,
        method.upper(),
        "curl/8",
        "127.0.0.1",
    )
    made.job.refresh_from_db()
    assert (made.job.pings, made.job.last_at) == (1, row.at)


def test_a_report_costs_four_statements(job: Make) -> None:
    made = job()
    with CaptureQueriesContext(connection) as queries:
        assert ping(made.key).status_code == 200
    kept = [each["sql"] for each in queries if not each["sql"].startswith(("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE"))]
    assert len(kept) == 4, kept


def test_what_was_sent_is_kept_as_output_up_to_its_bound(job: Make) -> None:
    made = job()
    answer = ping(made.key, "/1", method="post", data=b"x" * 30_000, content_type="text/plain")
    assert (answer.content, answer.headers["Ping-Body-Limit"]) == (b"OK", "10000")
    row = Ping.objects.get()
    assert (row.kind, row.exit_status, len(row.body)) == ("fail", 1, 10_000)


def test_the_key_is_kept_as_a_hash_and_ends_when_a_new_one_is_made(job: Make) -> None:
    made = job()
    assert made.key not in str(list(CronJob.objects.values())) + str(list(AuditEntry.objects.values()))
    fresh = job_rotate(made.job, actor=ACTOR, now=clock.now())
    assert (ping(made.key).status_code, ping(fresh.key).status_code) == (404, 200)
    configuration.configured_delete(made.job, actor=ACTOR, now=clock.now())
    assert (ping(fresh.key).status_code, Ping.objects.count()) == (404, 0)


@pytest.mark.parametrize(
    ("tail", "method", "status", "said"),
    [
        ("/300", "get", 400, b"exit status"), ("/stop", "get", 400, b"exit status"), ("?rid=7", "get", 400, b"UUID"),
        ("", "put", 405, b"POST"), ("", "delete", 405, b"POST"),
    ],
)  # fmt: skip
def test_a_call_that_means_nothing_is_told_why_and_not_kept(
    job: Make, tail: str, method: str, status: int, said: bytes
) -> None:
    answer = ping(job().key, tail, method=method)
    assert (answer.status_code, said in answer.content, Ping.objects.count()) == (status, True, 0)


def test_a_key_nobody_has_is_not_found_and_guessing_costs(job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ADDRESSES", Buckets(Limit(per_second=0.001, burst=20)))
    job()
    codes = [ping(str(uuid.uuid4())).status_code for _ in range(3)]
    assert codes == [404, 404, 429]


def test_a_job_that_calls_without_end_is_asked_to_wait(job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "JOBS", Buckets(Limit(per_second=0.001, burst=2)))
    made = job()
    answers = [ping(made.key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1


def test_a_run_is_measured_from_its_start_to_its_end(job: Make) -> None:
    made, run_id, began = job(longest_run_seconds=60), uuid.uuid4(), clock.now()
    ping_keep(made.key, Report(kind=PingKind.START, run_id=run_id), now=began)
    ping_keep(made.key, Report(kind=PingKind.SUCCESS, run_id=run_id), now=began + timedelta(seconds=12.5))
    assert list(Ping.objects.order_by("number").values_list("kind", "duration_ms")) == [
        ("start", None),
        ("success", 12_500),
    ]


def test_a_clock_that_goes_back_makes_no_past_of_two_minds(job: Make) -> None:
    made, now = job(), clock.now()
    ping_keep(made.key, Report(kind=PingKind.SUCCESS), now=now)
    ping_keep(made.key, Report(kind=PingKind.FAIL), now=now - timedelta(seconds=5))
    assert list(Ping.objects.order_by("number").values_list("at", flat=True)) == [now, now]
    assert facts_at(list(CronJob.objects.all()), now)[made.job.pk].failed


def test_history_and_outputs_are_bounded(job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeats, "PINGS_KEPT", 6)
    monkeypatch.setattr(heartbeats, "BODIES_KEPT", 2)
    monkeypatch.setattr(heartbeats, "TIDY_EVERY", 4)
    made, now = job(), clock.now()
    for second in range(12):
        ping_keep(made.key, Report(kind=PingKind.LOG, body=b"out"), now=now + timedelta(seconds=second))
    kept = list(Ping.objects.order_by("number").values_list("number", "body"))
    assert [number for number, _ in kept] == [7, 8, 9, 10, 11, 12]
    assert [number for number, body in kept if body] == [11, 12]


def grid(rule: Rule) -> datetime:
    """Return a grid time from which the group is evaluated."""
    now = clock.now()
    return clock.at_seconds(now.timestamp() - now.timestamp() % 60 - 3600)


def tick(start: datetime, *seconds: float) -> None:
    RuleGroup.objects.update(due_at=start, lease_token=None)
    for second in seconds:
        evaluate_due(hand="celery", read_clock=at(start + timedelta(seconds=second)))


@COMMITTED
def test_silence_is_an_alert_once_the_grace_is_over_and_ends_with_the_next_report(job: Make, rule: Rule) -> None:
    start, made = grid(rule), job(labels={"team": "infra"}, severity="critical")
    ping_keep(made.key, Report(kind=PingKind.SUCCESS), now=start)
    tick(start, 0, 10, 60, 80)
    assert Alert.objects.count() == 0, "late is not down"
    tick(start, 90)
    alert = Alert.objects.get()
    assert (alert.name, alert.state, alert.severity, alert.labels) == (
        "JobDown", "firing", "critical", {"job": "backup", "team": "infra"},
    )  # fmt: skip
    assert alert.evidence["facts"]["because"] == "missed"
    ping_keep(made.key, Report(kind=PingKind.SUCCESS), now=start + timedelta(seconds=97))
    tick(start, 100)
    alert.refresh_from_db()
    came = start + timedelta(seconds=97)
    assert (alert.state, alert.resolved_because) == ("resolved", f"the job reported at {came:%H:%M:%S} UTC")


@COMMITTED
def test_a_failure_is_asked_about_at_once_and_pausing_ends_its_alert(job: Make, rule: Rule) -> None:
    start, made = grid(rule), job()
    tick(start, 0)
    ping_keep(made.key, Report(kind=PingKind.FAIL, exit_status=3), now=start + timedelta(seconds=3))
    assert RuleGroup.objects.get().hurry_asked_at is not None
    tick(start, 4)
    alert = Alert.objects.get()
    assert alert.annotations["summary"] == "backup is down: it reported a failure, exit status 3"
    job_pause(made.job, actor=ACTOR, now=start + timedelta(seconds=6), paused=True)
    tick(start, 10)
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_because) == ("resolved", "the job was paused")
    assert AuditEntry.objects.filter(action="cronjob.pause").count() == 1
    job_pause(made.job, actor=ACTOR, now=start + timedelta(seconds=11), paused=True)
    assert Ping.objects.filter(kind="paused").count() == 1, "it was paused already"
    configuration.configured_delete(made.job, actor=ACTOR, now=start)


@COMMITTED
def test_a_deleted_job_is_no_alert_any_more(job: Make, rule: Rule) -> None:
    start, made = grid(rule), job()
    ping_keep(made.key, Report(kind=PingKind.FAIL), now=start)
    tick(start, 0)
    configuration.configured_delete(made.job, actor=ACTOR, now=start)
    tick(start, 10)
    assert Alert.objects.get().resolved_because == "the job was deleted"


def test_asking_about_the_past_gives_the_past_answer(job: Make) -> None:
    start, made = clock.now() - timedelta(hours=1), job()
    other = job("other")
    for second, kind in ((0, "success"), (200, "success"), (230, "fail"), (300, "success")):
        ping_keep(made.key, Report(kind=PingKind(kind)), now=start + timedelta(seconds=second))
    ping_keep(other.key, Report(kind=PingKind.SUCCESS), now=start)

    def down(second: float) -> list[tuple[str, str]]:
        cases = ask({}, 300, start + timedelta(seconds=second))
        return [(case.labels["job"], case.evidence["because"]) for case in cases]

    assert [down(second) for second in (-1, 89, 90, 199, 200, 230, 299, 300)] == [
        [], [], [("backup", "missed"), ("other", "missed")], [("backup", "missed"), ("other", "missed")],
        [("other", "missed")], [("backup", "failed"), ("other", "missed")], [("backup", "failed"), ("other", "missed")],
        [("other", "missed")],
    ]  # fmt: skip
    asked = between({}, start, start + timedelta(seconds=400))
    for second in range(0, 400, 7):
        at_ = start + timedelta(seconds=second)
        assert asked(at_) == ask({}, 300, at_), second
    only = ask({"jobs": ["backup"], "on": ["failed"]}, 300, start + timedelta(seconds=240))
    assert [case.labels for case in only] == [{"job": "backup"}]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"jobs": "backup"}, "jobs: "),
        ({"on": []}, "on: "),
        ({"on": ["late"]}, "on: "),
        ({"cron": 1}, "Unknown keys cron"),
    ],
)
def test_a_bad_spec_names_the_key(spec: dict[str, Any], said: str) -> None:
    assert said in rule_problems({"kind": "heartbeat", "name": "x", "spec": spec})["spec"]
    assert HEARTBEAT.shape("heartbeat").field("on") is not None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cron": "nope"}, "cron"), ({"period_seconds": 1}, "period_seconds"), ({"labels": {"job": "x"}}, "labels"),
        ({"labels": {"a b": "x"}}, "labels"), ({"labels": {"a": ""}}, "labels"), ({"labels": []}, "labels"),
        ({"severity": "dire"}, "severity"), ({"name": ""}, "name"),
    ],
)  # fmt: skip
def test_a_job_that_cannot_be_is_refused_by_field(job: Make, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(configuration.Invalid) as refused:
        job(**{"name": "x", **fields})
    assert field in refused.value.problems


def test_an_edit_changes_no_report_and_a_stale_one_nothing(job: Make) -> None:
    made = job()
    stale = CronJob.objects.get()
    ping_keep(made.key, Report(kind=PingKind.SUCCESS), now=clock.now())
    stale.description = "nightly"
    job_save(stale, actor=ACTOR, now=clock.now(), version=1)
    row = CronJob.objects.get()
    assert (row.description, row.pings, row.version) == ("nightly", 1, 2)
    with pytest.raises(configuration.Outdated):
        job_save(row, actor=ACTOR, now=clock.now(), version=1)


def test_a_database_that_is_away_is_told_in_plain_text(job: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = job()

    def gone(*_args: object, **_more: object) -> None:
        raise OperationalError

    monkeypatch.setattr(door, "ping_keep", gone)
    answer = ping(made.key)
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")


def test_a_backtest_finds_what_live_would_have_told(job: Make, rule: Rule) -> None:
    end = clock.at_seconds(clock.now().timestamp() // 60 * 60)
    start, made = end - timedelta(minutes=20), job()
    for second, kind in ((0, "success"), (300, "success"), (330, "fail"), (340, "success")):
        ping_keep(made.key, Report(kind=PingKind(kind)), now=start + timedelta(seconds=second))
    found = backtest(rule, start_at=start, end_at=end)
    assert found.errors == ()
    assert [(one.started_at - start.timestamp(), one.labels["job"]) for one in found.firings] == [
        (90, "backup"), (330, "backup"), (430, "backup"),
    ]  # fmt: skip
    assert [one.resolved_at and one.resolved_at - start.timestamp() for one in found.firings] == [300, 340, None]
