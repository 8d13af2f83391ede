"""Mappings, and what happens to a message in no known shape."""

from typing import Any

import pytest

from alerts.engine.inbound import mapping as mapping_of
from alerts.engine.inbound import tools
from alerts.engine.inbound.told import Hints, Unreadable
from alerts.engine.states import Severity
from tests.alerts.inbound.reading import one, read


@pytest.mark.parametrize("tool", sorted(set(tools.TOOLS) - {"generic"}))
def test_what_is_in_no_shape_of_a_tool_is_read_like_any_json_and_says_so(tool: str) -> None:
    payload = {"subject": "Something broke", "importance": "high", "host": "a"}
    found = read(tool, payload)
    assert found.alerts[0].name == "Something broke"
    assert tool in {"oncall", "opsgenie"} or "not a message of" in found.problems[-1]
    with pytest.raises(Unreadable):
        read(tool, "no object")


MAPPING: dict[str, Any] = {
    "items": "list",
    "name": "'{check} on {where.host}'",
    "severity": "bad",
    "status": "now",
    "key": "where.host",
    "labels": {"room": "where.room", "none": "where.gone"},
    "annotations": {"runbook_url": "'https://r/{check}'"},
    "summary": "said",
    "values": {"status": {"rot": "firing", "Grün": "resolved"}, "severity": {"7": "critical"}},
    "started_at": "at",
    "url": "link",
}


def test_a_mapping_says_where_things_stand() -> None:
    item = {
        "check": "Disk",
        "where": {"host": "db-1", "room": "7"},
        "bad": 7,
        "now": "ROT",
        "at": 1795168800,
        "link": "https://x",
        "said": "Full",
    }
    told = one("generic", {"list": [item]}, mapping=MAPPING)
    assert (told.name, told.status, told.severity, told.key) == ("Disk on db-1", "firing", "critical", "db-1")
    assert (told.labels["room"], "none" in told.labels) == ("7", False)
    assert (told.annotations["runbook_url"], told.annotations["summary"], told.url) == (
        "https://r/Disk",
        "Full",
        "https://x",
    )
    assert one("generic", {"list": [{**item, "now": "grün"}]}, mapping=MAPPING).status == "resolved"


def test_a_mapping_leaves_the_rest_to_be_guessed_and_names_bad_items() -> None:
    found = read("generic", {"list": [{"title": "a", "state": "ok"}, 7]}, mapping={"items": "list"})
    assert ([(told.name, told.status) for told in found.alerts], found.problems) == (
        [("a", "resolved")],
        ("item 1: is not an object",),
    )
    with pytest.raises(Unreadable, match="Nothing stands at 'gone'"):
        read("generic", {"title": "x"}, mapping={"items": "gone"})
    labelled = one("generic", {"title": "x", "ctx": {"a": "1", "b": 2}}, mapping={"labels": "ctx"})
    assert labelled.labels == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("mapping", "field"),
    [
        ({"nmae": "x"}, "nmae"),
        ({"name": "a..b"}, "name"),
        ({"name": 7}, "name"),
        ({"labels": {"a": "["}}, "labels.a"),
        ({"labels": 7}, "labels"),
        ({"labels": "["}, "labels"),
        ({"annotations": "x"}, "annotations"),
        ({"values": {"status": {"a": "b"}}}, "values.status"),
        ({"values": {"other": {}}}, "values"),
        ({"values": {"severity": "x"}}, "values.severity"),
        ([], "mapping"),
    ],
)
def test_a_bad_mapping_is_told_by_field(mapping: Any, field: str) -> None:
    assert list(mapping_of.problems(mapping)) == [field]
    assert mapping_of.problems(MAPPING) == {}


def test_alerts_may_be_meant_as_changes() -> None:
    payload = {"title": "Deploy of shop", "status": "success", "app": "shop", "type": "deploy"}
    hints = Hints(mapping={"kind": "type"})
    found = mapping_of.changes_of(tools.read("generic", payload, hints), payload, hints)
    assert (found.alerts, found.changes[0].kind, found.changes[0].name) == ((), "deploy", "Deploy of shop")


def test_a_topic_that_asks_to_be_let_in_is_no_alert() -> None:
    found = read("generic", {"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns.example.org/?x"})
    assert (found.alerts, found.said) == (
        (),
        "a topic asks whether it may send; to let it, visit https://sns.example.org/?x",
    )


def test_the_default_severity_is_given_by_the_integration() -> None:
    assert one("alertmanager", {"labels": {"alertname": "x"}}, severity=Severity.LOW).severity is Severity.LOW
