"""Checks are run on schedule, each in its own slot, and nothing is lost or written twice."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.accounts.services import Actor, source_named, token_issue, token_used
from aivillage_console.lib import clock, outbox
from health import tasks
from health.hooks import NEXT_CHECK
from health.intake.results import RESULT_DAYS, Found, result_store
from health.models import Check, CheckHour, CheckResult, Component, Pulse
from health.services import NotPossible, check_due, check_run_now, discover, ensure_own
from health.services.run_checks import runnable
from tests.health.conftest import Page, check_of

Register = Callable[[str, Callable[[], object]], None]
ACTOR = Actor.system("test")
pytestmark = pytest.mark.django_db


def one(check: Check) -> Check:
    return Check.objects.get(pk=check.pk)


def run() -> bool:
    return check_due(hand="celery", deadline_seconds=5)


def test_a_due_check_runs_and_leaves_a_result_an_hour_and_its_last_word(seeded: None, site: Page) -> None:
    check = check_of(kind="http", config={"url": site.url})
    assert run() is False
    row = one(check)
    assert (row.last_status, row.last_detail, row.failures, row.lease_token) == ("healthy", "answered 200", 0, None)
    assert row.due_at > clock.now() + timedelta(seconds=20)
    assert CheckResult.objects.get().status == "healthy"
    assert CheckHour.objects.get().healthy == 1
    assert row.component.last_seen_at is not None


def test_nothing_runs_before_it_is_due_nor_when_switched_off_nor_when_others_report_it(seeded: None) -> None:
    later = clock.now() + timedelta(seconds=5)
    check_of("later", due_at=later)
    check_of("off", enabled=False)
    check_of("reported", kind="reported")
    assert (run(), CheckResult.objects.count()) == (False, 0)


def test_failures_are_counted_until_it_is_well_again(seeded: None, site: Page) -> None:
    check = check_of(kind="http", config={"url": site.url})
    counted = []
    for status in (500, 500, 200):
        site.status = status
        Check.objects.update(due_at=clock.now())
        run()
        counted.append(one(check).failures)
    assert counted == [1, 2, 0]
    hour = CheckHour.objects.get()
    assert (hour.unhealthy, hour.healthy) == (2, 1)


def test_a_mistake_in_a_callable_is_its_own_result_and_takes_nobody_with_it(
    seeded: None, callable_named: Register, site: Page
) -> None:
    nothing: dict[str, bool] = {}
    callable_named("test", lambda: nothing["missing"])
    bad, good = check_of("bad"), check_of("good", kind="http", config={"url": site.url})
    run()
    assert (one(bad).last_status, one(bad).last_detail) == ("unhealthy", "KeyError: 'missing'")
    assert one(good).last_status == "healthy"


def test_a_check_that_hangs_is_written_down_and_holds_up_no_other(
    seeded: None, callable_named: Register, site: Page
) -> None:
    until = threading.Event()
    callable_named("test", until.wait)
    slow = check_of("slow", timeout_seconds=0.1)
    others = [check_of(f"c{i}", kind="http", config={"url": site.url}) for i in range(12)]
    try:
        run()
        assert one(slow).last_detail == "no answer within 0.1 s"
        assert {one(other).last_status for other in others} == {"healthy"}
        Check.objects.filter(pk=slow.pk).update(due_at=clock.now())
        run()
        assert one(slow).last_detail == "its last run has not ended yet"
    finally:
        until.set()


def test_an_answer_that_came_late_is_no_good_answer(seeded: None, callable_named: Register) -> None:
    gate = threading.Event()
    callable_named("test", lambda: not gate.wait(0.05))
    check = check_of(degraded_ms=10, unhealthy_ms=10_000)
    run()
    assert (one(check).last_status, one(check).last_detail[:5]) == ("degraded", "slow:")


def test_a_secret_that_cannot_be_opened_is_unknown_and_says_why(seeded: None) -> None:
    check = check_of(kind="redis", config={}, secret_sealed=b"\x01" + b"x" * 40)
    run()
    assert (one(check).last_status, "key" in one(check).last_detail) == ("unknown", True)


def test_who_slept_through_the_lease_writes_nothing(seeded: None, callable_named: Register) -> None:
    check = check_of()

    def another_claims() -> bool:
        Check.objects.filter(pk=check.pk).update(lease_token="00000000-0000-4000-8000-000000000001")
        return True

    row = outbox.claim(runnable(), now=clock.now())[0]
    another_claims()
    assert outbox.finish(row, last_status="healthy") is False
    assert one(check).last_status == "unknown"


def test_a_claimed_check_is_not_claimed_again_before_its_lease_ends(seeded: None) -> None:
    check_of()
    now = clock.now()
    assert len(outbox.claim(runnable(), now=now, limit=5)) == 1
    assert outbox.claim(runnable(), now=now, limit=5) == []
    assert len(outbox.claim(runnable(), now=now + timedelta(seconds=11), limit=5)) == 1


def test_run_now_runs_it_at_once_and_is_audited(seeded: None, site: Page) -> None:
    check = check_of(kind="http", config={"url": site.url}, due_at=clock.now() + timedelta(hours=1))
    assert check_run_now(check_id=check.pk, actor=ACTOR, now=clock.now()).last_status == "healthy"
    assert AuditEntry.objects.get().action == "check.run"


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"kind": "reported"}, "reports this check itself"), ({"enabled": False}, "switched off"),
     ({"lease_token": "00000000-0000-4000-8000-000000000001"}, "running just now")],
)  # fmt: skip
def test_run_now_says_why_it_cannot(seeded: None, fields: dict[str, Any], words: str) -> None:
    check = check_of(**{"due_at": clock.now() + timedelta(seconds=9), **fields})
    with pytest.raises(NotPossible, match=words):
        check_run_now(check_id=check.pk, actor=ACTOR, now=clock.now())
    assert CheckResult.objects.count() == 0


def test_a_late_result_is_history_and_changes_nothing(seeded: None) -> None:
    check = check_of()
    now = clock.now()
    Check.objects.filter(pk=check.pk).update(**result_store(check, Found(now, "healthy", 1.0)))
    assert result_store(one(check), Found(now - timedelta(seconds=5), "unhealthy", 1.0)) == {}
    assert CheckResult.objects.count() == 2


def test_a_check_drops_its_old_results_once_an_hour(seeded: None) -> None:
    check, now = check_of(), clock.now()
    old = now - timedelta(days=RESULT_DAYS, hours=1)
    CheckResult.objects.bulk_create(CheckResult(check_run=check, at=old, status="healthy") for _ in range(5))
    CheckHour.objects.create(check_run=check, hour_at=now - timedelta(days=91))
    result_store(check, Found(now, "healthy", 1.0))
    assert (CheckResult.objects.count(), CheckHour.objects.count()) == (1, 1)


def next_due() -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(NEXT_CHECK)
        due: datetime | None = cursor.fetchone()[0]
    return due


def test_the_sweeper_seeds_an_empty_console_and_then_waits_for_what_is_due() -> None:
    assert next_due() is not None
    Pulse.objects.create(name="seed", at=clock.now())
    assert next_due() is None
    check = check_of()
    assert next_due() == check.due_at


def test_the_console_s_own_components_are_put_in_place_once_and_stay_deleted() -> None:
    now = clock.now()
    assert ensure_own(now=now) == 13
    Component.objects.get(name="console-host").delete()
    assert (ensure_own(now=now), Component.objects.filter(name="console-host").exists()) == (0, False)
    assert Check.objects.filter(kind="callable").count() == 16


def test_a_name_somebody_took_before_stays_theirs() -> None:
    Component.objects.create(name="console-host", owner="eva")
    assert ensure_own(now=clock.now()) == 12
    assert Component.objects.get(name="console-host").owner == "eva"


def test_a_source_that_sends_becomes_a_component_that_is_not_green(seeded: None) -> None:
    now = clock.now()
    source = source_named("rag workers (2)")
    token, _ = token_issue(name="rag", kind="ingest", scopes=["ingest:metrics"], actor=ACTOR, now=now, source=source)
    assert discover(now=now) == 0
    token_used(token.pk, now=now)
    assert (discover(now=now), discover(now=now)) == (1, 0)
    found = Component.objects.get()
    assert (found.name, found.discovered_from, found.last_seen_at) == ("rag workers -2", "telemetry", now)


def test_the_task_leaves_the_worker_s_sign_of_life() -> None:
    ensure_own(now=clock.now())
    Check.objects.all().delete()
    tasks.check()
    assert Pulse.objects.get(name="worker").at <= clock.now()
