"""PagerDuty's and Opsgenie's addresses, as their clients call them."""

import json
import uuid
from typing import Any

import pytest
from django.test import Client

from alerts.inbound import calls
from alerts.models import Alert, ChangeEvent, InboundMessage
from tests.alerts.inbound.sending import alert, dealt, issued, post

pytestmark = pytest.mark.django_db(transaction=True)
PAYLOAD = {"summary": "Disk full on db-1", "source": "db-1", "severity": "error", "component": "disk"}


@pytest.fixture(autouse=True)
def fresh_callers() -> None:
    """Let no test pay for the calls of another."""
    for buckets in (calls.ADDRESSES, calls.SENDERS):
        buckets.clear()


def event(token: str, action: str, **more: Any) -> Any:
    return post("/v2/enqueue", {"routing_key": token, "event_action": action, **more})


def test_an_event_is_triggered_acknowledged_and_resolved_by_its_key() -> None:
    token = issued("pagerduty").token
    first = event(token, "trigger", dedup_key="k", payload=PAYLOAD)
    assert (first.status_code, first.json()) == (
        202, {"status": "success", "message": "Event processed", "dedup_key": "k"},
    )  # fmt: skip
    assert token.encode() not in bytes(InboundMessage.objects.get().body)
    dealt()
    assert (alert().name, alert().severity, alert().labels["component"]) == ("Disk full on db-1", "high", "disk")
    event(token, "trigger", dedup_key="k", payload={**PAYLOAD, "summary": "Disk still full", "severity": "critical"})
    dealt()
    assert (alert().name, alert().severity) == ("Disk full on db-1", "critical")
    event(token, "acknowledge", dedup_key="k")
    assert dealt() == "1 acknowledged" or alert().shown_state == "acknowledged"
    event(token, "resolve", dedup_key="k")
    assert (dealt(), alert().state) == ("1 resolved", "resolved")
    event(token, "resolve", dedup_key="never seen")
    assert dealt() == "1 not open here"


def test_without_a_key_one_is_made_and_resolves() -> None:
    token = issued("pagerduty").token
    key = event(token, "trigger", payload=PAYLOAD).json()["dedup_key"]
    event(token, "resolve", dedup_key=key)
    dealt()
    assert alert().state == "resolved"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"event_action": "trigger"}, "payload"), ({"event_action": "resolve"}, "dedup_key"),
        ({"event_action": "trigger", "payload": {**PAYLOAD, "severity": "worst"}}, "payload.severity"),
    ],
)  # fmt: skip
def test_a_bad_event_is_refused_with_what_is_wrong(body: dict[str, Any], word: str) -> None:
    answer = post("/v2/enqueue", {"routing_key": issued("pagerduty").token, **body})
    assert (answer.status_code, answer.json()["status"]) == (400, "invalid event")
    assert any(word in error for error in answer.json()["errors"])
    assert InboundMessage.objects.count() == 0


def test_a_wrong_routing_key_a_wrong_body_and_another_method() -> None:
    assert "routing_key" in event("x" * 32, "trigger", payload=PAYLOAD).json()["errors"][0]
    assert post("/v2/enqueue", b"no json").status_code == 400
    assert post("/v2/enqueue", [1]).status_code == 400
    assert post("/v2/enqueue", b"x" * 1_000_001).status_code == 413
    assert (Client().get("/v2/enqueue").status_code, Client().get("/v2/enqueue").headers["Allow"]) == (405, "POST")


def test_a_change_event_is_kept_as_a_change() -> None:
    token = issued("pagerduty").token
    body = {
        "routing_key": token,
        "payload": {"summary": "Deployed 7", "source": "ci"},
        "links": [{"href": "https://ci/7"}],
    }
    assert post("/v2/change/enqueue", body).status_code == 202
    assert dealt() == "1 change"
    assert (ChangeEvent.objects.get().name, Alert.objects.count()) == ("Deployed 7", 0)
    assert post("/v2/change/enqueue", {"routing_key": token, "payload": {}}).status_code == 400


def genie(token: str, path: str = "", body: Any = None, *, method: str = "POST") -> Any:
    headers = {"Authorization": f"GenieKey {token}"}
    return Client().generic(
        method, f"/v2/alerts{path}", b"" if body is None else json.dumps(body).encode(),
        content_type="application/json", headers=headers,
    )  # fmt: skip


def test_an_alert_of_opsgenie_is_created_looked_up_acknowledged_and_closed() -> None:
    token = issued("opsgenie").token
    body = {"message": "Disk full", "alias": "db-1/disk", "priority": "P1", "details": {"host": "db-1"}}
    created = genie(token, body=body)
    assert (created.status_code, created.json()["result"]) == (202, "Request will be processed")
    assert created.json()["took"] >= 0
    request = created.json()["requestId"]
    waiting = genie(token, f"/requests/{request}", method="GET").json()["data"]
    assert (waiting["success"], waiting["status"]) == (False, "Waiting")
    dealt()
    done = genie(token, f"/requests/{request}", method="GET").json()["data"]
    assert (done["success"], done["alias"]) == (True, "db-1/disk")
    assert (alert().severity, alert().labels) == ("critical", {"host": "db-1", "severity_original": "P1"})
    assert genie(token, "/alias/acknowledge?identifierType=alias", {"user": "eva"}).status_code == 202
    assert dealt() == "1 not open here"
    genie(token, f"/{alert().pk}/acknowledge?identifierType=tiny", {"user": "eva"})
    dealt()
    assert (alert().shown_state, "eva" in alert().ack_reason) == ("acknowledged", True)
    genie(token, f"/{request}/close", {"user": "eva"})
    assert (dealt(), alert().state) == ("1 resolved", "resolved")


def test_an_alert_without_an_alias_is_deleted_by_the_id_of_its_request() -> None:
    token = issued("opsgenie").token
    request = genie(token, body={"message": "Disk full"}).json()["requestId"]
    assert genie(token, f"/{request}", method="DELETE").status_code == 202
    dealt()
    assert alert().state == "resolved"


def test_what_opsgenies_clients_do_wrong_is_said_as_they_know_it() -> None:
    token = issued("opsgenie").token
    wrong = genie(token, body={"priority": "P9"})
    assert (wrong.status_code, sorted(wrong.json()["errors"])) == (422, ["message", "priority"])
    assert genie("x" * 32, body={"message": "x"}).status_code == 401
    assert Client().post("/v2/alerts", b"{}", content_type="application/json").status_code == 401
    assert genie(token, "/x/snooze", {}).status_code == 422
    assert genie(token, f"/requests/{uuid.uuid4()}", method="GET").status_code == 404
    assert genie(token, method="GET").status_code == 405
    assert InboundMessage.objects.count() == 0
