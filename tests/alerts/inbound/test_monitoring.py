"""The readers of monitoring and on-call tools, shape by shape."""

from typing import Any

import pytest

from alerts.engine.inbound import opsgenie, pagerduty
from alerts.engine.inbound.told import MOST_ALERTS, Unreadable
from tests.alerts.inbound.reading import one, read

ALERT = {
    "status": "firing",
    "labels": {"alertname": "Hot", "severity": "page", "host": "a"},
    "annotations": {"summary": "It is hot"},
    "startsAt": "2026-11-20T10:00:00.000Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prom.example.org/g",
    "fingerprint": "f1",
}
GROUP = {
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "console",
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {"runbook_url": "https://r"},
    "externalURL": "http://am",
    "alerts": [ALERT],
}


def test_alertmanagers_group_is_so_many_alerts() -> None:
    over = {**ALERT, "status": "resolved", "fingerprint": "f2", "endsAt": "2026-11-20T11:00:00Z"}
    first, second = read("alertmanager", {**GROUP, "alerts": [ALERT, over]}).alerts
    assert (first.name, first.status, first.severity, first.severity_text) == ("Hot", "firing", "critical", "page")
    assert (first.labels, first.key, first.url) == ({"host": "a"}, "f1", "http://prom.example.org/g")
    assert (first.started_at is not None, first.ended_at) == (True, None)
    assert (second.status, second.ended_at is not None) == ("resolved", True)


def test_a_bad_alert_of_a_group_is_named_and_its_neighbour_taken() -> None:
    found = read(
        "alertmanager", {**GROUP, "truncatedAlerts": 2, "alerts": [ALERT, 7, {"labels": {}}, {"labels": {"a": "b"}}]}
    )
    assert len(found.alerts) == 1
    assert found.problems == (
        "alert 1: is not an object",
        "alert 2: has no label alertname",
        "alert 3: has no label alertname",
        "2 alerts of this group are not in the message",
    )


def test_alertmanager_takes_a_list_a_single_alert_and_the_state_of_its_own_api() -> None:
    (listed,) = read("alertmanager", [ALERT]).alerts
    assert listed == one("alertmanager", ALERT)
    assert one("alertmanager", {**ALERT, "status": {"state": "active"}}).status == "firing"
    bare = {"labels": {"alertname": "x"}}
    assert one("alertmanager", bare).status == "firing"
    assert one("alertmanager", {**bare, "endsAt": "2026-01-01T00:00:00Z"}).status == "resolved"
    assert one("alertmanager", bare).key.startswith("=")
    assert len(read("alertmanager", [ALERT] * (MOST_ALERTS + 5)).alerts) == MOST_ALERTS


def test_grafanas_unified_alerting_brings_its_links_and_values() -> None:
    alert = {
        **ALERT,
        "values": {"B": 22.5},
        "panelURL": "https://g/p",
        "dashboardURL": "https://g/d",
        "silenceURL": "https://g/s",
    }
    told = one(
        "grafana", {**GROUP, "version": "1", "orgId": 1, "title": "[FIRING:1]", "state": "alerting", "alerts": [alert]}
    )
    assert told.annotations["value"] == "B=22.5"
    assert (told.annotations["silence_url"], told.annotations["panel_url"]) == ("https://g/s", "https://g/p")
    assert told.url == "http://prom.example.org/g"


@pytest.mark.parametrize(
    ("state", "status"), [("alerting", "firing"), ("ok", "resolved"), ("no_data", "firing"), ("paused", "resolved")]
)
def test_grafanas_older_alerts(state: str, status: str) -> None:
    payload = {
        "dashboardId": 1,
        "panelId": 2,
        "orgId": 1,
        "ruleId": 3,
        "ruleName": "Panel alert",
        "title": "[Alerting] Panel alert",
        "state": state,
        "evalMatches": [{"metric": "up", "value": 0, "tags": {}}],
        "tags": {"team": "shop", "severity": "warning"},
        "message": "It broke",
        "ruleUrl": "https://g/r",
        "imageUrl": "https://g/i.png",
    }
    told = one("grafana", payload)
    assert (told.name, told.status, told.severity, told.key) == ("Panel alert", status, "medium", "rule:1:1:2:3")
    assert told.labels == {"team": "shop"}
    assert (told.annotations["value"], told.annotations["description"], told.url) == ("up=0", "It broke", "https://g/r")


def test_grafanas_pending_is_nothing_yet() -> None:
    found = read("grafana", {"ruleName": "x", "state": "pending"})
    assert (found.alerts, found.said) == ((), "the rule waits for its time (pending)")


EVENT: dict[str, Any] = {
    "routing_key": "r" * 32,
    "event_action": "trigger",
    "dedup_key": "db-1/disk",
    "client": "Nagios",
    "client_url": "https://n",
    "payload": {
        "summary": "Disk full on db-1",
        "source": "db-1",
        "severity": "error",
        "timestamp": "2026-11-20T10:00:00Z",
        "component": "disk",
        "group": "db",
        "class": "capacity",
        "custom_details": {"free": "1 GB", "list": [1]},
    },
    "links": [{"href": "https://l", "text": "x"}],
    "images": [],
}


def test_an_event_of_pagerduty() -> None:
    told = one("pagerduty", EVENT)
    assert (told.name, told.status, told.severity, told.key) == ("Disk full on db-1", "firing", "high", "db-1/disk")
    assert told.labels == {"source": "db-1", "component": "disk", "group": "db", "class": "capacity"}
    assert (told.annotations["free"], told.url) == ("1 GB", "https://n")


@pytest.mark.parametrize(("action", "status"), [("acknowledge", "acknowledged"), ("resolve", "resolved")])
def test_an_event_that_only_names_a_key(action: str, status: str) -> None:
    told = one("pagerduty", {"routing_key": "r", "event_action": action, "dedup_key": "k"})
    assert (told.name, told.status, told.key) == ("", status, "k")


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        ({"event_action": "open"}, "event_action"),
        ({"payload": None}, "'payload'"),
        ({"payload": {}}, "payload.summary"),
        ({"payload": {**EVENT["payload"], "severity": "bad"}}, "payload.severity"),
        ({"dedup_key": "x" * 256}, "dedup_key"),
        ({"dedup_key": 7}, "dedup_key"),
        ({"event_action": "resolve", "dedup_key": None}, "dedup_key"),
    ],
)
def test_what_is_wrong_with_an_event_is_said(spoil: dict[str, Any], word: str) -> None:
    assert pagerduty.problems(EVENT) == []
    assert any(word in problem for problem in pagerduty.problems({**EVENT, **spoil}))


def test_a_change_event_of_pagerduty() -> None:
    body = {
        "payload": {
            "summary": "Build 7 deployed",
            "timestamp": "2026-11-20T10:00:00Z",
            "source": "ci",
            "custom_details": {"env": "prod"},
        },
        "links": [{"href": "https://ci/7", "text": "build"}],
    }
    assert pagerduty.change_problems(body) == []
    assert pagerduty.change_problems({"payload": {}})
    assert pagerduty.change_problems([])
    (change,) = read("pagerduty", body).changes
    assert (change.kind, change.name, change.url) == ("change", "Build 7 deployed", "https://ci/7")
    assert change.labels == {"source": "ci", "env": "prod"}


def test_pagerdutys_own_webhook_and_the_first_version() -> None:
    data = {
        "id": "Q1",
        "type": "incident",
        "number": 7,
        "status": "acknowledged",
        "title": "Shop is down",
        "urgency": "high",
        "service": {"summary": "shop"},
        "priority": {"summary": "P1"},
        "html_url": "https://pd/7",
        "created_at": "2026-11-20T10:00:00Z",
    }
    told = one(
        "pagerduty", {"event": {"event_type": "incident.acknowledged", "agent": {"summary": "Eva"}, "data": data}}
    )
    assert (told.name, told.status, told.severity, told.by, told.key) == (
        "Shop is down",
        "acknowledged",
        "critical",
        "Eva",
        "Q1",
    )
    first = one(
        "pagerduty",
        {"service_key": "s", "event_type": "trigger", "incident_key": "k", "description": "Down", "details": "why"},
    )
    assert (first.name, first.key, first.annotations["details"]) == ("Down", "k", "why")


def test_an_alert_of_opsgenie() -> None:
    body = {
        "message": "Disk full",
        "alias": "db-1/disk",
        "description": "90 %",
        "tags": ["env:prod", "loud"],
        "details": {"rack": "7"},
        "entity": "db-1",
        "source": "nagios",
        "priority": "P1",
        "user": "eva",
    }
    told = one("opsgenie", body)
    assert (told.name, told.status, told.severity, told.key, told.by) == (
        "Disk full",
        "firing",
        "critical",
        "db-1/disk",
        "eva",
    )
    assert told.labels == {"entity": "db-1", "source": "nagios", "rack": "7", "env": "prod", "tags": "loud"}
    closed = one("opsgenie", {"user": "eva"}, event="close", key="db-1/disk")
    assert (closed.name, closed.status, closed.key) == ("", "resolved", "db-1/disk")
    assert read("opsgenie", {}, event="snooze", key="x").said == "the action snooze changes no alert"
    webhook = one(
        "opsgenie",
        {"action": "Acknowledge", "alert": {"alertId": "1", "message": "Disk full", "alias": "a", "username": "eva"}},
    )
    assert (webhook.status, webhook.key, webhook.by) == ("acknowledged", "a", "eva")


@pytest.mark.parametrize(
    "body",
    [{}, {"message": "x", "priority": "P9"}, {"message": "x", "tags": "a"}, {"message": "x", "alias": "y" * 600}, []],
)
def test_what_is_wrong_with_an_alert_of_opsgenie_is_said(body: Any) -> None:
    assert opsgenie.problems(body)
    assert opsgenie.problems({"message": "x", "details": {}, "tags": []}) == []


def test_oncalls_format_where_everything_may_be_missing() -> None:
    full = {
        "alert_uid": "u1",
        "title": "Disk full",
        "image_url": "https://i",
        "state": "alerting",
        "link_to_upstream_details": "https://u",
        "message": "90 %",
        "severity": "critical",
        "host": "db-1",
    }
    told = one("oncall", full)
    assert (told.name, told.status, told.severity, told.key, told.url) == (
        "Disk full",
        "firing",
        "critical",
        "u1",
        "https://u",
    )
    assert told.labels["host"] == "db-1"
    assert one("oncall", {**full, "state": "ok"}).status == "resolved"
    assert one("oncall", {"message": "only\nthis"}).name == "only"
    with pytest.raises(Unreadable):
        read("oncall", {})
