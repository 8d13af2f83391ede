"""The configuration as it stands: every row as the entry a file would have for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models
from django.utils.crypto import salted_hmac

from alerts.channels import CHANNELS
from alerts.engine.configuration import receivers, rules
from alerts.engine.configuration.document import Known
from alerts.engine.configuration.entries import Entry, Fields
from alerts.engine.configuration.sections import (
    CORRELATION,
    GROUPS,
    INHIBITIONS,
    MUTE_TIMES,
    SETTINGS,
    TESTS,
    Section,
)
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
from alerts.rules.rule_yaml import kinds, rule_fields

Key = tuple[str, str]
# Not a thing of the file but the order of one of its lists: no key names it.
ORDER = "order"
MODELS: Mapping[str, type[models.Model]] = {
    receivers.CHANNELS: Channel, receivers.ESCALATION: Policy, MUTE_TIMES.name: MuteTime,
    INHIBITIONS.name: Inhibition, CORRELATION.name: CorrelationRule, GROUPS.name: RuleGroup, rules.SECTION: Rule,
}  # fmt: skip


def known() -> Known:
    """Return what files may name: kinds of rules, types of channels."""
    return Known(kinds(), {name: module.form.KEYS for name, module in CHANNELS.items()})


def print_of_secret(text: str) -> str:
    """Return what tells secrets apart without telling them."""
    return f"hmac:{salted_hmac('configuration secret', text, algorithm='sha256').hexdigest()[:32]}" if text else ""


@dataclass(slots=True)
class State:
    """Everything that is configured now, by section and name, with the rows and what was last imported of each."""

    settings: AlertSettings
    entries: dict[Key, Entry] = field(default_factory=dict)
    rows: dict[Key, models.Model] = field(default_factory=dict)
    bases: dict[Key, ConfigurationBase] = field(default_factory=dict)

    def names(self, section: str) -> list[str]:
        """Return the names in a section, in its order."""
        return [name for place, name in self.entries if place == section]


def read_state() -> State:
    """Read everything, in about a dozen statements whatever its size."""
    state = State(AlertSettings.current())
    state.bases = {(base.section, base.name): base for base in ConfigurationBase.objects.all()}
    for section in (SETTINGS, TESTS):
        _put(state, section.name, section.name, _columns(section, state.settings), state.settings)
    for channel in Channel.objects.order_by("name"):
        _put(state, receivers.CHANNELS, channel.name, channel_fields(channel), channel)
    for policy in Policy.objects.order_by("position", "name").prefetch_related("steps__channels"):
        _put(state, receivers.ESCALATION, policy.name, policy_fields(policy), policy)
    for mute in MuteTime.objects.order_by("name").prefetch_related("policies"):
        policies = {"policies": sorted(policy.name for policy in mute.policies.all())}
        _put(state, MUTE_TIMES.name, mute.name, _columns(MUTE_TIMES, mute) | policies, mute)
    for inhibition in Inhibition.objects.order_by("name"):
        _put(state, INHIBITIONS.name, inhibition.name, _columns(INHIBITIONS, inhibition), inhibition)
    for correlation in CorrelationRule.objects.order_by("position", "name"):
        _put(state, CORRELATION.name, correlation.name, _columns(CORRELATION, correlation), correlation)
    for group in RuleGroup.objects.order_by("name"):
        _put(state, GROUPS.name, group.name, _group_fields(group, state.settings), group)
    for rule in Rule.objects.select_related("group").order_by("group__name", "position", "name"):
        _put(state, rules.SECTION, rule.name, rule_fields(rule), rule)
    return state


def _put(state: State, section: str, name: str, fields: Fields, row: models.Model) -> None:
    state.entries[section, name] = Entry(section, name, fields)
    state.rows[section, name] = row


def _columns(section: Section, row: models.Model) -> Fields:
    return {key.column: getattr(row, key.column) for key in section.keys if key.column != "policies"}


def _group_fields(group: RuleGroup, settings: AlertSettings) -> Fields:
    fields = _columns(GROUPS, group)
    usual = group.interval_seconds == settings.evaluation_interval_seconds
    return fields | {"interval_seconds": None if usual else group.interval_seconds}


def channel_fields(channel: Channel) -> Fields:
    """Return what a channel says; of its secret no more than what tells it from another one."""
    fields: Fields = {
        name: getattr(channel, name) for name in ("type", "config", "filters", "enabled", "is_fallback",
                                                  "rate_per_minute")
    }  # fmt: skip
    return fields | ({receivers.SECRET: print_of_secret(channel.unseal())} if channel.secret_sealed else {})


def policy_fields(policy: Policy) -> Fields:
    """Return what a policy says, its channels by name."""
    steps = [
        {
            "delay_seconds": step.delay_seconds, "channels": sorted(channel.name for channel in step.channels.all()),
            "recipients": step.recipients,
        }
        for step in policy.steps.all()
    ]  # fmt: skip
    return {"triggers": policy.triggers, "steps": steps, "enabled": policy.enabled, "is_default": policy.is_default}


def order_names(state: State, key: str) -> list[str]:
    """Return the names of an ordered list as they stand: of policies, correlation rules or `group:<name>`."""
    if key in (receivers.ESCALATION, CORRELATION.name):
        return state.names(key)
    group = key.partition(":")[2]
    return [name for (section, name), entry in state.entries.items()
            if section == rules.SECTION and entry.fields["group"] == group]  # fmt: skip


def orders_of(entries: Iterable[Entry]) -> dict[str, list[str]]:
    """Return the ordered lists of a file: names by list."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        if entry.section in (receivers.ESCALATION, CORRELATION.name):
            found.setdefault(entry.section, []).append(entry.name)
        elif entry.section == rules.SECTION:
            found.setdefault(f"group:{entry.fields['group']}", []).append(entry.name)
    return found


def shown_value(section: str, path: str, value: Any) -> Any:
    """Return a value as people may see it."""
    return "(secret)" if section == receivers.CHANNELS and path == receivers.SECRET and value else value
