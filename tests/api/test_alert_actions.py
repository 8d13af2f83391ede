"""What people do to alerts and messages over REST, and how lists are filtered and paged."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry, User
from alerts.models import Alert, Channel, DeliveryAttempt, Notification

BASE = "/api/console/v1"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACTIONS = ["acknowledge", "unacknowledge", "snooze", "unsnooze", "resolve", "reopen", "assign", "note"]
Api = Callable[[str], APIClient]


def alert_made(number: int, **changes: Any) -> Alert:
    at = START + timedelta(minutes=number)
    facts: dict[str, Any] = {"name": f"A{number}", "state": "firing", "severity": "high"}
    return Alert.objects.create(fingerprint=f"{number:064d}", started_at=at, updated_at=at, **facts | changes)


def message_made(state: str, alert: Alert, **changes: Any) -> Notification:
    ends: dict[str, dict[str, Any]] = {
        "due": {}, "done": {"sent_at": START, "finished_at": START}, "failed": {"finished_at": START},
        "cancelled": {"finished_at": START, "cancelled_because": "acknowledged", "withheld": "acknowledged"},
    }  # fmt: skip
    facts: dict[str, Any] = {"kind": "fire", "channel_name": "hook", "key": f"{state}{alert.pk}", **ends[state]}
    facts |= {"created_at": START, "due_at": START, "deadline_at": START + timedelta(minutes=5)}
    return Notification.objects.create(alert=alert, state=state, **facts | changes)


@pytest.fixture
def alert(db: None) -> Alert:
    return alert_made(1)


def body_of(action: str, version: int) -> dict[str, Any]:
    more: dict[str, Any] = {"assign": {"assignee": None}, "snooze": {"seconds": 60}}.get(action, {})
    return {"version": version, "reason": "looked at it", **more}


def test_acknowledging_names_who_and_why(api: Api, alert: Alert) -> None:
    shown = api("responder").post(f"{BASE}/alerts/{alert.pk}/acknowledge/", body_of("acknowledge", 1)).json()
    assert (shown["acked_by"], shown["ack_reason"], shown["version"]) == ("responder@example.org", "looked at it", 2)
    assert shown["shown_state"] == "acknowledged"
    events = api("viewer").get(f"{BASE}/alerts/{alert.pk}/events/").json()["results"]
    assert [(row["kind"], row["actor"], row["reason"]) for row in events] == [
        ("acknowledged", "responder@example.org", "looked at it")
    ]


def test_resolving_ends_the_episode_and_the_second_time_is_refused(api: Api, alert: Alert) -> None:
    path = f"{BASE}/alerts/{alert.pk}/resolve/"
    shown = api("responder").post(path, body_of("resolve", 1)).json()
    assert (shown["state"], shown["resolved_because"]) == ("resolved", "looked at it")
    again = api("responder").post(path, body_of("resolve", 2))
    assert (again.status_code, again.json()["errors"][0]["detail"]) == (400, "The alert is resolved already.")


def test_assigning_gives_the_alert_to_a_person_and_takes_it_back(api: Api, alert: Alert) -> None:
    bob = User.objects.create_user("bob@example.org", None)
    path = f"{BASE}/alerts/{alert.pk}/assign/"
    assert api("responder").post(path, {"version": 1, "assignee": str(bob.pk)}).json()["assignee"] == str(bob.pk)
    assert api("responder").post(path, {"version": 2, "assignee": None}).json()["assignee"] is None


def test_nobody_disabled_or_unknown_is_assigned(api: Api, alert: Alert) -> None:
    gone = User.objects.create_user("gone@example.org", None)
    User.objects.filter(pk=gone.pk).update(disabled_at=START)
    for person in (str(gone.pk), "00000000-0000-4000-8000-000000000000", "nonsense", 7):
        answer = api("responder").post(f"{BASE}/alerts/{alert.pk}/assign/", {"version": 1, "assignee": person})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/assignee")


def test_a_note_is_in_the_story_and_an_empty_one_is_refused(api: Api, alert: Alert) -> None:
    path = f"{BASE}/alerts/{alert.pk}/note/"
    assert api("responder").post(path, {"version": 1, "reason": "disk swapped"}).status_code == 200
    assert alert.events.get().reason == "disk swapped"
    for body in ({"version": 2}, {"version": 2, "reason": "  "}, {"version": 2, "reason": "x" * 4001}):
        answer = api("responder").post(path, body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/reason")


@pytest.mark.parametrize("action", ACTIONS)
def test_a_version_that_is_gone_is_409_with_the_fresh_alert(api: Api, alert: Alert, action: str) -> None:
    Alert.objects.update(version=5)
    answer = api("responder").post(f"{BASE}/alerts/{alert.pk}/{action}/", body_of(action, 4))
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "errors", "fresh"}
    assert (problem["type"], problem["title"], problem["status"]) == ("about:blank", "Conflict", 409)
    assert problem["fresh"] == api("viewer").get(f"{BASE}/alerts/{alert.pk}/").json()
    assert problem["fresh"]["version"] == 5
    assert not AuditEntry.objects.exists()
    assert not alert.events.exists()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("version", [None, 0, "x", 1.5, [1]])
def test_an_action_needs_the_version_that_was_seen(api: Api, alert: Alert, action: str, version: Any) -> None:
    body = {name: value for name, value in body_of(action, 1).items() if name != "version"}
    answer = api("responder").post(f"{BASE}/alerts/{alert.pk}/{action}/", body | {"version": version})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/version")
    assert not AuditEntry.objects.exists()


def test_two_people_act_and_one_is_told_of_the_other(api: Api, alert: Alert) -> None:
    path = f"{BASE}/alerts/{alert.pk}/acknowledge/"
    assert api("responder").post(path, body_of("acknowledge", 1)).status_code == 200
    second = api("editor").post(path, body_of("acknowledge", 1))
    assert (second.status_code, second.json()["fresh"]["acked_by"]) == (409, "responder@example.org")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "title"),
    [
        ("get", "/alerts/999999999/", None, 404, "Not Found"),
        ("put", "/alerts/", {}, 405, "Method Not Allowed"),
        ("post", "/alerts/{}/resolve/", {"version": "x"}, 400, "Bad Request"),
        ("post", "/alerts/{}/resolve/", "{", 400, "Bad Request"),
        ("post", "/tokens/", {}, 403, "Forbidden"),
        ("get", "/alerts/?state=loud", None, 400, "Bad Request"),
        ("get", "/alerts/?cursor=nonsense", None, 404, "Not Found"),
    ],
)
def test_every_refusal_is_a_problem(
    api: Api, alert: Alert, method: str, path: str, body: Any, status: int, title: str
) -> None:
    client, target = api("responder"), BASE + path.format(alert.pk)
    if isinstance(body, str):
        answer = client.generic("POST", target, body, content_type="application/json")
    else:
        answer = getattr(client, method)(target, body)
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["title"]) == (status, status, title)
    assert (problem["type"], isinstance(problem["detail"], str)) == ("about:blank", True)
    assert all(set(error) == {"pointer", "detail"} for error in problem["errors"])


def test_a_failed_message_is_owed_again_with_a_deadline_of_its_own(api: Api, alert: Alert) -> None:
    row = message_made("failed", alert, channel=Channel.objects.create(name="hook"))
    answer = api("responder").post(f"{BASE}/notifications/{row.pk}/retry/")
    assert (answer.status_code, answer.json()["state"], answer.json()["finished_at"]) == (200, "due", None)
    assert answer.json()["key"] == row.key
    row.refresh_from_db()
    assert row.deadline_at > datetime.now(UTC)
    assert AuditEntry.objects.get().action == "notification.replay"


@pytest.mark.parametrize("state", ["due", "done", "cancelled"])
def test_only_a_failed_message_is_sent_again(api: Api, alert: Alert, state: str) -> None:
    row = message_made(state, alert)
    answer = api("responder").post(f"{BASE}/notifications/{row.pk}/retry/")
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")
    row.refresh_from_db()
    assert row.state == state
    assert not AuditEntry.objects.exists()


def test_every_try_of_a_message_is_shown(api: Api, alert: Alert) -> None:
    row = message_made("failed", alert)
    for outcome, status in (("retryable", 503), ("refused", 400)):
        DeliveryAttempt.objects.create(notification=row, at=START, outcome=outcome, status=status)
    tries = api("viewer").get(f"{BASE}/notifications/{row.pk}/attempts/").json()["results"]
    assert [item["status"] for item in tries] == [400, 503]


def numbers(client: APIClient, query: str) -> list[str]:
    answer = client.get(f"{BASE}/alerts/?{query}")
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["results"]]


def test_the_list_is_filtered(api: Api) -> None:
    bob = User.objects.create_user("bob@example.org", None)
    alert_made(1, severity="critical")
    alert_made(2, state="resolved", resolved_at=START + timedelta(hours=1))
    alert_made(3, acked_at=START, acked_by="bob")
    alert_made(4, assignee=bob)
    viewer = api("viewer")
    wanted = {
        "severity=critical": ["A1"],
        "state=resolved": ["A2"],
        "acknowledged=true": ["A3"],
        "acknowledged=false&state=firing": ["A4", "A1"],
        f"assignee={bob.pk}": ["A4"],
        "name=A3": ["A3"],
        f"fingerprint={1:064d}": ["A1"],
        "started_after=2026-11-20T12:03:00Z": ["A4", "A3"],
        "started_before=2026-11-20T12:02:00Z": ["A1"],
        "name=A1&state=resolved": [],
    }
    assert {query: numbers(viewer, query) for query in wanted} == wanted


def test_messages_are_filtered_by_state_alert_and_kind(api: Api) -> None:
    first, second = alert_made(1), alert_made(2)
    failed, sent = message_made("failed", first), message_made("done", second, kind="resolve")
    for query, row in ((f"alert={first.pk}", failed), ("state=done", sent), ("kind=resolve", sent)):
        found = api("viewer").get(f"{BASE}/notifications/?{query}").json()["results"]
        assert [item["id"] for item in found] == [row.pk]


def test_pages_neither_repeat_nor_skip_while_alerts_come_in(api: Api) -> None:
    for number in range(7):
        alert_made(number)
    viewer, seen = api("viewer"), []
    page = viewer.get(f"{BASE}/alerts/?limit=3").json()
    while True:
        seen += [row["name"] for row in page["results"]]
        alert_made(100 + len(seen))
        if page["next"] is None:
            break
        page = viewer.get(page["next"]).json()
    assert seen == ["A6", "A5", "A4", "A3", "A2", "A1", "A0"]
    assert page["previous"] is not None


@pytest.mark.parametrize(("limit", "shown"), [("1", 1), ("5", 5), ("0", 5), ("x", 5), ("-1", 5), ("100000", 5)])
def test_a_strange_page_size_is_no_error(api: Api, limit: str, shown: int) -> None:
    for number in range(5):
        alert_made(number)
    assert len(numbers(api("viewer"), f"limit={limit}")) == shown
