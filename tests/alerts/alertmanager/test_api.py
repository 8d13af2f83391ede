"""Alertmanager's API as its clients use it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from django.test import Client

from aivillage_console.accounts.services import Actor, token_issue
from aivillage_console.lib import clock
from alerts.engine.alertmanager.config import load
from alerts.engine.alertmanager.received import fingerprint
from alerts.models import Alert, Channel, Inhibition, MuteTime, Silence
from alerts.services import Incoming, alerts_intake
from tests.alerts.conftest import policy_with

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Actor(kind="system", label="test", role="admin")


class Caller:
    """A client with a token."""

    def __init__(self, *scopes: str) -> None:
        _, plain = token_issue(name="amtool", kind="service", scopes=list(scopes), actor=ROOT, now=clock.now())
        self.headers = {"Authorization": f"Bearer {plain}"}
        self.client = Client()

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(f"/api/v2/{path}", params, headers=self.headers)

    def post(self, path: str, body: Any) -> Any:
        return self.client.post(f"/api/v2/{path}", body, content_type="application/json", headers=self.headers)

    def delete(self, path: str) -> Any:
        return self.client.delete(f"/api/v2/{path}", headers=self.headers)


@pytest.fixture
def caller(transactional_db: None) -> Caller:
    return Caller("query", "respond")


def said(**fields: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "matchers": [{"name": "alertname", "value": "A", "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "ada", "comment": "why", **fields,
    }  # fmt: skip


def pushed(name: str, **labels: str) -> Alert:
    alerts_intake([Incoming(labels={"alertname": name, **labels})], now=clock.now())
    return Alert.objects.get(name=name)


def test_an_alert_is_listed_as_it_was_sent(caller: Caller, channel: Channel) -> None:
    pushed("A", severity="warning", host="x")
    (row,) = caller.get("alerts").json()
    assert row["labels"] == {"alertname": "A", "severity": "warning", "host": "x"}
    assert row["fingerprint"] == fingerprint(row["labels"])
    assert row["receivers"] == [{"name": "everyone"}]
    assert row["status"] == {"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": []}
    assert row["startsAt"].endswith("Z")
    ahead = datetime.fromisoformat(row["endsAt"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < ahead <= timedelta(minutes=5)


def test_the_fingerprint_is_the_one_other_tools_compute() -> None:
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"a": "b", "c": "d"}) == fingerprint({"c": "d", "a": "b"}) != fingerprint({"a": "d", "c": "b"})


def test_filters_and_switches_choose(caller: Caller, channel: Channel) -> None:
    pushed("A", host="x")
    pushed("B", host="y")
    silence_id = caller.post("silences", said()).json()["silenceID"]

    def names(**params: Any) -> list[str]:
        return sorted(row["labels"]["alertname"] for row in caller.get("alerts", **params).json())

    assert names() == ["A", "B"]
    assert names(filter='host=~"x|z"') == ["A"]
    assert names(filter=["host!=x", 'team=""']) == ["B"]
    assert names(silenced="false") == ["B"]
    assert names(active="false") == ["A"]
    assert names(receiver="every.*") == ["A", "B"]
    assert names(receiver="nobody") == []
    assert names(receiver_matchers="name=other") == []
    assert caller.get("alerts", filter="{a=b}").status_code == 400
    assert caller.get("alerts", receiver="[").status_code == 400
    assert caller.get("alerts", active="perhaps").status_code == 422
    rows = {row["labels"]["alertname"]: row["status"] for row in caller.get("alerts").json()}
    assert rows["A"] == {"state": "suppressed", "silencedBy": [silence_id], "inhibitedBy": [], "mutedBy": []}


def test_groups_are_by_receiver_and_name(caller: Caller, channel: Channel) -> None:
    MuteTime.objects.create(name="always", intervals=[{}], matchers=["host=x"])
    Inhibition.objects.create(name="i", source_matchers=["alertname=A"], target_matchers=["alertname=B"], equal=[])
    pushed("A", host="x")
    pushed("B", host="y")
    first, second = caller.get("alerts/groups").json()
    assert (first["labels"], first["receiver"], first["routeLabels"]) == ({"alertname": "A"}, {"name": "everyone"}, {})
    assert first["alerts"][0]["status"]["mutedBy"] == ["always"]
    assert second["alerts"][0]["status"]["inhibitedBy"] == [first["alerts"][0]["fingerprint"]]
    assert [group["labels"]["alertname"] for group in caller.get("alerts/groups", muted="false").json()] == ["B"]


def test_a_silence_is_stored_read_changed_and_ended(caller: Caller) -> None:
    answer = caller.post("silences", said())
    silence_id = answer.json()["silenceID"]
    row = caller.get(f"silence/{silence_id}").json()
    assert (row["status"], row["createdBy"], row["comment"]) == ({"state": "active"}, "ada", "why")
    assert row["matchers"] == said()["matchers"]
    again = caller.post("silences", said(id=silence_id, startsAt=row["startsAt"], comment="longer")).json()
    assert again["silenceID"] == silence_id
    assert caller.delete(f"silence/{silence_id}").status_code == 200
    assert caller.get(f"silence/{silence_id}").json()["status"] == {"state": "expired"}
    assert caller.delete(f"silence/{silence_id}").status_code == 200
    assert Silence.objects.get().reason == "longer"


def test_silences_are_listed_by_state_and_filter(caller: Caller) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    pending = caller.post("silences", said(startsAt=later)).json()["silenceID"]
    active = caller.post("silences", said()).json()["silenceID"]
    expired = caller.post("silences", said()).json()["silenceID"]
    caller.delete(f"silence/{expired}")
    assert [row["id"] for row in caller.get("silences").json()] == [active, pending, expired]
    assert [row["id"] for row in caller.get("silences", expired="false", pending="false").json()] == [active]
    assert len(caller.get("silences", filter="alertname=A").json()) == 3
    assert caller.get("silences", filter="alertname=~A").json() == []


@pytest.mark.parametrize(
    ("fields", "status", "text"),
    [
        ({"comment": None}, 422, "comment in body is required"),
        ({"matchers": []}, 422, "at least 1 items"),
        ({"matchers": [{"name": "a"}]}, 422, "matchers.0.value in body is required"),
        ({"matchers": [{"name": "a", "value": ".*", "isRegex": True}]}, 400, "must not match the empty string"),
        ({"matchers": [{"name": "a", "value": "[", "isRegex": True}]}, 400, "missing closing ]"),
        ({"startsAt": "soon"}, 422, "date-time"),
        ({"endsAt": "2001-01-01T00:00:00Z"}, 400, "start time must be before end time"),
        ({"startsAt": "2000-01-01T00:00:00Z", "endsAt": "2001-01-01T00:00:00Z"}, 400, "can't be in the past"),
        ({"id": "5b1b2dc5-28ab-4d60-9d47-1ec2c2e2f3a1"}, 404, "silence not found"),
        ({"id": "x"}, 404, "silence not found"),
        ({"createdBy": 5}, 422, "createdBy"),
    ],
)
def test_a_bad_silence_is_refused_and_says_why(caller: Caller, fields: Any, status: int, text: str) -> None:
    answer = caller.post("silences", said(**fields))
    assert answer.status_code == status
    assert text in answer.content.decode()
    assert not Silence.objects.exists()


def test_who_may_only_read_may_not_silence(transactional_db: None) -> None:
    reader = Caller("read")
    assert reader.get("silences").status_code == 200
    assert reader.post("silences", said()).status_code == 403
    assert Client().get("/api/v2/silences").status_code == 401
    assert reader.client.post("/api/v2/silences", said(), content_type="application/json").status_code == 401


def test_a_body_that_is_no_silence_is_refused(caller: Caller) -> None:
    answers = [
        caller.client.post("/api/v2/silences", text, content_type="application/json", headers=caller.headers)
        for text in ("{", "[]", '"x"', "x" * 1_000_001)
    ]
    assert [answer.status_code for answer in answers] == [400, 422, 422, 413]


def test_the_status_holds_a_configuration_that_reads_and_routes(caller: Caller, channel: Channel) -> None:
    policy_with((0, [channel]), name="shop", triggers=[{"team": "shop", "severity": ["high", "critical"]}])
    Inhibition.objects.create(name="i", source_matchers=["a=1"], target_matchers=["b=1"], equal=["c"])
    status = caller.get("status").json()
    config = load(status["config"]["original"])
    assert [route.receiver for route in config.route.routes] == ["shop"]
    assert config.inhibit_rules[0].equal == ("c",)
    assert yaml.safe_load(status["config"]["original"])["route"]["receiver"] == "everyone"
    assert status["cluster"]["status"] == "disabled"
    assert [row["name"] for row in caller.get("receivers").json()] == ["everyone", "shop"]
    assert caller.get("receivers", receiver_matchers="name=shop").json() == [
        {"name": "shop", "labels": {"name": "shop"}}
    ]
