"""Rules of kinds that apps above own go through the same states as rules over samples."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, connection

from aivillage_console.lib import clock
from alerts.admin import RuleForm
from alerts.models import Alert, Rule, RuleGroup, RuleState
from alerts.rules.kinds import ASKED_KINDS, Case
from alerts.rules.shipped import SHIPPED_GROUPS, Shipped, ShippedGroup
from alerts.rules.validation import rule_problems
from alerts.services import answers, ensure_defaults
from tests.alerts.asked import Events, asked_rule, attack, grid_time, tick

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    """Return the rows behind the kind `security_event` of this test."""
    rows = Events()
    monkeypatch.setitem(ASKED_KINDS._slots, "security_event", rows.kind())
    return rows


@pytest.fixture
def start() -> datetime:
    return grid_time()


def test_a_case_waits_fires_with_its_evidence_and_ends_with_the_owners_words(start: datetime, events: Events) -> None:
    asked_rule(start, for_seconds=10, window_seconds=120)
    events.put(attack(evidence={"tries": 12}))
    tick(start, 5.1, 10.2)
    assert Alert.objects.get().state == "pending"
    tick(start, 15.1)
    alert = Alert.objects.get()
    assert (alert.state, alert.value, alert.threshold, alert.severity) == ("firing", 12.0, 3.0, "medium")
    assert alert.labels == {"source_ip": "203.0.113.7", "component": "gateway"}
    assert (alert.annotations["summary"], alert.annotations["runbook"]) == ("203.0.113.7: 12 tries", "Block it.")
    assert (alert.evidence["facts"], alert.evidence["kind"]) == ({"tries": 12}, "security_event")
    assert events.asked[-1] == ({"least": 3}, 120, start + timedelta(seconds=15))
    events.put()
    tick(start, 20)
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_because) == ("resolved", "no event in the window any more")
    assert RuleState.objects.count() == 0


def test_a_case_keeps_firing_for_as_long_as_its_rule_says(start: datetime, events: Events) -> None:
    asked_rule(start, keep_firing_for_seconds=20)
    events.put(attack())
    tick(start, 5)
    events.put()
    # Gone at 10 s: kept for 20 s from then.
    tick(start, 10, 20, 25)
    assert Alert.objects.get().state == "firing"
    tick(start, 30)
    assert Alert.objects.get().state == "resolved"


def test_what_the_case_says_stands_in_the_place_of_the_rules_words_and_is_no_template(
    start: datetime, events: Events
) -> None:
    asked_rule(start)
    events.put(attack(annotations={"summary": "typed: {{ $labels.secret }}", "excerpt": "x" * 9000}))
    tick(start, 5)
    annotations = Alert.objects.get().annotations
    assert annotations["summary"] == "typed: {{ $labels.secret }}"
    assert (annotations["runbook"], len(annotations["excerpt"])) == ("Block it.", 4000)


def test_cases_of_the_same_labels_are_one_alert_of_the_worst(start: datetime, events: Events) -> None:
    asked_rule(start)
    events.put(attack("low"), attack("critical", value=90.0), attack("high"), attack("high", source="198.51.100.1"))
    tick(start, 5)
    assert {(alert.labels["source_ip"], alert.severity) for alert in Alert.objects.all()} == {
        ("203.0.113.7", "critical"), ("198.51.100.1", "high"),
    }  # fmt: skip


def test_of_too_many_cases_those_that_run_and_then_the_worst_are_alerts(
    start: datetime, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_CASES", 2)
    asked_rule(start)
    events.put(attack("low", source="192.0.2.1"))
    tick(start, 5)
    events.put(attack("low", source="192.0.2.1"), *(attack("medium", source=f"192.0.2.{i}") for i in range(2, 9)),
               attack("critical", source="192.0.2.9"))  # fmt: skip
    tick(start, 10)
    assert {alert.labels["source_ip"] for alert in Alert.objects.all()} == {"192.0.2.1", "192.0.2.9"}


def test_a_kind_nobody_answers_makes_the_rule_unknown_and_says_why(
    start: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ASKED_KINDS._slots, "security_event", None)
    asked_rule(start)
    tick(start, 5, 10)
    rule = Rule.objects.get()
    assert rule.health == "unknown"
    assert "the app that answers rules of the kind security_event is not installed" in rule.last_error
    assert Alert.objects.get(name="RuleNotEvaluated").labels["rule"] == "Attack"


def _bad_statement() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1/0")


@pytest.mark.parametrize("error", [ValueError("too wide a window"), KeyError("field"), DataError("a bad row")])
def test_an_owner_that_fails_neither_ends_what_fires_nor_stops_other_rules(
    start: datetime, events: Events, error: Exception
) -> None:
    asked_rule(start)
    Rule.objects.create(group=RuleGroup.objects.get(), position=1, name="Next", spec={"expr": "vector(1) > 0"})
    events.put(attack())
    tick(start, 5)
    events.error = error
    tick(start, 10)
    assert (Alert.objects.get(name="Attack").state, Rule.objects.get(name="Attack").health) == ("unknown", "unknown")
    assert Alert.objects.get(name="Next").state == "firing"
    events.error = None
    tick(start, 15)
    assert (Alert.objects.get(name="Attack").state, Rule.objects.get(name="Attack").health) == ("firing", "ok")


def test_a_statement_that_fails_leaves_the_round_whole(
    start: datetime, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "ask", lambda *_args: _bad_statement())
    monkeypatch.setitem(ASKED_KINDS._slots, "security_event", events.kind())
    asked_rule(start)
    tick(start, 5)
    assert "division by zero" in Rule.objects.get().last_error
    assert RuleGroup.objects.get().lease_token is None


def test_switching_the_rule_off_ends_its_alerts(start: datetime, events: Events) -> None:
    asked_rule(start)
    events.put(attack())
    tick(start, 5)
    Rule.objects.update(enabled=False)
    tick(start, 10)
    assert Alert.objects.get().resolved_because == "its rule was switched off"


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"spec": {"least": "many"}}, "spec", "least: This is a whole number."),
        ({"spec": {"expr": "up"}}, "spec", "Unknown keys expr"),
        ({"kind": "phase_failed", "spec": {}}, "kind", "is not installed"),
        ({"spec": "text"}, "spec", "The spec is a map."),
    ],
)
def test_a_bad_rule_of_an_asked_kind_names_the_field(
    fields: dict[str, Any], field: str, text: str, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ASKED_KINDS._slots, "phase_failed", None)
    problems = rule_problems({"kind": "security_event", "name": "x", **fields})
    assert text in problems[field]
    assert events.asked == []


def test_the_admin_form_takes_a_rule_of_an_asked_kind_and_shows_its_owners_problems(
    start: datetime, events: Events
) -> None:
    rule = asked_rule(start)
    fields = {
        "group": rule.group_id, "position": 0, "kind": "security_event", "name": "Other", "severity": "high",
        "labels": "{}", "annotations": "{}", "for_seconds": 0, "keep_firing_for_seconds": 0, "window_seconds": 60,
        "cooldown_seconds": 0,
    }  # fmt: skip
    assert RuleForm({**fields, "spec": '{"least": 5}'}).errors == {}
    assert RuleForm({**fields, "spec": ""}).errors == {}
    assert "least: This is a whole number." in str(RuleForm({**fields, "spec": '{"least": "x"}'}).errors["spec"])
    assert "Test event: event_type, least" in str(RuleForm().fields["spec"].help_text)


def shipped(name: str) -> Shipped:
    return Shipped(
        name=name, kind="security_event", spec={}, severity="high", summary="s", description="d", runbook="r", labels={}
    )


def test_apps_add_default_rules_to_an_installation_that_has_the_old_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SHIPPED_GROUPS, "_slots", dict.fromkeys(SHIPPED_GROUPS.slots))
    now = clock.now()
    assert ensure_defaults(now=now) > 0
    SHIPPED_GROUPS.fill("security", ShippedGroup(name="security", interval_seconds=5, rules=[shipped("brute_force")]))
    assert ensure_defaults(now=now) == 1
    group = RuleGroup.objects.get(name="security")
    assert (group.interval_seconds, group.rules.get().default_key) == (5, "brute_force")
    RuleGroup.objects.filter(pk=group.pk).update(interval_seconds=30)
    Rule.objects.filter(name="brute_force").update(severity="low")
    assert ensure_defaults(now=now) == 0
    group.refresh_from_db()
    assert (group.interval_seconds, group.rules.get().severity) == (30, "low")
    group.delete()
    assert ensure_defaults(now=now) == 0
    assert not RuleGroup.objects.filter(name="security").exists()


def test_a_case_without_a_value_or_of_an_unknown_severity_takes_what_the_rule_says(
    start: datetime, events: Events
) -> None:
    asked_rule(start, severity="high")
    events.put(Case(labels={"n": "1"}, severity="frightful"))
    tick(start, 5)
    alert = Alert.objects.get()
    assert (alert.severity, alert.value) == ("high", None)
