"""The doors other tools call: who may, how much, stored before it is answered, and what comes of it."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from aivillage_console.lib import clock
from aivillage_console.lib.ratelimit import Buckets, Limit
from alerts import tasks
from alerts.inbound import calls
from alerts.models import Alert, ChangeEvent, InboundKey, InboundMessage, Integration
from alerts.services import inbound_due, integration_rotate, resolve_timed_out
from alerts.services.messages import MOST_ATTEMPTS, messages_retain
from metrics.models import RejectedRequest
from tests.alerts.inbound.sending import SYSTEM, alert, dealt, issued, post

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a secret only the tool knows"
FIRING = {"title": "Disk full", "state": "firing", "severity": "critical", "host": "db-1"}


@pytest.fixture(autouse=True)
def fresh_callers() -> None:
    """Let no test pay for the calls of another."""
    for buckets in (calls.ADDRESSES, calls.SENDERS):
        buckets.clear()


def test_a_message_is_stored_answered_and_then_an_alert() -> None:
    made = issued("generic", labels={"team": "shop"})
    answer = post(f"/hooks/generic/{made.token}/", FIRING)
    assert (answer.status_code, answer.json()["status"], answer.json()["alerts"]) == (202, "stored", 1)
    assert Alert.objects.count() == 0
    tasks.sync()
    found = alert()
    assert (found.name, found.state, found.severity) == ("Disk full", "firing", "critical")
    assert found.labels == {"host": "db-1", "team": "shop"}
    assert (found.source, found.ends_at) == (made.integration.source, None)
    assert str(InboundMessage.objects.get().request_id) == answer.json()["id"]


def test_the_end_finds_its_beginning_though_title_and_severity_moved() -> None:
    path = f"/hooks/generic/{issued('generic').token}/"
    post(path, {"title": "[Triggered] Disk full", "state": "alerting", "severity": "warning", "host": "a"})
    post(path, {"title": "[Triggered] Disk full", "state": "alerting", "severity": "critical", "host": "a"})
    post(path, {"title": "[Recovered] Disk full", "state": "ok", "severity": "ok", "host": "a"})
    assert dealt() == "1 resolved"
    found = alert()
    assert (found.state, found.severity, found.resolved_because) == (
        "resolved",
        "critical",
        "its sender says it is over",
    )
    assert [event.kind for event in found.events.order_by("id")] == ["started", "worsened", "resolved"]
    post(path, {"title": "Disk full", "state": "ok", "host": "a"})
    assert dealt() == "1 not open here"


def test_the_same_again_changes_nothing_and_after_the_end_it_begins_anew() -> None:
    path = f"/hooks/generic/{issued('generic').token}/"
    for body in (FIRING, FIRING, {**FIRING, "state": "ok"}, FIRING):
        post(path, body)
    dealt()
    assert [event.kind for event in alert().events.order_by("id")] == ["started", "resolved", "reopened"]


def test_two_integrations_do_not_end_each_others_alerts() -> None:
    first, second = issued("generic", "one"), issued("generic", "two")
    post(f"/hooks/generic/{first.token}/", FIRING)
    dealt()
    post(f"/hooks/generic/{second.token}/", {**FIRING, "state": "ok"})
    assert dealt() == "1 not open here"
    assert alert().state == "firing"


def test_messages_of_one_sender_are_dealt_with_in_turn_and_others_do_not_wait() -> None:
    first, second = issued("generic", "one"), issued("generic", "two")
    post(f"/hooks/generic/{first.token}/", FIRING)
    post(f"/hooks/generic/{first.token}/", {**FIRING, "state": "ok"})
    post(f"/hooks/generic/{second.token}/", {"title": "Other", "host": "x"})
    head = InboundMessage.objects.order_by("id")[0]
    InboundMessage.objects.filter(pk=head.pk).update(due_at=clock.now() + timedelta(seconds=9))
    inbound_due(hand="celery")
    assert [row.state for row in InboundMessage.objects.order_by("id")] == ["due", "due", "done"]
    InboundMessage.objects.filter(pk=head.pk).update(due_at=clock.now())
    inbound_due(hand="celery")
    assert Alert.objects.get(name="Disk full").state == "resolved"


def test_what_nobody_could_do_is_given_up_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"/hooks/generic/{issued('generic').token}/"
    post(path, FIRING)
    InboundMessage.objects.update(attempts=MOST_ATTEMPTS, last_error="it broke")
    post(path, {"title": "Next", "host": "x"})
    inbound_due(hand="celery")
    assert [row.state for row in InboundMessage.objects.order_by("id")] == ["quarantined", "done"]
    assert "it broke" in InboundMessage.objects.order_by("id")[0].outcome


def test_a_broken_intake_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = issued("generic")
    post(f"/hooks/generic/{made.token}/", FIRING)
    Integration.objects.update(mapping={"items": 7})
    assert inbound_due(hand="celery") is False
    row = InboundMessage.objects.get()
    assert (row.state, row.attempts) == ("due", 1)
    assert row.last_error


def test_alerts_end_by_silence_where_the_integration_says_so() -> None:
    made = issued("generic", silent_after_seconds=60)
    post(f"/hooks/generic/{made.token}/", FIRING)
    dealt()
    assert alert().ends_at is not None
    resolve_timed_out(now=clock.now() + timedelta(seconds=61))
    assert alert().state == "resolved"


@pytest.mark.parametrize("spoil", ["unknown", "short", "off", "rotated", "other tool"])
def test_a_token_that_opens_nothing_looks_like_no_integration(spoil: str) -> None:
    made = issued("generic")
    token = {"unknown": "x" * 32, "short": "x"}.get(spoil, made.token)
    if spoil == "off":
        Integration.objects.update(enabled=False)
    if spoil == "rotated":
        new = integration_rotate(made.integration, actor=SYSTEM, now=clock.now()).token
        assert post(f"/hooks/generic/{new}/", FIRING).status_code == 202
    answer = post(f"/hooks/{'grafana' if spoil == 'other tool' else 'generic'}/{token}/", FIRING)
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such integration.")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert InboundMessage.objects.filter(body=b"x").count() == 0


def test_the_token_is_kept_as_a_hash_and_may_stand_in_a_header() -> None:
    made = issued("generic")
    row = Integration.objects.get()
    assert made.token not in json.dumps([str(value) for value in Integration.objects.values_list()[0]])
    assert row.token_sha256 == hashlib.sha256(made.token.encode()).hexdigest()
    assert post("/hooks/generic/", FIRING, Authorization=f"Bearer {made.token}").status_code == 202
    assert post("/hooks/generic/", FIRING).status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"x" * 1_000_001, "application/json", 413),
        (b"not json", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"\xff\xfe{}", "application/json", 400),
        (b'{"a": NaN}', "application/json", 400),
        (b'{"title": "a", "title": "b"}', "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"title": "x"}', "text/plain; charset=UTF-8", 202),
        (urlencode({"payload": '{"title": "x"}'}).encode(), "application/x-www-form-urlencoded", 202),
        (urlencode({"Name": "Shop", "Status": "Down"}).encode(), "application/x-www-form-urlencoded", 202),
        (b"=", "application/x-www-form-urlencoded", 400),
    ],
)
def test_a_body_has_bounds_and_a_shape(body: bytes, content_type: str, status: int) -> None:
    answer = post(f"/hooks/generic/{issued('generic').token}/", body, content_type=content_type)
    assert answer.status_code == status, answer.content
    assert (InboundMessage.objects.count(), RejectedRequest.objects.count()) == ((1, 0) if status == 202 else (0, 1))


def test_a_refusal_is_shown_without_the_token() -> None:
    made = issued("generic")
    post(f"/hooks/generic/{made.token}/", b"not json")
    row = RejectedRequest.objects.get()
    assert (row.status, row.source_id) == (400, made.integration.source_id)
    assert made.token not in row.excerpt


def signed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Signature-256", "sha256={}"),
        ("X-Hub-Signature-256", "sha256={}"),
        ("X-PagerDuty-Signature", "v1=old,v1={}"),
        ("X-Grafana-Alerting-Signature", "{}"),
    ],
)
def test_where_there_is_a_secret_the_body_is_signed(header: str, value: str) -> None:
    path = f"/hooks/generic/{issued('generic', secret=SECRET).token}/"
    body = json.dumps(FIRING).encode()
    assert post(path, body, **{header: value.format(signed(body))}).status_code == 202
    for wrong in ("", value.format(signed(b"other")), "sha256=", signed(body)[:-1]):
        assert post(path, body, **{header: wrong}).status_code == 401
    assert InboundMessage.objects.count() == 1


def test_gitlab_shows_its_secret_and_its_event_and_is_taken_once() -> None:
    path = f"/hooks/gitlab/{issued('gitlab', secret=SECRET).token}/"
    body = {
        "project": {"path_with_namespace": "shop/web"},
        "object_attributes": {"id": 1, "ref": "main", "status": "failed"},
    }
    headers = {"X-Gitlab-Event": "Pipeline Hook", "X-Gitlab-Event-UUID": "u1"}
    assert post(path, body, **headers).status_code == 401
    assert post(path, body, **headers, **{"X-Gitlab-Token": SECRET}).status_code == 202
    again = post(path, body, **headers, **{"X-Gitlab-Token": SECRET})
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")
    assert dealt() == "1 firing; 1 change"
    change = ChangeEvent.objects.get()
    assert (change.kind, change.status, change.labels["project"]) == ("build", "failed", "shop/web")
    assert alert().name == "GitLab pipeline failed"


def test_what_comes_too_fast_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    made = issued("generic")
    monkeypatch.setattr(calls, "ADDRESSES", Buckets(Limit(per_second=0.001, burst=25)))
    statuses = [post(f"/hooks/generic/{'x' * 32}/", FIRING).status_code for _ in range(8)]
    assert statuses == [404] * 7 + [429]
    calls.ADDRESSES.clear()
    monkeypatch.setattr(calls, "SENDERS", Buckets(Limit(per_second=0.001, burst=1)))
    answers = [post(f"/hooks/generic/{made.token}/", FIRING) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert int(answers[1].headers["Retry-After"]) > 1


def test_other_methods_are_refused_and_addresses_of_their_own_are_theirs() -> None:
    made = issued("generic")
    answer = Client().get(f"/hooks/generic/{made.token}/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert post(f"/hooks/pagerduty/{issued('pagerduty').token}/", FIRING).status_code == 404
    assert post(f"/hooks/nothing/{made.token}/", FIRING).status_code == 404


def test_a_group_of_alertmanager_is_taken_and_its_bad_part_named() -> None:
    made = issued("alertmanager")
    good = {"status": "firing", "labels": {"alertname": "Hot", "severity": "page"}, "fingerprint": "f"}
    answer = post(f"/hooks/alertmanager/{made.token}/", {"alerts": [good, {"labels": {}}]})
    assert (answer.status_code, answer.json()["problems"]) == (202, ["alert 1: has no label alertname"])
    assert dealt() == "1 firing; alert 1: has no label alertname"
    found = alert()
    assert (found.name, found.severity, found.labels) == (
        "Hot",
        "critical",
        {"integration": "alertmanager", "severity_original": "page"},
    )
    post(f"/hooks/alertmanager/{made.token}/", {"alerts": [{**good, "status": "resolved"}]})
    assert dealt() == "1 resolved"


@pytest.mark.parametrize(
    ("kind", "tool"),
    [
        ("formatted_webhook", "oncall"),
        ("alertmanager", "alertmanager"),
        ("grafana_alerting", "grafana"),
        ("webhook", "generic"),
    ],
)
def test_oncalls_addresses_answer_ok(kind: str, tool: str) -> None:
    body: dict[str, Any] = {"alert_uid": "u", "title": "Down", "state": "alerting", "labels": {"alertname": "Down"}}
    path = f"/integrations/v1/{kind}/{issued(tool).token}/"
    answer = post(path, body)
    assert (answer.status_code, answer.content) == (200, b"Ok.")
    assert post(path, b"not json").status_code == 400
    dealt()
    assert alert().name == "Down"
    assert post(f"/integrations/v1/inbound_email/{'x' * 32}/", body).status_code == 404


def test_old_messages_lose_their_bodies_then_go() -> None:
    post(f"/hooks/generic/{issued('generic').token}/", FIRING)
    dealt()
    messages_retain(now=clock.now() + timedelta(days=8))
    assert bytes(InboundMessage.objects.get().body) == b""
    messages_retain(now=clock.now() + timedelta(days=91))
    assert InboundMessage.objects.count() == 0


def test_a_message_for_what_was_switched_off_meanwhile_is_ignored() -> None:
    made = issued("generic")
    post(f"/hooks/generic/{made.token}/", FIRING)
    Integration.objects.update(enabled=False)
    assert dealt() == "ignored: the integration was switched off meanwhile"
    assert InboundKey.objects.count() == 0


def test_what_is_said_to_be_a_change_pages_nobody() -> None:
    made = issued("generic", makes="changes", mapping={"kind": "'deploy'", "status": "state"})
    post(f"/hooks/generic/{made.token}/", {"title": "Deploy of shop", "state": "success", "app": "shop"})
    assert dealt() == "1 change"
    assert (Alert.objects.count(), ChangeEvent.objects.get().kind, ChangeEvent.objects.get().status) == (
        0,
        "deploy",
        "success",
    )
