"""A recording rule computed over the past: in slices, killed and taken up again, cancelled, ordered once more."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry, Source, User
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.models import RecordingBackfill, Rule, RuleGroup
from alerts.services import backfill_cancel, backfill_due, backfill_order
from alerts.services.configuration import Invalid
from metrics.ingest.rows import MetricRow
from metrics.ingest.writer import forget_series
from metrics.selectors import instant_query
from metrics.services import partitions_prepare, samples_append

ALICE = Actor(kind="user", id="1", label="alice")
BASE = "/api/console/v1"
MINUTES = 40
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_series_of_the_test_before() -> Iterator[None]:
    """Have what others write looked up, as in a process that was not there before."""
    forget_series()
    yield
    forget_series()


@pytest.fixture
def start(settings: Any) -> datetime:
    """Return a grid time forty minutes ago, since when the heat rose by one a minute and stopped for ten of them."""
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=False)
    now = clock.now()
    partitions_prepare(now=now)
    begin = clock.at_seconds(now.timestamp() - now.timestamp() % 60 - MINUTES * 60)
    source = Source.objects.create(name="test", service="test")
    begin_ms = round(begin.timestamp() * 1000)
    rows = [
        MetricRow(name="heat", type="gauge", value=float(i), labels={"host": "a"}, timestamp_ms=begin_ms + i * 60_000)
        for i in range(MINUTES)
        if not 10 <= i < 20
    ]
    assert samples_append(rows, source=source, now=now) == []
    return begin


@pytest.fixture
def rule(start: datetime) -> Rule:
    group = RuleGroup.objects.create(name="g", interval_seconds=60, due_at=start)
    spec = {"record": "heat:double", "expr": "heat * 2"}
    return Rule.objects.create(group=group, kind="recording", name="double", spec=spec, labels={"team": "a"})


def order(rule: Rule, start: datetime, minutes: float = MINUTES, **fields: Any) -> RecordingBackfill:
    end_at = start + timedelta(minutes=minutes)
    return backfill_order(rule, start_at=start, end_at=end_at, actor=ALICE, now=clock.now(), **fields)


def recorded(start: datetime, query: str = "heat:double") -> dict[int, float]:
    """Return the samples in the store by the minute they belong to."""
    end_ms = round((start + timedelta(minutes=MINUTES)).timestamp() * 1000)
    found = instant_query(f"{query}[2h]", at_ms=end_ms).range_vector
    if found is None or not found.labels:
        return {}
    (labels,) = found.labels
    assert labels == {"__name__": query, "host": "a", "team": "a"}
    begin_ms = end_ms - MINUTES * 60_000
    minutes = (found.timestamps_ms - begin_ms) / 60_000
    return dict(zip(minutes.tolist(), found.values.tolist(), strict=True))


# A value is found for five minutes after its last sample.
HELD = [*range(MINUTES), MINUTES]
EXPECTED = {
    minute: 2.0 * min(minute if not 10 <= minute < 20 else 9, MINUTES - 1) for minute in HELD if not 14 <= minute < 20
}


def test_the_past_is_written_at_the_times_of_the_grid(start: datetime, rule: Rule):
    row = order(rule, start)
    assert (row.steps, row.progress, row.end_at) == (MINUTES + 1, 0.0, start + timedelta(minutes=MINUTES))
    assert backfill_due(hand="celery") is False
    row.refresh_from_db()
    assert (row.state, row.steps_done, row.progress, row.last_error) == ("done", MINUTES + 1, 1.0, "")
    assert row.lease_token is None
    assert recorded(start) == EXPECTED
    ended_ms = round((start + timedelta(minutes=14, seconds=30)).timestamp() * 1000)
    assert not instant_query("heat:double", at_ms=ended_ms).present.any()


def test_slices_join_without_a_seam_and_again_changes_nothing(start: datetime, rule: Rule):
    row = order(rule, start)
    RecordingBackfill.objects.filter(pk=row.pk).update(slice_steps=7)
    backfill_due(hand="celery")
    assert recorded(start) == EXPECTED
    again = order(rule, start)
    backfill_due(hand="celery")
    again.refresh_from_db()
    assert (again.state, recorded(start)) == ("done", EXPECTED)
    ended_ms = round((start + timedelta(minutes=14, seconds=30)).timestamp() * 1000)
    assert not instant_query("heat:double", at_ms=ended_ms).present.any()


def test_the_range_is_brought_onto_the_grid(start: datetime, rule: Rule):
    shifted = start + timedelta(seconds=7)
    row = backfill_order(
        rule, start_at=shifted, end_at=shifted + timedelta(minutes=9), step_seconds=120, actor=ALICE, now=clock.now()
    )
    assert row.start_at.timestamp() % 120 == 0
    assert row.start_at >= shifted
    assert row.end_at <= shifted + timedelta(minutes=9)
    assert AuditEntry.objects.filter(action="rule.backfill").count() == 1


DIES_AFTER = """
import os, signal, sys
import django
django.setup()
from alerts.services import backfill
write, slices = backfill._write, []
def deadly(row, batch, steps, now):
    if len(slices) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    slices.append(1)
    return write(row, batch, steps, now)
backfill._write = deadly
backfill.backfill_due(hand="celery")
"""


def test_what_a_killed_process_had_begun_another_one_ends(start: datetime, rule: Rule):
    row = order(rule, start)
    RecordingBackfill.objects.filter(pk=row.pk).update(slice_steps=10)
    parts = urlsplit(os.environ["DATABASE_URL"])
    address = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    environment = {
        **os.environ, "DATABASE_URL": address, "ROLE": "worker",
        "DJANGO_SETTINGS_MODULE": "aivillage_console.settings",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", DIES_AFTER, "2"], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    row.refresh_from_db()
    assert (row.state, row.steps_done) == ("due", 20)
    assert row.lease_token is not None
    assert backfill_due(hand="celery") is False, "the lease of the dead still holds"
    assert max(recorded(start)) == 13
    later = clock.now() + timedelta(seconds=11)
    backfill_due(hand="celery", read_clock=lambda: later)
    row.refresh_from_db()
    assert (row.state, row.steps_done, recorded(start)) == ("done", MINUTES + 1, EXPECTED)


def test_a_cancelled_one_stops_and_its_worker_writes_nothing_more(
    start: datetime, rule: Rule, monkeypatch: pytest.MonkeyPatch
):
    row = order(rule, start)
    RecordingBackfill.objects.filter(pk=row.pk).update(slice_steps=10)
    clocks: list[datetime] = []

    def read_clock() -> datetime:
        clocks.append(clock.now())
        if len(clocks) == 3:
            backfill_cancel(row, actor=ALICE, now=clocks[-1])
        return clocks[-1]

    backfill_due(hand="celery", read_clock=read_clock)
    row.refresh_from_db()
    assert (row.state, row.steps_done) == ("cancelled", 10)
    assert max(recorded(start)) == 9
    assert backfill_cancel(row, actor=ALICE, now=clock.now()).state == "cancelled"


def test_a_query_that_never_works_is_given_up_with_its_reason(start: datetime, rule: Rule):
    rule.spec = {"record": "heat:double", "expr": "heat * 2", "limit": 1}
    source = Source.objects.get(name="test")
    at_ms = round(start.timestamp() * 1000)
    extra = MetricRow(name="heat", type="gauge", value=1.0, labels={"host": "b"}, timestamp_ms=at_ms)
    assert samples_append([extra], source=source, now=clock.now()) == []
    row = order(rule, start)
    backfill_due(hand="celery")
    row.refresh_from_db()
    assert (row.state, row.steps_done, row.slice_steps) == ("failed", 0, 1)
    assert "at most 1 are recorded" in row.last_error


@pytest.mark.parametrize(
    ("first", "last", "step_seconds", "field", "words"),
    [
        (-timedelta(days=200), timedelta(0), 60, "start_at", "Samples are kept for"),
        (timedelta(0), timedelta(days=2), 60, "end_at", "in the future"),
        (timedelta(minutes=2), timedelta(0), 60, "end_at", "before the start"),
        (timedelta(seconds=1), timedelta(seconds=2), 60, "end_at", "No time of the grid"),
        (timedelta(0), timedelta(minutes=2), 100_000, "step_seconds", "A step is"),
        (-timedelta(days=80), timedelta(0), 1, "step_seconds", "take a longer step"),
    ],
)
def test_a_range_that_cannot_be_is_refused_by_field(
    start: datetime, rule: Rule, first: timedelta, last: timedelta, step_seconds: int, field: str, words: str
):
    with pytest.raises(Invalid) as refused:
        backfill_order(
            rule, start_at=start + first, end_at=start + last, step_seconds=step_seconds, actor=ALICE, now=clock.now()
        )
    assert words in refused.value.problems[field]


def test_only_one_at_a_time_and_only_of_recording_rules(start: datetime, rule: Rule):
    order(rule, start)
    with pytest.raises(Invalid, match="already"):
        order(rule, start)
    alerting = Rule.objects.create(group=rule.group, name="Hot", spec={"expr": "heat > 1"})
    with pytest.raises(Invalid, match="only recording rules"):
        order(alerting, start)


def test_the_command_orders_works_and_tells(start: datetime, rule: Rule):
    said = StringIO()
    call_command("recording_backfill", "heat:double", "--from", start.isoformat(), stdout=said)
    assert "100%" in said.getvalue()
    assert len(recorded(start)) >= len(EXPECTED)
    with pytest.raises(CommandError, match="there is no rule nothing"):
        call_command("recording_backfill", "nothing", "--from", "1h")
    with pytest.raises(CommandError, match="--from: write"):
        call_command("recording_backfill", "double", "--from", "yesterday")
    call_command("recording_backfill", str(rule.pk), "--from", "30m", "--step", "5m", "--detach", stdout=said)
    assert RecordingBackfill.objects.get(state="due").step_seconds == 300


@pytest.fixture
def client() -> Callable[[str], APIClient]:
    def signed_in(role: str) -> APIClient:
        user, _ = User.objects.get_or_create(email=f"{role}@example.org", defaults={"role": role, "password": "!"})
        caller = APIClient()
        caller.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return caller

    return signed_in


def test_it_is_ordered_watched_and_cancelled_over_rest(start: datetime, rule: Rule, client: Callable[[str], APIClient]):
    body = {"start_at": start.isoformat(), "end_at": (start + timedelta(minutes=5)).isoformat()}
    address = f"{BASE}/rules/{rule.pk}/backfill/"
    assert client("viewer").post(address, body, format="json").status_code == 403
    made = client("editor").post(address, body, format="json")
    assert (made.status_code, made.json()["steps"], made.json()["progress"]) == (202, 6, 0.0)
    again = client("editor").post(address, body, format="json")
    assert (again.status_code, "already" in str(again.json())) == (400, True)
    one = f"{BASE}/backfills/{made.json()['id']}/"
    assert client("viewer").get(one).json()["state"] == "due"
    assert client("editor").post(f"{one}cancel/").json()["state"] == "cancelled"
    assert [row["id"] for row in client("viewer").get(f"{BASE}/backfills/").json()["results"]] == [made.json()["id"]]


def test_an_editor_orders_one_in_the_admin_site(start: datetime, rule: Rule, client: Callable[[str], APIClient]):
    page = "/admin/alerts/recordingbackfill/add/"
    assert "Step in seconds" in client("editor").get(page).content.decode()
    end = start + timedelta(minutes=5)
    form = {
        "rule": str(rule.pk), "start_at_0": f"{start:%Y-%m-%d}", "start_at_1": f"{start:%H:%M:%S}",
        "end_at_0": f"{end:%Y-%m-%d}", "end_at_1": f"{end:%H:%M:%S}", "step_seconds": "",
    }  # fmt: skip
    answer = client("editor").post(page, form, format="multipart")
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    row = RecordingBackfill.objects.get()
    assert (row.start_at, row.end_at, row.created_by) == (start, end, "editor@example.org")
    refused = client("editor").post(page, form, format="multipart")
    assert "being computed over the past already" in refused.content.decode()
    listed = client("editor").get("/admin/alerts/recordingbackfill/").content.decode()
    assert "0%" in listed
