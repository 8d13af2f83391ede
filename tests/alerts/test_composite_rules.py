"""Rules that join other rules, from their standing to the alert."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import Alert, Rule, RuleGroup, RuleState
from alerts.rules.validation import rule_problems
from tests.alerts.sampled import feed, prepared, rule_of, run, state_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start() -> datetime:
    return prepared()


def by_minute(*values: float | None) -> list[float | None]:
    """Return four samples a minute."""
    return [value for value in values for _ in range(4)]


def joined(start: datetime, expression: str = "Hot and not flag", **spec: Any) -> Rule:
    return rule_of(start, "composite", name="Both", spec={"expression": expression, **spec}, severity="critical")


def test_it_follows_the_rules_it_joins_at_the_same_tick_with_its_reasons(start: datetime) -> None:
    feed(start, by_minute(91, 91, 91, 91, 50))
    feed(start, by_minute(0, 1, 0, 0, 0), name="flag")
    rule_of(start, spec={"expr": "heat > 90"})
    rule_of(start, name="flag", spec={"expr": "flag == 1"})
    joined(start)
    seen = []
    for minute in range(5):
        run(start, minute)
        seen.append(state_of("Both"))
    assert seen == ["firing", "resolved", "firing", "firing", "resolved"]
    alert = Alert.objects.get(name="Both")
    assert (alert.labels, alert.severity) == ({"severity": "critical"}, "critical")
    assert alert.resolved_because == "the rules it joins no longer say so"
    parts = {part["rule"]: part for part in alert.evidence["facts"]["parts"]}
    assert (parts["Hot"]["says"], parts["flag"]["says"]) == ("fires", "does not fire")
    assert parts["Hot"]["alerts"][0]["host"] == "a"


def test_joined_on_a_label_there_is_an_alert_for_each_of_its_values(start: datetime) -> None:
    for host in ("a", "b"):
        feed(start, by_minute(91, 91), host=host)
    feed(start, by_minute(1, 1), name="flag", host="b")
    rule_of(start, spec={"expr": "heat > 90"})
    rule_of(start, name="flag", spec={"expr": "flag == 1"})
    joined(start, on=["host"])
    run(start, 0)
    assert Alert.objects.get(name="Both").labels == {"host": "a", "severity": "critical"}


def test_lost_data_and_failed_queries_of_its_rules_never_read_as_over(start: datetime) -> None:
    feed(start, [91.0] * 8)
    hot = rule_of(start, spec={"expr": "heat > 90"})
    both = joined(start, "Hot", on=["host"])
    run(start, 1)
    assert state_of("Both") == "firing"
    run(start, 9)
    assert (state_of("Hot"), state_of("Both")) == ("unknown", "unknown")
    both.refresh_from_db()
    assert (both.health, both.last_error) == ("unknown", "cannot be told, because of Hot")
    Rule.objects.filter(pk=hot.pk).update(spec={"expr": "heat("})
    RuleState.objects.filter(rule=hot).delete()
    run(start, 10)
    assert state_of("Both") == "unknown"
    Rule.objects.filter(pk=hot.pk).update(enabled=False)
    run(start, 11)
    assert state_of("Both") == "resolved"


def test_a_rule_that_is_gone_makes_it_unknown_and_says_which(start: datetime) -> None:
    feed(start, [91.0] * 8)
    hot = rule_of(start, spec={"expr": "heat > 90"})
    both = joined(start, "Hot")
    run(start, 0)
    hot.delete()
    run(start, 1)
    both.refresh_from_db()
    assert state_of("Both") == "unknown"
    assert "there is no rule 'Hot' any more" in both.last_error


def test_for_and_the_limit_of_its_group_hold_for_it_too(start: datetime) -> None:
    for host in ("a", "b"):
        feed(start, [91.0] * 20, host=host)
    rule_of(start, spec={"expr": "heat > 90"})
    both = joined(start, "Hot", on=["host"])
    Rule.objects.filter(pk=both.pk).update(for_seconds=120)
    run(start, 0)
    assert state_of("Both") == "pending"
    run(start, 1, 2)
    assert state_of("Both") == "firing"
    later = start + timedelta(minutes=3, seconds=1)
    group = RuleGroup.objects.create(name="h", interval_seconds=60, limit=1, due_at=later)
    Rule.objects.filter(pk=both.pk).update(group=group)
    run(start, 3.5)
    both.refresh_from_db()
    assert "exceeded limit of 1 with 2 alerts" in both.last_error


def problem(spec: Any, name: str = "new", **more: Any) -> str:
    return rule_problems({"kind": "composite", "name": name, "spec": spec}, **more).get("spec", "")


def test_what_cannot_be_joined_is_refused_with_a_reason(start: datetime) -> None:
    rule_of(start, name="high_cpu", spec={"expr": "up"})
    rule_of(start, "recording", name="rec", spec={"record": "a:b", "expr": "up"})
    rule_of(start, "composite", name="b", spec={"expression": "c or high_cpu"})
    rule_of(start, "composite", name="c", spec={"expression": "not a"})
    assert problem({"expression": "high_cpu and not high_cpu", "on": ["host"]}) == ""
    assert problem({}) == "expression is missing."
    assert problem({"expression": "high_cpu and"}).startswith("expression: It ends where")
    assert problem({"expression": "hi_cpu"}) == "expression: There is no rule 'hi_cpu'. Is it 'high_cpu'?"
    assert "Make that rule first" in problem({"expression": "zzz"})
    assert "records series and never fires" in problem({"expression": "rec"})
    assert "true while no rule fires" in problem({"expression": "not high_cpu", "on": ["host"]})
    assert "is a list of at most" in problem({"expression": "high_cpu", "on": "host"})
    assert problem({"expression": "b"}, "a") == "expression: The rule would hang on itself: a → b → c → a."
    assert problem({"expression": "me"}, "me") == "expression: The rule would hang on itself: me → me."


def test_rules_that_come_with_it_count_as_known(start: datetime) -> None:
    others = {"x": {"kind": "promql", "spec": {}}, "y": {"kind": "composite", "spec": {"expression": "new"}}}
    assert problem({"expression": "x"}, others=others) == ""
    assert "new → y → new" in problem({"expression": "y"}, others=others)
