"""Rules, groups, channels and policies over REST."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry
from alerts.models import Channel

BASE = "/api/console/v1"
CANARY = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LTE="
Api = Callable[[str], APIClient]
HOOK = {"name": "hook", "type": "webhook", "config": {"url": "https://93.184.216.34/hook"}}


def made(client: APIClient, noun: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"{BASE}/{noun}/", body)
    assert answer.status_code == 201, answer.content
    return answer.json()


@pytest.fixture
def rule(api: Api) -> dict[str, Any]:
    group = made(api("editor"), "rule-groups", {"name": "mine", "interval_seconds": 15})
    body = {"group": group["id"], "name": "Hot", "kind": "promql", "spec": {"expr": "up == 0"}, "severity": "high"}
    return made(api("editor"), "rules", body)


def test_a_rule_is_made_changed_and_deleted_with_a_row_for_each(api: Api, rule: dict[str, Any]) -> None:
    changed = api("editor").patch(f"{BASE}/rules/{rule['id']}/", {"for_seconds": 60, "expected_version": 1})
    assert (changed.status_code, changed.json()["version"], changed.json()["for_seconds"]) == (200, 2, 60)
    assert api("editor").delete(f"{BASE}/rules/{rule['id']}/").status_code == 204
    actions = AuditEntry.objects.filter(object_type="rule").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["rule.create", "rule.update", "rule.delete"]


def test_an_outdated_version_is_answered_with_the_fresh_rule(api: Api, rule: dict[str, Any]) -> None:
    api("editor").patch(f"{BASE}/rules/{rule['id']}/", {"for_seconds": 60})
    answer = api("editor").patch(f"{BASE}/rules/{rule['id']}/", {"for_seconds": 90, "expected_version": 1})
    assert (answer.status_code, answer.json()["fresh"]["version"]) == (409, 2)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"expr": "sum("}},
        {"spec": {"nope": 1}},
        {"severity": "loud"},
        {"labels": {"1": "x"}},
        {"kind": "magic"},
    ],
)
def test_a_bad_rule_is_refused_with_the_field(api: Api, rule: dict[str, Any], change: dict[str, Any]) -> None:
    answer = api("editor").patch(f"{BASE}/rules/{rule['id']}/", change)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"].startswith(f"/{next(iter(change))}")


@pytest.mark.parametrize("field", ["id", "version", "health", "default_key", "last_error", "created_at", "owner"])
def test_fields_that_are_not_offered_cannot_be_set(api: Api, rule: dict[str, Any], field: str) -> None:
    answer = api("admin").patch(f"{BASE}/rules/{rule['id']}/", {field: "x"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{field}")


def test_a_secret_goes_in_and_never_comes_out(api: Api) -> None:
    channel = made(api("admin"), "channels", {**HOOK, "secret": CANARY})
    assert channel["secret_hint"] == f"…{CANARY[-4:]}"
    paths = ["channels/", f"channels/{channel['id']}/", "audit/", "notifications/", "policies/"]
    for role in ("viewer", "responder", "editor", "admin"):
        for path in paths:
            assert CANARY.encode() not in api(role).get(f"{BASE}/{path}").content


def test_another_address_drops_the_secret_and_is_recorded(api: Api) -> None:
    channel = made(api("admin"), "channels", {**HOOK, "secret": CANARY})
    path, body = f"{BASE}/channels/{channel['id']}/", {"config": {"url": "https://93.184.216.35/mine"}}
    assert api("editor").patch(path, body).status_code == 403
    assert api("admin").patch(path, body).json()["secret_hint"] == ""
    assert Channel.objects.get().secret_sealed is None
    after = AuditEntry.objects.filter(action="channel.update").get().after
    assert after is not None
    assert after["address_changed"] is True


def test_a_policy_keeps_its_steps_in_order(api: Api) -> None:
    channel = made(api("admin"), "channels", HOOK)
    steps = [{"delay_seconds": 0, "channels": [channel["id"]]}, {"delay_seconds": 300, "channels": [channel["id"]]}]
    policy = made(api("editor"), "policies", {"name": "p", "steps": steps})
    assert [step["delay_seconds"] for step in policy["steps"]] == [0, 300]
    answer = api("editor").patch(f"{BASE}/policies/{policy['id']}/", {"steps": steps[::-1]})
    assert answer.status_code == 400


def test_the_test_button_owes_one_message(api: Api) -> None:
    channel = made(api("admin"), "channels", HOOK)
    answer = api("responder").post(f"{BASE}/channels/{channel['id']}/test/")
    assert (answer.status_code, answer.json()["kind"], answer.json()["state"]) == (202, "test", "due")


def test_a_group_takes_what_a_rule_file_says_of_one(api: Api, rule: dict[str, Any]) -> None:
    link = f"{BASE}/rule-groups/{rule['group']}/"
    wanted = {"limit": 5, "query_offset_seconds": 30.0, "labels": {"team": "{{ $labels.job }}"}}
    answer = api("editor").patch(link, wanted)
    assert {name: answer.json()[name] for name in wanted} == wanted
    assert answer.json()["file"] == ""
    for bad in (
        {"labels": {"team": "{{ $nobody }}"}},
        {"labels": {"a b": "c"}},
        {"query_offset_seconds": -1},
        {"limit": -1},
    ):
        refused = api("editor").patch(link, bad)
        assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{name}" for name in bad]


def test_rules_may_share_the_name_of_their_alerts(api: Api, rule: dict[str, Any]) -> None:
    body = {"group": rule["group"], "name": "Hot, worse", "alert_name": "Hot", "spec": {"expr": "up == 1"}}
    assert made(api("editor"), "rules", body)["alert_name"] == "Hot"
    link = f"{BASE}/rules/{rule['id']}/"
    refused = api("editor").patch(link, {"labels": {"team": "{{ if }}"}})
    assert "team: line 1: missing value for if" in str(refused.json())
