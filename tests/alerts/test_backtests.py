"""Backtests as people order them: over REST, as drafts, on the command line, interrupted, stopped; and suggestions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry, Source, User
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.backtest import Backtest, Firing, Told
from alerts.engine.backtest_totals import totals
from alerts.models import Alert, AlertEvent, BacktestRun, Channel, Notification, Rule, RuleGroup, RuleState
from alerts.services import backtests, retain
from alerts.services.backtest import Cancelled, NoBacktest, Replay, backtest, nothing_written, span_of
from alerts.services.backtests import backtest_cancel, backtest_now, backtest_order, backtests_due
from alerts.services.configuration import Invalid
from alerts.services.suggestions import suggestions_of
from metrics.ingest.rows import MetricRow
from metrics.services import partitions_prepare, samples_append
from tests.alerts.conftest import policy_with

ALICE = Actor(kind="user", id="1", label="alice")
BASE = "/api/console/v1"
MINUTES = 50
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(settings: Any) -> datetime:
    """Return a grid time fifty minutes ago; since then it was hot for two minutes of every ten, and once for eight."""
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=False)
    now = clock.now()
    partitions_prepare(now=now)
    begin = clock.at_seconds(now.timestamp() - now.timestamp() % 60 - (MINUTES + 2) * 60)
    source = Source.objects.create(name="test", service="test")
    hot = {minute for ten in range(0, MINUTES, 10) for minute in (ten + 2, ten + 3)} | set(range(32, 40))
    rows = [
        MetricRow(
            name="heat", type="gauge", value=95.0 if minute in hot else 50.0, labels={"host": "a"},
            timestamp_ms=round(begin.timestamp() * 1000) + minute * 60_000,
        )
        for minute in range(MINUTES)
    ]  # fmt: skip
    assert samples_append(rows, source=source, now=now) == []
    policy_with((0, [Channel.objects.create(name="hook")]), name="all")
    return begin


@pytest.fixture
def rule(start: datetime) -> Rule:
    group = RuleGroup.objects.create(name="g", interval_seconds=60, due_at=start)
    return Rule.objects.create(group=group, name="Hot", spec={"expr": "heat > 80"}, severity="high", cooldown_seconds=0)


def end_of(start: datetime) -> datetime:
    return start + timedelta(minutes=MINUTES - 1)


def order(rule: Rule, start: datetime, **fields: Any) -> BacktestRun:
    return backtest_order(rule, start_at=start, end_at=end_of(start), actor=ALICE, now=clock.now(), **fields)


@pytest.fixture
def editor() -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create_user("ed@example.org", None, role="editor"))
    return client


def test_a_backtest_says_when_it_fired_how_long_and_whom_it_told_and_writes_nothing(
    start: datetime, rule: Rule
) -> None:
    found = backtest(rule, start_at=start, end_at=end_of(start))
    assert [firing.started_at - start.timestamp() for firing in found.firings] == [120, 720, 1320, 1920, 2520]
    first, sums = found.firings[0], totals(found)
    assert (first.labels["host"], first.because, first.peak_value, first.severity) == ("a", "recovered", 95.0, "high")
    assert [(told.kind, told.policy, told.channels) for told in first.told] == [
        ("fire", "all", ("hook",)), ("resolve", "all", ("hook",))
    ]  # fmt: skip
    assert (sums.firings, sums.label_sets, sums.firing_seconds, sums.longest_seconds) == (5, 1, 960.0, 480.0)
    # The fifth time in an hour it flaps: its end is counted and not told.
    assert (sums.pages, sums.messages, sums.pager_minutes, sums.whom) == (5, 9, 16.0, {"hook": 5})
    assert found.ticks == MINUTES
    assert not any(model.objects.exists() for model in (Alert, AlertEvent, Notification, RuleState, BacktestRun))


def test_a_rule_that_tells_nobody_says_why_of_each_firing(start: datetime, rule: Rule) -> None:
    rule.cooldown_seconds = 3000
    told = [each for firing in backtest(rule, start_at=start, end_at=end_of(start)).firings for each in firing.told]
    assert told[0].withheld == ""
    assert "cooldown" in told[2].withheld


def test_whoever_writes_while_a_backtest_runs_is_refused(start: datetime) -> None:
    with nothing_written(), pytest.raises(AssertionError, match="would have written"):
        RuleGroup.objects.create(name="never", due_at=start)
    assert not RuleGroup.objects.filter(name="never").exists()


def test_somebody_may_stop_it_and_is_told_how_far_it_is(start: datetime, rule: Rule) -> None:
    rule.group.interval_seconds = 1
    rule.spec = {"expr": "sum by (host) (heat @ end())"}  # Asked time by time, so there is something to stop.
    seen: list[float] = []

    def progress(done: float) -> bool:
        seen.append(done)
        return len(seen) < 2

    with pytest.raises(Cancelled):
        backtest(rule, start_at=start, end_at=end_of(start), progress=progress)
    assert 0 < seen[0] < seen[1] < 1


@pytest.mark.parametrize(("change", "words"), [({"kind": "recording"}, "makes no alert"), ({}, "No time of the grid")])
def test_what_has_no_past_says_so(start: datetime, rule: Rule, change: dict[str, str], words: str) -> None:
    for name, value in change.items():
        setattr(rule, name, value)
    with pytest.raises(NoBacktest, match=words):
        span_of(rule, start + timedelta(seconds=1), start + timedelta(seconds=9))


def test_of_too_many_times_the_newest_are_tried(start: datetime, rule: Rule) -> None:
    rule.group.interval_seconds = 1
    span = span_of(rule, start - timedelta(days=9), start)
    assert (span.ticks, span.truncated, span.at(span.ticks - 1)) == (600_000, True, start.timestamp())


def test_an_interrupted_one_goes_on_where_its_process_left_it(
    start: datetime, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = order(rule, start)
    advance = Replay.advance
    monkeypatch.setattr(Replay, "advance", lambda self, until: advance(self, until=0.0))
    assert backtest_now(row, seconds=0).state == "due"
    assert list(backtests._parked) == [row.pk]
    monkeypatch.setattr(Replay, "advance", advance)
    assert backtests_due(hand="celery") is False
    row.refresh_from_db()
    assert (row.state, row.progress, row.result["totals"]["firings"], backtests._parked) == ("done", 1.0, 5, {})


def test_a_stopped_one_is_taken_up_by_nobody_and_an_old_one_goes(start: datetime, rule: Rule) -> None:
    row = backtest_cancel(order(rule, start), actor=ALICE, now=clock.now())
    assert backtests_due(hand="celery") is False
    row.refresh_from_db()
    assert (row.state, row.result) == ("cancelled", {})
    retain(now=clock.now() + timedelta(days=8))
    assert not BacktestRun.objects.exists()


def test_one_whose_group_is_gone_fails_with_the_reason(start: datetime, rule: Rule) -> None:
    row = order(rule, start)
    RuleGroup.objects.all().delete()
    backtests_due(hand="celery")
    row.refresh_from_db()
    assert (row.state, row.rule) == ("failed", None)
    assert "group is gone" in row.last_error


def test_a_bad_order_names_the_field(start: datetime, rule: Rule) -> None:
    now = clock.now()
    for fields, name in (
        ({"end_at": start}, "end_at"),
        ({"end_at": now + timedelta(days=1)}, "end_at"),
        ({"start_at": now - timedelta(days=500)}, "start_at"),
        ({"zone": "Nowhere/At_all"}, "zone"),
    ):
        with pytest.raises(Invalid) as refused:
            backtest_order(rule, **{"start_at": start, "end_at": now, "actor": ALICE, "now": now, **fields})
        assert list(refused.value.problems) == [name]


def test_rest_answers_with_the_result_of_a_rule_and_of_a_draft(start: datetime, rule: Rule, editor: APIClient) -> None:
    asked = {"start_at": start.isoformat(), "end_at": end_of(start).isoformat()}
    answer = editor.post(f"{BASE}/rules/{rule.pk}/backtest/", asked, format="json")
    assert (answer.status_code, answer.json()["result"]["totals"]["pages"]) == (200, 5)
    draft = {"group": str(rule.group.pk), "name": "Hot", "kind": "promql", "spec": rule.spec, "severity": "high",
             "for_seconds": 240}  # fmt: skip
    answer = editor.post(f"{BASE}/backtests/", {**asked, "rule": draft}, format="json")
    assert (answer.status_code, answer.json()["rule"], answer.json()["result"]["totals"]["pages"]) == (200, None, 1)
    listed = editor.get(f"{BASE}/backtests/").json()["results"]
    assert [("result" in row, row["state"]) for row in listed] == [(False, "done")] * 2
    later = editor.post(f"{BASE}/rules/{rule.pk}/backtest/", {**asked, "wait": False}, format="json")
    assert (later.status_code, later.json()["state"]) == (202, "due")
    stopped = editor.post(f"{BASE}/backtests/{later.json()['id']}/cancel/")
    assert stopped.json()["state"] == "cancelled"
    bad = editor.post(f"{BASE}/backtests/", {"rule": {**draft, "spec": {"expr": "heat >"}}}, format="json")
    assert (bad.status_code, "expr: " in bad.content.decode()) == (400, True)
    assert AuditEntry.objects.filter(action="backtest.create").count() == 3


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("rules", "backtest", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_tries_rules_by_name_and_rule_files(start: datetime, rule: Rule, tmp_path: Path) -> None:
    text = printed("Hot", "--days", "0.04")
    assert "5 firings of 1 label sets" in text
    assert "5 to hook" in text
    file = tmp_path / "rules.yml"
    file.write_text("groups: [{name: g, rules: [{alert: Hotter, expr: heat > 80, for: 4m}, {record: a, expr: b}]}]")
    assert "Hotter: 0.04 days" in printed(str(file), "--days", "0.04")
    for arguments in (["nothing"], ["Hot", "--days", "0"], ["Hot", "--zone", "Nowhere/At_all"]):
        with pytest.raises(CommandError):
            printed(*arguments)


def test_a_longer_wait_is_suggested_where_it_loses_nothing_that_mattered(start: datetime, rule: Rule) -> None:
    long_one = start + timedelta(minutes=33)
    _acknowledged(rule, long_one)
    row = suggestions_of(rule, now=clock.now(), days=1)
    texts = [each["text"] for each in row.result["suggestions"]]
    assert "for 0s → 2m: 5 → 1 pages, 0 of 1 incidents lost" in texts
    assert all(each["lost"] == 0 for each in row.result["suggestions"])
    _acknowledged(rule, start + timedelta(minutes=2, seconds=30))
    row = suggestions_of(rule, now=clock.now(), days=1)
    assert not any(each["field"] == "for_seconds" and each["after"] >= 120 for each in row.result["suggestions"])
    assert (row.result["mattered"], row.result["pages"]) == (2, 5)


def _acknowledged(rule: Rule, at: datetime) -> None:
    labels = {"host": "a", "severity": "high"}
    alert, _ = Alert.objects.get_or_create(
        fingerprint="f" * 64, defaults={
            "name": "Hot", "rule": rule, "labels": labels, "state": "resolved", "severity": "high", "resolved_at": at,
            "started_at": at, "updated_at": at,
        },
    )  # fmt: skip
    AlertEvent.objects.create(alert=alert, episode=1, at=at, actor_kind="user", actor="ada", kind="acknowledged")


def test_a_quiet_rule_is_left_alone(start: datetime, rule: Rule) -> None:
    rule.spec = {"expr": "heat > 1000"}
    assert "no noise" in suggestions_of(rule, now=clock.now(), days=1).result["why_not"]


def test_a_day_is_asked_for_at_once(
    start: datetime, rule: Rule, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    backtest(rule, start_at=start, end_at=end_of(start))
    with django_assert_max_num_queries(40, connection=connection):
        found = backtest(rule, start_at=end_of(start) - timedelta(days=1), end_at=end_of(start))
    assert len(found.firings) == 5


def test_totals_count_overlapping_firings_once_for_the_pager_and_the_rules_own_alerts_apart() -> None:
    def firing(name: str, begin: float, end: float | None, withheld: str = "") -> Firing:
        told = Told(at=begin, policy="all", step=0, channels=("hook",), withheld=withheld, at_night=begin == 0)
        return Firing(
            labels={"host": name}, name=name, severity="high", started_at=begin, resolved_at=end, told=(told,)
        )

    found = Backtest(
        start_at=0, end_at=600, ticks=10,
        firings=(firing("a", 0, 120), firing("b", 60, 180), firing("c", 300, None, "silenced"),
                 firing("RuleWithoutData", 0, 60)),
    )  # fmt: skip
    sums = totals(found)
    assert (sums.firings, sums.about_the_rule, sums.open_at_end, sums.pages, sums.night_pages) == (3, 1, 1, 2, 1)
    assert (sums.pager_minutes, sums.withheld, sums.longest_seconds) == (3.0, {"silenced": 1}, 300.0)
