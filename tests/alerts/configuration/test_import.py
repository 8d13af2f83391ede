"""Import, plan and export over the real tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.accounts.services import Actor
from alerts.engine.configuration.merging import Side
from alerts.models import (
    AlertSettings,
    Channel,
    ConfigurationBase,
    CorrelationRule,
    Inhibition,
    MuteTime,
    Policy,
    Rule,
    RuleGroup,
)
from alerts.services.as_code import (
    Changed,
    Given,
    Plan,
    Undecided,
    Wish,
    configuration_apply,
    configuration_export,
    configuration_plan,
)
from alerts.services.configuration import policy_save, rule_save
from tests.alerts.configuration.test_document import FULL

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME = Actor.system("test")
RULE = "alert_rules:\n- name: hot\n  expr: heat > 80\n  severity: high\n  labels:\n    team: a\n"


def wish(
    text: str, *, name: str = "a.yaml", prune: bool = False, choose: Side | None = None,
    choices: Mapping[str, Mapping[str, Side]] | None = None, **variables: str,
) -> Wish:  # fmt: skip
    chosen = dict(choices or {}) | ({"*": {"*": choose}} if choose else {})
    return Wish(files=[Given(name, text)], prune=prune, choices=chosen, variables=variables)


def plan(text: str, **more: Any) -> Plan:
    return configuration_plan(wish(text, **more), actor=ME, now=NOW)


def apply(text: str, *, digest: str = "", **more: Any) -> Plan:
    return configuration_apply(wish(text, **more), actor=ME, now=NOW, digest=digest)


def done(found: Plan) -> dict[tuple[str, str], str]:
    return {step.key: step.action for step in found.steps if step.action != "keep"}


def test_a_plan_says_what_would_be_made_and_makes_nothing() -> None:
    found = plan(FULL)
    assert found.mistakes == []
    assert found.counts["create"] == 9
    assert not Channel.objects.exists()
    assert not Policy.objects.exists()
    assert not AuditEntry.objects.exists()


def test_everything_is_imported_and_exported_byte_for_byte() -> None:
    assert apply(FULL).mistakes == []
    once = configuration_export()
    found = apply(once, name="b.yaml")
    assert (found.mistakes, done(found)) == ([], {})
    assert configuration_export() == once
    policy = Policy.objects.get()
    told = [[channel.name for channel in step.channels.all()] for step in policy.steps.all()]
    assert told == [["engineering_team", "slack_alerts"], ["engineering_team", "issue_tracker"], ["engineering_team"]]
    assert (Rule.objects.get().severity, Rule.objects.get().labels) == ("medium", {"severity_original": "warning"})
    assert RuleGroup.objects.get().interval_seconds == 15
    assert [Inhibition.objects.count(), MuteTime.objects.count(), CorrelationRule.objects.count()] == [1, 1, 1]
    assert MuteTime.objects.get().policies.get() == policy
    # And into an empty console.
    for model in (Rule, RuleGroup, MuteTime, Policy, Channel, Inhibition, CorrelationRule, ConfigurationBase):
        model._default_manager.all().delete()
    assert apply(once).mistakes == []
    assert configuration_export() == once


def test_a_change_is_told_field_by_field() -> None:
    apply(RULE)
    found = plan(RULE.replace("80", "90").replace("team: a", "team: b"))
    step = next(step for step in found.steps if step.name == "hot")
    assert [(one.path, one.old, one.new) for one in step.differences] == [
        ("spec.expr", "heat > 80", "heat > 90"), ("labels.team", "a", "b"),
    ]  # fmt: skip


def test_what_cannot_be_stored_is_told_with_its_line_and_nothing_is_stored() -> None:
    found = apply(RULE + "- name: bad\n  expr: heat >\n- name: worse\n  expr: up\n  labels: {a-b: c}\n")
    assert [line.split(": ")[0] for line in found.mistakes] == ["a.yaml:8:9", "a.yaml:11:11"]
    assert not Rule.objects.exists()


def _changed_here(**fields: Any) -> Rule:
    rule = Rule.objects.get(name="hot")
    for name, value in fields.items():
        setattr(rule, name, value)
    return rule_save(rule, actor=ME, now=NOW)


def test_both_sides_may_change_different_fields() -> None:
    apply(RULE)
    _changed_here(for_seconds=120, labels={"team": "a", "mine": "x"})
    found = apply(RULE.replace("80", "90") + "    theirs: y\n")
    rule = Rule.objects.get()
    assert not found.conflicts
    assert (rule.for_seconds, rule.spec, rule.labels) == (
        120, {"expr": "heat > 90"}, {"team": "a", "mine": "x", "theirs": "y"}
    )  # fmt: skip


def test_a_conflict_is_shown_with_both_values_and_decided_one_by_one() -> None:
    apply(RULE)
    _changed_here(spec={"expr": "heat > 85"}, severity="low")
    text = RULE.replace("80", "90").replace("high", "critical")
    found = plan(text)
    assert [(one.path, one.base, one.console, one.file) for _, one in found.conflicts] == [
        ("spec.expr", "heat > 80", "heat > 85", "heat > 90"), ("severity", "high", "low", "critical"),
    ]  # fmt: skip
    with pytest.raises(Undecided):
        apply(text)
    apply(text, choices={"alert_rules/hot": {"spec.expr": "file", "severity": "console"}})
    rule = Rule.objects.get()
    assert (rule.spec["expr"], rule.severity) == ("heat > 90", "low")
    # Decided once, decided for good: the file is what it was.
    assert done(plan(text)) == {}


def test_what_was_deleted_here_stays_so_until_the_file_changes_or_is_preferred() -> None:
    apply(RULE)
    Rule.objects.all().delete()
    assert done(plan(RULE)) == {("alert_rules", "hot"): "gone"}
    assert len(plan(RULE.replace("80", "90")).conflicts) == 1
    apply(RULE, choose="file")
    assert Rule.objects.filter(name="hot").exists()


def test_what_a_file_no_longer_has_is_deleted_only_when_asked_for() -> None:
    apply(RULE + "- name: cold\n  expr: heat < 1\n")
    assert done(plan(RULE)) == {("alert_rules", "cold"): "left"}
    assert done(plan(RULE, prune=True)) == {("alert_rules", "cold"): "delete"}
    assert done(plan("{}", name="other.yaml", prune=True)) == {}
    apply(RULE, prune=True)
    assert [rule.name for rule in Rule.objects.all()] == ["hot"]


def test_a_plan_is_applied_only_while_nothing_has_changed() -> None:
    found = plan(RULE)
    apply("alert_rules:\n- {name: other, expr: up == 0}\n", name="b.yaml")
    with pytest.raises(Changed) as changed:
        apply(RULE, digest=found.digest)
    assert changed.value.plan.counts["create"] == 1
    assert not Rule.objects.filter(name="hot").exists()
    apply(RULE, digest=plan(RULE).digest)
    assert AuditEntry.objects.filter(action="configuration.apply").count() == 2


SECRET_CHANNEL = """\
channels:
- name: hook
  type: slack
  channel: '#ops'
  token: ${SLACK_TOKEN}
- name: web
  type: webhook
  url: ${WEB_URL}
"""


def test_secrets_are_variables_in_the_export_and_are_kept_when_those_are_unset() -> None:
    apply(SECRET_CHANNEL, SLACK_TOKEN="xoxb-secret", WEB_URL="https://hooks.example.org/abc")
    text = configuration_export()
    assert "secret: ${SLACK_TOKEN}" in text
    assert "url: ${WEB_URL}" in text
    assert "xoxb-secret" not in text
    found = apply(text)
    assert (found.mistakes, done(found)) == ([], {})
    assert Channel.objects.get(name="hook").unseal() == "xoxb-secret"
    assert configuration_export() == text
    apply(text, SLACK_TOKEN="xoxb-other")
    assert Channel.objects.get(name="hook").unseal() == "xoxb-other"
    Channel.objects.all().delete()
    ConfigurationBase.objects.all().delete()
    assert [one.split(": ", 1)[1] for one in plan(text).mistakes] == [
        "${SLACK_TOKEN} is not set: set SLACK_TOKEN, or write ${SLACK_TOKEN:-default}",
        "${WEB_URL} is not set: set WEB_URL, or write ${WEB_URL:-default}",
    ]


def test_a_secret_made_here_gets_a_variable_of_its_own() -> None:
    for name in ("my hook", "my-hook"):
        channel = Channel(name=name, type="slack", config={"channel": "#x"})
        channel.seal("xoxb-1")
        channel.save()
    text = configuration_export()
    assert "secret: ${CHANNEL_MY_HOOK_SECRET}" in text
    assert "secret: ${CHANNEL_MY_HOOK_SECRET_2}" in text
    assert apply(text).mistakes == []
    assert configuration_export() == text


def test_an_unknown_channel_of_a_step_is_refused() -> None:
    text = "escalation:\n- name: e\n  triggers: []\n  steps:\n  - channels: [nobody]\n"
    assert plan(text).mistakes == ["a.yaml:5:15: there is no channel and no type 'nobody'; there are none"]


ROUTES = """\
channels:
- {name: hook, type: webhook, url: "https://hooks.example.org/x"%s}
escalation:
- {name: e, triggers: [{severity: high}], steps: [{channels: [hook]}]}
"""


def test_alerts_that_would_reach_nobody_are_named() -> None:
    apply(ROUTES % "" + RULE)
    found = plan(ROUTES % ", enabled: false" + RULE)
    assert [(one.what, one.was, one.why) for one in found.reach.lost] == [
        ("alerts of hot", "e", "the policy e tells no channel that is on")
    ]
    found = plan(ROUTES % "" + RULE.replace("high", "low"))
    assert [one.why for one in found.reach.lost] == ["no policy matches, and there is no default one"]
    assert plan(ROUTES % "" + RULE).reach.lost == []


def test_the_order_of_a_file_is_the_order_of_policies() -> None:
    lines = {name: f"- {{name: {name}, triggers: [{{severity: high}}], steps: []}}\n" for name in "abc"}
    apply("escalation:\n" + lines["a"] + lines["b"])
    assert [policy.name for policy in Policy.objects.all()] == ["a", "b"]
    apply("escalation:\n" + lines["b"] + lines["c"] + lines["a"])
    assert [policy.name for policy in Policy.objects.all()] == ["b", "c", "a"]
    # Somebody orders them here; the file says what it said, so it stays.
    for place, name in enumerate(["c", "b", "a"]):
        policy = Policy.objects.get(name=name)
        policy.position = place
        policy_save(policy, actor=ME, now=NOW)
    apply("escalation:\n" + lines["b"] + lines["c"] + lines["a"])
    assert [policy.name for policy in Policy.objects.all()] == ["c", "b", "a"]


def test_settings_are_stored_and_groups_follow_the_interval() -> None:
    apply("groups:\n- {name: usual}\n- {name: own, interval: 15s}\n")
    apply("settings: {evaluation_interval: 30s, alert_retention_days: 7}\n")
    row = AlertSettings.objects.get()
    assert (row.evaluation_interval_seconds, row.alert_retention_days, row.batch_size) == (30, 7, 100)
    assert {group.name: group.interval_seconds for group in RuleGroup.objects.all()} == {"usual": 30, "own": 15}


def test_two_files_may_not_say_the_same_thing_twice() -> None:
    both = Wish(files=[Given("a.yaml", RULE), Given("b.yaml", RULE)])
    found = configuration_plan(both, actor=ME, now=NOW)
    assert found.mistakes == ["b.yaml:2:3: 'hot' stands in a.yaml, line 2, too"]
