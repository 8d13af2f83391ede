"""Puts what is planned into the tables, each thing through the one service that checks and audits it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from django.db import models
from django.db.models import ProtectedError

from aivillage_console.accounts.services import Actor
from alerts.engine.configuration import receivers, rules
from alerts.engine.configuration.sections import CORRELATION, GROUPS, INHIBITIONS, MUTE_TIMES, SETTINGS, TESTS
from alerts.models import (
    AlertSettings,
    Channel,
    CorrelationRule,
    Inhibition,
    MuteTime,
    Policy,
    Rule,
    RuleGroup,
)
from alerts.rules.rule_yaml import COLUMNS
from alerts.services.alert_settings import alert_settings_save
from alerts.services.as_code.joining import joined_last
from alerts.services.as_code.plans import Step
from alerts.services.as_code.resolving import Wanted
from alerts.services.as_code.state import ORDER, Key, State, order_names
from alerts.services.configuration import (
    Invalid,
    Outdated,
    channel_moved,
    channel_save,
    configured_delete,
    group_save,
    policy_save,
    rule_save,
)
from alerts.services.correlation_rules import correlation_rule_delete, correlation_rule_save
from alerts.services.quiet_rules import quiet_rule_delete, quiet_rule_problems, quiet_rule_save

# Where a field of the console stands in the file.
KEYS = {
    "for_seconds": "for", "keep_firing_for_seconds": "keep_firing_for", "window_seconds": "evaluation_window",
    "cooldown_seconds": "cooldown_period", "alert_name": "alert", "interval_seconds": "interval",
}  # fmt: skip

MOVED = 'its address changes, so its secret is not taken along: give it again, or write `secret: ""`'


class Putting:
    """One import under way, in the caller's transaction."""

    def __init__(self, steps: Sequence[Step], found: Wanted, state: State, actor: Actor, now: datetime) -> None:
        """Keep what is to be done, by whom and when."""
        self.steps, self.found, self.state, self.actor, self.now = steps, found, state, actor, now
        self.mistakes: list[str] = []
        # Channels whose secret or address changes: an admin's to do.
        self.guarded: list[str] = []
        self.rows: dict[Key, models.Model] = dict(state.rows)

    def put_all(self) -> list[str]:
        """Do it all; return what is wrong, and then nothing of it may stay."""
        puts: Mapping[str, Callable[[Step], None]] = {
            SETTINGS.name: self.settings, TESTS.name: self.settings, receivers.CHANNELS: self.channel,
            receivers.ESCALATION: self.policy, MUTE_TIMES.name: self.quiet, INHIBITIONS.name: self.quiet,
            CORRELATION.name: self.correlation, GROUPS.name: self.group, rules.SECTION: self.rule, ORDER: self.order,
        }  # fmt: skip
        for step in joined_last(self.steps):
            # What is new has a place among the others too, though their order stays.
            if step.action in ("create", "change") or step.section == ORDER:
                self.tried(step, puts[step.section])
        # Rules before their groups, policies before their channels: nothing goes that is still needed.
        for step in reversed(self.steps):
            if step.action == "delete":
                self.tried(step, self.delete)
        return self.mistakes

    def tried(self, step: Step, put: Callable[[Step], None]) -> None:
        """Do one step and note what is wrong with it."""
        try:
            put(step)
        except Invalid as invalid:
            for name, text in invalid.problems.items():
                self.wrong(step, name, text)
        except ProtectedError:
            self.wrong(step, "", "cannot be deleted: something else still uses it")

    def wrong(self, step: Step, name: str, text: str) -> None:
        """Note what is wrong with a field, at the place of the key it came from."""
        said, entry = f"{step.section} {step.name}: {text}", step.entry
        if entry is None:
            self.mistakes.append(said)
            return
        inner = text.partition(":")[0]
        places = (entry.lines.get(key) for key in (inner, KEYS.get(name, name)))
        place = next((place for place in places if place), (entry.line, entry.column))
        self.found.wrong(entry, said, place)
        self.mistakes = self.found.mistakes

    def settings(self, step: Step) -> None:
        """Store settings; those not mentioned stay."""
        row = AlertSettings.current()
        for name, value in step.fields.items():
            setattr(row, name, value)
        row = alert_settings_save(row, actor=self.actor, now=self.now)
        self.state.settings = row

    def channel(self, step: Step) -> None:
        """Store a channel; its secret only where it is another one."""
        row = step.row if isinstance(step.row, Channel) else Channel(name=step.name)
        changes = {difference.path for difference in step.differences}
        before = Channel.objects.filter(pk=row.pk).first() if step.row is not None else None
        self.fill(row, {name: value for name, value in step.fields.items() if name != receivers.SECRET})
        moved, secret = channel_moved(before, row), None
        if receivers.SECRET in changes:
            secret = self.found.secrets.get(step.name, "") if step.fields.get(receivers.SECRET) else ""
        elif moved and before is not None and before.secret_sealed:
            secret = self.found.secrets.get(step.name)
            if secret is None:
                raise Invalid({receivers.SECRET: MOVED})
        if secret is not None or moved:
            self.guarded.append(step.name)
        channel_save(row, actor=self.actor, now=self.now, secret=secret, version=self.version(step))
        self.rows[step.key] = row

    def policy(self, step: Step) -> None:
        """Store a policy and its steps."""
        row = step.row if isinstance(step.row, Policy) else Policy(name=step.name, position=len(self.rows))
        self.fill(row, {name: value for name, value in step.fields.items() if name != "steps"})
        steps = [{**one, "channels": self.ids(receivers.CHANNELS, one["channels"])} for one in step.fields["steps"]]
        policy_save(row, actor=self.actor, now=self.now, steps=steps, version=self.version(step))
        self.rows[step.key] = row

    def ids(self, section: str, names: Sequence[str]) -> list[Any]:
        """Return the ids of things that are there by now; what could not be made is told already."""
        return [self.rows[section, name].pk for name in names if (section, name) in self.rows]

    def quiet(self, step: Step) -> None:
        """Store an inhibition or a mute time."""
        model = Inhibition if step.section == INHIBITIONS.name else MuteTime
        row = step.row if isinstance(step.row, Inhibition | MuteTime) else model(name=step.name)
        self.locked(step)
        policies = step.fields.get("policies", [])
        self.fill(row, {name: value for name, value in step.fields.items() if name != "policies"})
        problems = quiet_rule_problems(row)
        if problems:
            raise Invalid(problems)
        quiet_rule_save(row, actor=self.actor, now=self.now)
        if isinstance(row, MuteTime):
            row.policies.set(self.ids(receivers.ESCALATION, policies))
        self.rows[step.key] = row

    def correlation(self, step: Step) -> None:
        """Store a correlation rule."""
        row = step.row if isinstance(step.row, CorrelationRule) else CorrelationRule(name=step.name)
        self.fill(row, step.fields)
        correlation_rule_save(row, actor=self.actor, now=self.now, version=self.version(step))
        self.rows[step.key] = row

    def group(self, step: Step) -> None:
        """Store a group; without an interval of its own it has the one of the settings."""
        row = step.row if isinstance(step.row, RuleGroup) else RuleGroup(name=step.name)
        usual = self.state.settings.evaluation_interval_seconds
        self.fill(row, step.fields | {"interval_seconds": step.fields["interval_seconds"] or usual})
        group_save(row, actor=self.actor, now=self.now)
        self.rows[step.key] = row

    def rule(self, step: Step) -> None:
        """Store a rule, in its group."""
        row = step.row if isinstance(step.row, Rule) else Rule(name=step.name)
        self.fill(row, {name: step.fields[name] for name in COLUMNS})
        group = self.rows.get((GROUPS.name, step.fields["group"]))
        if not isinstance(group, RuleGroup):
            return
        row.group = group
        rule_save(row, actor=self.actor, now=self.now, version=self.version(step))
        self.rows[step.key] = row

    def order(self, step: Step) -> None:
        """Give the things of a list the places that it says."""
        section = step.name if step.name in (receivers.ESCALATION, CORRELATION.name) else rules.SECTION
        names = step.fields["names"]
        rows = [self.rows[section, name] for name in names if (section, name) in self.rows]
        places = [getattr(row, "position", 0) for row in rows]
        if names == order_names(self.state, step.name) or all(one < two for one, two in pairwise(places)):
            return
        for position, row in enumerate(rows):
            if places[position] == position:
                continue
            row.position = position  # type: ignore[attr-defined]
            if isinstance(row, Rule):
                rule_save(row, actor=self.actor, now=self.now)
            elif isinstance(row, Policy):
                policy_save(row, actor=self.actor, now=self.now)
            elif isinstance(row, CorrelationRule):
                correlation_rule_save(row, actor=self.actor, now=self.now)

    def delete(self, step: Step) -> None:
        """Delete a thing; a group only when no rule is left in it."""
        row = step.row
        if isinstance(row, RuleGroup) and row.rules.exists():
            raise Invalid({"rules": "it still has rules that no file has: move or delete them first"})
        if isinstance(row, Inhibition | MuteTime):
            quiet_rule_delete(row, actor=self.actor, now=self.now)
        elif isinstance(row, CorrelationRule):
            correlation_rule_delete(row, actor=self.actor, now=self.now)
        elif row is not None:
            configured_delete(row, actor=self.actor, now=self.now)

    def fill(self, row: models.Model, fields: Mapping[str, Any]) -> None:
        """Put fields into a row."""
        for name, value in fields.items():
            setattr(row, name, value)

    def version(self, step: Step) -> int | None:
        """Return the version the plan stands on; None for a new thing."""
        return getattr(step.row, "version", None)

    def locked(self, step: Step) -> None:
        """Lock a stored row; raises Outdated where somebody changed it since it was read."""
        if step.row is None:
            return
        fresh = type(step.row)._default_manager.select_for_update().get(pk=step.row.pk)
        if getattr(fresh, "version", 0) != getattr(step.row, "version", 0):
            raise Outdated(fresh)
