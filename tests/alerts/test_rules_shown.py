"""Rules and what they found, as Prometheus' API lists them."""

from datetime import timedelta

import pytest
from django.test import Client

from aivillage_console.accounts.models import Role, User
from aivillage_console.lib import clock
from alerts.models import Rule, RuleGroup, RuleState

pytestmark = pytest.mark.django_db


@pytest.fixture
def asker(client: Client) -> Client:
    client.force_login(User.objects.create_user("reader@example.org", role=Role.VIEWER))
    return client


@pytest.fixture
def rule() -> Rule:
    """One rule with a pending and a firing label set, a group that is off, and a threshold rule in another group."""
    RuleGroup.objects.all().delete()
    group = RuleGroup.objects.create(name="checkout", interval_seconds=30, due_at=clock.now())
    made = Rule.objects.create(
        group=group, name="TooSlow", kind="promql", spec={"expr": "latency > 2"}, severity="high", for_seconds=60,
        labels={"team": "shop"}, annotations={"summary": "{{ $labels.path }} takes {{ $value }}"}, health="ok",
    )  # fmt: skip
    now = clock.now()
    states = (("/a", "pending", None, 2.5), ("/b", "firing", now, 30.0))
    for path, state, fired_at, value in states:
        RuleState.objects.create(
            rule=made, fingerprint=path, labels={"path": path}, state=state, active_at=now - timedelta(minutes=2),
            fired_at=fired_at, last_value=value,
        )  # fmt: skip
    other = RuleGroup.objects.create(name="billing", due_at=clock.now())
    spec = {"metric_path": "errors", "condition": ">", "threshold": 5}
    Rule.objects.create(group=other, name="Errors", kind="threshold", spec=spec, labels={"team": "money"})
    off = RuleGroup.objects.create(name="off", enabled=False, due_at=clock.now())
    Rule.objects.create(group=off, name="Off", spec={"expr": "up"})
    return made


def groups_of(asker: Client, **asked: object) -> list[dict]:
    answer = asker.get("/api/v1/rules", asked)
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]["groups"]


def test_a_rule_is_listed_with_what_it_found(asker: Client, rule: Rule):
    found = [group for group in groups_of(asker) if group["name"] == "checkout"]
    assert [(group["interval"], group["file"]) for group in found] == [(30, "console")]
    (shown,) = found[0]["rules"]
    assert {name: shown[name] for name in ("name", "query", "state", "duration", "health", "type")} == {
        "name": "TooSlow", "query": "latency > 2", "state": "firing", "duration": 60, "health": "ok",
        "type": "alerting",
    }  # fmt: skip
    assert shown["labels"] == {"severity": "high", "team": "shop"}
    assert [(alert["state"], alert["value"]) for alert in shown["alerts"]] == [
        ("pending", "2.5e+00"), ("firing", "3e+01"),
    ]  # fmt: skip
    assert shown["alerts"][0]["labels"] == {
        "alertname": "TooSlow", "severity": "high", "team": "shop", "path": "/a",
    }  # fmt: skip
    assert shown["alerts"][0]["annotations"]["summary"].startswith("/a takes 2.5")
    assert shown["lastEvaluation"] == "0001-01-01T00:00:00Z"


def test_alerts_are_listed_by_themselves(asker: Client, rule: Rule):
    alerts = asker.get("/api/v1/alerts").json()["data"]["alerts"]
    assert [(alert["labels"]["path"], alert["state"]) for alert in alerts] == [("/a", "pending"), ("/b", "firing")]


def test_rules_are_chosen_by_group_name_file_type_and_labels(asker: Client, rule: Rule):
    def names(**asked: object) -> list[str]:
        return [shown["name"] for group in groups_of(asker, **asked) for shown in group["rules"]]

    assert names() == ["Errors", "TooSlow"]
    assert names(**{"rule_name[]": ["TooSlow"]}) == ["TooSlow"]
    assert names(**{"rule_group[]": ["billing", "nothing"]}) == ["Errors"]
    assert names(**{"file[]": ["other.yml"]}) == []
    assert names(**{"match[]": ['{team=~"sh.*"}']}) == ["TooSlow"]
    assert names(type="record") == []
    assert names(type="alert") == ["Errors", "TooSlow"]
    assert groups_of(asker, exclude_alerts="true")[1]["rules"][0]["alerts"] is None


def test_groups_come_in_pages(asker: Client, rule: Rule):
    first = asker.get("/api/v1/rules", {"group_limit": 1}).json()["data"]
    assert [group["name"] for group in first["groups"]] == ["billing"]
    rest = asker.get("/api/v1/rules", {"group_limit": 1, "group_next_token": first["groupNextToken"]}).json()["data"]
    assert [group["name"] for group in rest["groups"]] == ["checkout"]
    assert "groupNextToken" not in rest


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"type": "other"}, "not supported value"),
        ({"exclude_alerts": "perhaps"}, "exclude_alerts"),
        ({"group_limit": "x"}, "valid number"),
        ({"group_limit": "0"}, "greater than 0"),
        ({"group_next_token": "x"}, "group_limit needs to be present"),
        ({"group_next_token": "x", "group_limit": "1"}, "were rule groups changed?"),
        ({"match[]": "{"}, "match[]"),
    ],
)
def test_bad_parameters_are_refused(asker: Client, rule: Rule, asked: dict[str, str], words: str):
    answer = asker.get("/api/v1/rules", asked)
    assert (answer.status_code, answer.json()["errorType"]) == (400, "bad_data")
    assert words in answer.json()["error"]
