"""The record kind `security-events` through its door."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from django.test import Client

from aivillage_console.accounts import services as accounts
from aivillage_console.lib import clock
from security import intake
from security.models import SecurityEvent
from tests.security.conftest import Teller

SYSTEM = accounts.Actor.system("test")


@pytest.fixture
def send(db: None) -> Callable[..., Any]:
    """Return what posts rows to the door with a proper token."""
    source = accounts.source_named("edge")
    _, plain = accounts.token_issue(
        name="edge", kind="ingest", scopes=["ingest:security"], source=source, actor=SYSTEM, now=clock.now()
    )
    client = Client(headers={"authorization": f"Bearer {plain}"})

    def post(*rows: dict[str, Any], batch_id: str = "b1") -> Any:
        body = {"batch_id": batch_id, "rows": list(rows)}
        answer = client.post("/api/v1/ingest/security-events", body, content_type="application/json")
        assert answer.status_code == 200, answer.content
        return answer.json()

    return post


def test_rows_are_stored_as_due_work(send: Callable[..., Any]) -> None:
    answer = send({"event_type": "auth_failure", "user_id": "bob", "source_ip": "192.0.2.7", "severity": "HIGH"})
    assert (answer["accepted"], answer["rejected"]) == (1, [])
    event = SecurityEvent.objects.get()
    assert (event.user_id, event.source_ip, event.severity, event.signal) == ("bob", "192.0.2.7", "high", "failure")
    assert (event.detected_at, event.threat_score, event.due_at) == (None, None, event.received_at)
    assert event.source is not None
    assert event.source.name == "edge"


def test_the_bad_rows_are_named_and_the_good_ones_kept(send: Callable[..., Any]) -> None:
    bad = [
        {"event_type": ""}, {"event_type": "x" * 65}, {"event_type": "a", "source_ip": "not an address"},
        {"event_type": "a", "source_ip": "fe80::1%eth0"}, {"event_type": "a", "threat_score": 1.5},
        {"event_type": "a", "at_ms": 1}, {"event_type": "a", "event_id": "e" * 65}, {"event_type": 7},
        {"event_type": "a", "details": {"body": "x" * 17_000}}, {"event_type": "a", "at_ms": 10**30},
        {"event_type": "a", "org_id": "mine"},
    ]  # fmt: skip
    answer = send(*bad, {"event_type": "auth_success"})
    assert answer["accepted"] == 1
    assert [each["row"] for each in answer["rejected"]] == list(range(len(bad)))
    reasons = " | ".join(each["reason"] for each in answer["rejected"])
    for part in ("64 characters", "no IPv4 or IPv6", "zone", "0 to 1", "window", "org_id", "16384"):
        assert part in reasons, part
    assert SecurityEvent.objects.get().event_type == "auth_success"


def test_the_same_event_again_is_taken_and_not_stored_again(send: Callable[..., Any]) -> None:
    row = {"event_type": "auth_failure", "event_id": "e1"}
    assert send(row, row)["accepted"] == 2
    assert send(row, batch_id="b2")["accepted"] == 1
    assert SecurityEvent.objects.count() == 1


def test_events_without_an_id_are_each_stored(send: Callable[..., Any]) -> None:
    send({"event_type": "auth_failure"}, {"event_type": "auth_failure"})
    assert SecurityEvent.objects.count() == 2


def test_nul_characters_hide_nothing(send: Callable[..., Any]) -> None:
    send({"event_type": "auth\0failure", "user_id": "ad\0min", "details": {"in\0put_data": ["a\0b", {"c": "\0"}]}})
    event = SecurityEvent.objects.get()
    assert "\0" not in event.event_type + event.user_id
    assert event.details == {"in\ufffdput_data": ["a\ufffdb", {"c": "\ufffd"}]}


def test_a_long_user_name_is_cut_and_not_refused(send: Callable[..., Any]) -> None:
    assert send({"event_type": "auth_failure", "user_id": "u" * 5000})["accepted"] == 1
    assert SecurityEvent.objects.get().user_id == "u" * intake.MAX_USER


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("::ffff:192.0.2.7", "192.0.2.7"), ("2001:DB8:0::1", "2001:db8::1"), (" 192.0.2.7 ", "192.0.2.7"), ("", None)],
)
def test_an_address_has_one_spelling(send: Callable[..., Any], sent: str, stored: str | None) -> None:
    send({"event_type": "auth_failure", "source_ip": sent})
    assert SecurityEvent.objects.get().source_ip == stored


@pytest.mark.parametrize(
    ("count", "weight"), [(7, 7), (0, 1), (-3, 1), (True, 1), ("9", 1), (1.5, 1), (10**12, intake.MAX_WEIGHT)]
)
def test_a_row_stands_for_as_many_as_it_says_within_reason(teller: Teller, count: object, weight: int) -> None:
    teller.tell({"event_type": "api_request", "details": {"count": count}})
    assert SecurityEvent.objects.get().weight == weight


def test_the_rate_is_counted_by_user_or_else_by_address(teller: Teller) -> None:
    path = {"path": "/api/login?next=/"}
    teller.tell(
        {"event_type": "api_request", "user_id": "bob", "source_ip": "192.0.2.7", "details": path},
        {"event_type": "api_request", "source_ip": "192.0.2.7", "details": path},
        {"event_type": "auth_failure", "user_id": "bob", "details": path},
    )
    keys = list(SecurityEvent.objects.order_by("pk").values_list("rate_key", flat=True))
    assert keys == ["bob /api/login", "192.0.2.7 /api/login", ""]


def test_what_a_sign_in_says_of_its_success_is_believed(teller: Teller) -> None:
    teller.tell(
        {"event_type": "login", "details": {"success": False}},
        {"event_type": "authentication", "details": {"success": True}},
    )
    assert list(SecurityEvent.objects.order_by("pk").values_list("signal", flat=True)) == ["failure", "success"]


def test_a_row_decodes_from_what_the_contract_says() -> None:
    row = msgspec.json.decode(b'{"event_type":"x","at_ms":1,"event_id":"e","details":{"a":[1]}}', type=intake.Row)
    assert (row.user_id, row.threat_score, row.details) == ("", None, {"a": [1]})
