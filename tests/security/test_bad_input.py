"""The door of security events over HTTP: what is wrong is refused by row with its reason, the rest is kept."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts import services as accounts
from aivillage_console.lib import clock
from security import services
from security.models import SecurityEvent

URL = "/api/v1/ingest/security-events"
pytestmark = pytest.mark.django_db
Send = Callable[..., Any]


@pytest.fixture
def sender() -> Client:
    """Return a client with the token of a source."""
    source, actor = accounts.source_named("edge"), accounts.Actor.system("test")
    _, plain = accounts.token_issue(
        name="edge", kind="ingest", scopes=["ingest:security"], source=source, actor=actor, now=clock.now()
    )
    return Client(headers={"authorization": f"Bearer {plain}"})


def send(client: Client, *rows: Any, batch: str = "b1") -> Any:
    body = json.dumps({"batch_id": batch, "rows": rows})
    return client.post(URL, body, content_type="application/json")


def row(**more: Any) -> dict[str, Any]:
    return {"event_type": "auth_failure", "source_ip": "192.0.2.7", "user_id": "eva", **more}


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"in": found}
    return found


def now_ms(seconds: float = 0) -> int:
    return round((clock.now().timestamp() + seconds) * 1000)


BAD: dict[str, tuple[Any, str]] = {
    "no object": (7, "Expected `object`"),
    "no type": ({"source_ip": "192.0.2.7"}, "missing required field `event_type`"),
    "type is empty": (row(event_type=""), "1 to 64"),
    "type is long": (row(event_type="x" * 65), "1 to 64"),
    "type is a number": (row(event_type=7), "Expected `str`"),
    "unknown field": (row(ip="192.0.2.7"), "unknown field `ip`"),
    "no address": (row(source_ip="300.1.1.1"), "no IPv4 or IPv6 address"),
    "an address with a port": (row(source_ip="192.0.2.7:80"), "no IPv4 or IPv6 address"),
    "an address with a zone": (row(source_ip="fe80::1%eth0"), "no IPv4 or IPv6 address"),
    "an address of markup": (row(source_ip="<b>"), "no IPv4 or IPv6 address"),
    "a network": (row(source_ip="192.0.2.0/24"), "no IPv4 or IPv6 address"),
    "score above one": (row(threat_score=1.01), "from 0 to 1"),
    "score below zero": (row(threat_score=-0.01), "from 0 to 1"),
    "score is a text": (row(threat_score="high"), "Expected `float | null`"),
    "an old event": (row(at_ms=1), "outside the window"),
    "of the year 9999": (row(at_ms=253402300799000), "outside the window"),
    "beyond 64 bits": (row(at_ms=2**70), "outside the window"),
    "before time": (row(at_ms=-(2**70)), "outside the window"),
    "time is a float": (row(at_ms=1.5), "Expected `int | null`"),
    "event_id with NUL": (row(event_id="a\0"), "none of them NUL"),
    "event_id of 65": (row(event_id="x" * 65), "1 to 64"),
    "details are a list": (row(details=[1]), "Expected `object`"),
    "details are large": (row(details={"query": "x" * 16_400}), "at most 16384 are taken"),
    "half a pair": (row(user_id="\ud800"), "not Unicode"),
    "half a pair in details": (row(details={"query": ["\udc00"]}), "not Unicode"),
    "half a pair as a name": (row(details={"\udc00": 1}), "not Unicode"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_bad_row_is_told_and_the_good_one_beside_it_kept(sender: Client, bad: Any, reason: str) -> None:
    answer = send(sender, bad, row(event_id="good"))
    assert answer.status_code == 200, answer.content
    (refused,) = answer.json()["rejected"]
    assert (refused["row"], reason in refused["reason"]) == (0, True), refused
    assert SecurityEvent.objects.get().event_id == "good"


def test_what_an_attacker_writes_is_kept_and_looked_at_whatever_it_is(sender: Client, settings: Any) -> None:
    odd: list[Mapping[str, Any]] = [
        {"query": "\0' OR 1=1--"}, {"count": -5}, {"count": 10**30}, {"count": "many"}, {"count": True}, {"query": []},
        {"endpoint": {"a": 1}}, {"path": "/" + "a" * 5_000}, {"success": "maybe"}, {"\0": "\0"}, nested(27),
        {"query": 10**400}, {"query": 1e308}, {"rate_limit": -1}, {"input_data": {"a": ["<script>"]}}, {"method": None},
        {"user_agent": ["x"], "access_time": "99:99", "operation": 7, "reason": {}},
    ]  # fmt: skip
    types = ["auth_failure", "api_request", "sql_injection_attempt", "\U0001f4a3", "<b>", "data_access"]
    rows = [row(event_type=kind, details=details) for kind in types for details in odd]
    answer = send(sender, *rows, row(user_id="u" * 9_000, severity="s" * 9_000))
    assert answer.json()["rejected"] == []
    while services.detect_due(hand="test", read_clock=clock.now):
        continue
    assert SecurityEvent.objects.filter(detected_at=None).count() == 0
    assert SecurityEvent.objects.count() == len(rows) + 1


def test_depth_nodes_and_rows_of_a_batch_are_bounded(sender: Client) -> None:
    deep = send(sender, row(details=nested(40)))
    wide = send(sender, row(details={"a": [0] * 200_001}))
    many = send(sender, *([7] * 50_001))
    assert [(one.status_code, "at most" in one.json()["detail"]) for one in (deep, wide, many)] == [(413, True)] * 3
    assert not SecurityEvent.objects.exists()


def test_many_rows_in_one_batch_are_stored_in_few_queries(sender: Client, django_assert_max_num_queries: Any) -> None:
    send(sender, row(), batch="first")
    with django_assert_max_num_queries(40):
        answer = send(sender, *(row(event_id=str(n)) for n in range(20_000)), batch="second")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 20_000)


def test_the_edges_of_the_window_are_taken(sender: Client, settings: Any) -> None:
    past, future = settings.CONFIG.ingest_past_seconds, settings.CONFIG.ingest_future_seconds
    inside = [row(at_ms=now_ms(60 - past)), row(at_ms=now_ms(future - 60))]
    outside = [row(at_ms=now_ms(-60 - past)), row(at_ms=now_ms(future + 60))]
    assert [one["row"] for one in send(sender, *inside, *outside).json()["rejected"]] == [2, 3]
