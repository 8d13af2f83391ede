"""`POST /api/v2/alerts` takes what is good, names what is not, and is idempotent."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from aivillage_console.accounts.models import Source
from aivillage_console.accounts.services import Actor, token_issue
from aivillage_console.lib import clock
from alerts.compat.alertmanager import alerts_door
from alerts.models import Alert
from alerts.services import resolve_timed_out
from metrics.selectors import recent_rejections

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Actor(kind="system", label="test", role="admin")
GOOD = {"labels": {"alertname": "DiskFull", "severity": "warning", "host": "a"}, "annotations": {"summary": "full"}}


@pytest.fixture
def token() -> str:
    source = Source.objects.create(name="prometheus", created_at=clock.now())
    issued = token_issue(
        name="prometheus", kind="ingest", scopes=["ingest:alerts"], actor=ROOT, now=clock.now(), source=source
    )
    return str(issued[1] if isinstance(issued, tuple) else issued)


def send(token: str, body: Any) -> HttpResponse:
    data = body if isinstance(body, str) else json.dumps(body)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return alerts_door(RequestFactory().post("/api/v2/alerts", data, content_type="application/json", headers=headers))


def test_an_alert_is_taken_with_its_severity_mapped(token: str) -> None:
    assert send(token, [GOOD]).status_code == 200
    alert = Alert.objects.get()
    assert (alert.name, alert.state, alert.severity) == ("DiskFull", "firing", "medium")
    assert alert.labels == {"severity": "medium", "severity_original": "warning", "host": "a"}


def test_sending_again_changes_nothing(token: str) -> None:
    send(token, [GOOD])
    before = Alert.objects.get()
    send(token, [GOOD, GOOD])
    after = Alert.objects.get()
    assert (after.version, after.episode, after.events.count()) == (before.version, 1, 1)


def test_an_end_in_the_past_resolves(token: str) -> None:
    send(token, [GOOD])
    send(token, [{**GOOD, "endsAt": "2020-01-01T00:00:00Z"}])
    assert Alert.objects.get().state == "resolved"


def test_the_zero_time_is_no_end_and_silence_is_one_after_five_minutes(token: str) -> None:
    send(token, [{**GOOD, "endsAt": "0001-01-01T00:00:00Z"}])
    now = clock.now()
    assert resolve_timed_out(now=now + timedelta(seconds=200)) == 0
    assert resolve_timed_out(now=now + timedelta(seconds=400)) == 1
    assert Alert.objects.get().resolved_because == "its sender stopped sending it"


def test_the_good_part_is_kept(token: str) -> None:
    answer = send(token, [GOOD, {"labels": {"a": "b"}}, 7])
    assert answer.status_code == 400
    assert "1 taken, 2 refused: alert 1: has no label alertname; alert 2: is not an object" in answer.content.decode()
    assert Alert.objects.count() == 1


BAD: list[tuple[Any, int]] = [
    ("{", 400), ("{}", 400), ("null", 400), ([GOOD] * 257, 413), ([{"labels": []}], 400),
    ([{"labels": {"alertname": 1}}], 400),
    ([{"labels": {"alertname": ""}}], 400), ([{"labels": {"alertname": "a", "b-c": "d"}}], 400),
    ([{"labels": {"alertname": "a\x00"}}], 400), ([{**GOOD, "startsAt": "yesterday"}], 400),
    ([{**GOOD, "endsAt": 7}], 400),
    ([{**GOOD, "startsAt": "2026-01-02T00:00:00Z", "endsAt": "2026-01-01T00:00:00Z"}], 400),
    ([{**GOOD, "annotations": {"a": "x" * 70_000}}], 400), ([{"labels": {"alertname": "a" * 5000}}], 400),
    ([{**GOOD, "startsAt": "2026-13-45T00:00:00Z"}], 400),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status"), BAD)
def test_bad_input_is_refused_with_a_message(token: str, body: Any, status: int) -> None:
    answer = send(token, body)
    assert answer.status_code == status
    assert len(json.loads(answer.content)["message"]) > 10
    assert Alert.objects.count() == 0


def test_without_the_scope_nothing_is_taken() -> None:
    assert send("", [GOOD]).status_code == 401
    assert send("obs_nonsense", [GOOD]).status_code == 401
    assert Alert.objects.count() == 0


@pytest.mark.parametrize(
    ("key", "body", "status", "words"),
    [("bad", [GOOD], 401, "not valid"), ("", "{", 400, "not JSON"), ("", [{"labels": {}}], 400, "no label alertname")],
)
def test_a_refused_call_is_kept_with_its_reason_for_the_setup_page(
    token: str, key: str, body: Any, status: int, words: str
) -> None:
    send(key or token, body)
    kept = recent_rejections(1)[0]
    assert (kept.door, kept.status, words in kept.reason) == ("alerts", status, True)
