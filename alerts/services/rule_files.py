"""Takes Prometheus rule files in, and gives the console's rules out as such."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.db import transaction

from aivillage_console.accounts.services import Actor
from alerts.engine.prometheus.rule_files import FileGroup, FileRule, RuleFile
from alerts.engine.prometheus.writing import rule_file_text
from alerts.models import Rule, RuleGroup
from alerts.rules import rule_files as shapes
from alerts.services.configuration import Invalid, configured_delete, group_save, rule_save

Action = Literal["create", "change", "delete", "keep"]
OWN_FILE = "console"
LONGEST_NAME, LONGEST_GROUP = 200, 120


@dataclass(frozen=True, slots=True)
class Change:
    """One thing an import does; `fields` are those that change."""

    action: Action
    what: Literal["group", "rule"]
    name: str
    group: str
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Plan:
    """What an import does, and what of it cannot be; with mistakes nothing is done."""

    changes: list[Change] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def count(self, action: Action, what: str = "rule") -> int:
        """Return how many things it happens to."""
        return sum(change.action == action and change.what == what for change in self.changes)


@dataclass(frozen=True, slots=True)
class Named:
    """A rule file and the name it goes by; a file that is imported again under it replaces what it had brought."""

    name: str
    content: RuleFile


@transaction.atomic
def rule_files_import(
    files: Iterable[Named], *, actor: Actor, now: datetime, interval_seconds: int = shapes.DEFAULT_INTERVAL_SECONDS,
    dry_run: bool = False,
) -> Plan:  # fmt: skip
    """Make the groups and rules that came from files what the files say; all of it or, with a mistake, nothing."""
    work = _Import(actor, now, interval_seconds)
    for file in files:
        work.plan.mistakes += [f"{file.name}: {mistake}" for mistake in file.content.mistakes]
        if not work.plan.mistakes:
            work.file(file)
    if dry_run or work.plan.mistakes:
        # What is planned is what was done: the same code ran, and is taken back.
        transaction.set_rollback(True)
    return work.plan


class _Import:
    """One import under way."""

    def __init__(self, actor: Actor, now: datetime, interval_seconds: int) -> None:
        self.actor, self.now, self.interval_seconds = actor, now, interval_seconds
        self.plan = Plan()
        self.names = set(Rule.objects.values_list("name", flat=True))
        self.groups = set(RuleGroup.objects.values_list("name", flat=True))

    def note(self, action: Action, obj: Rule | RuleGroup, fields: Sequence[str] = ()) -> None:
        if isinstance(obj, Rule):
            self.plan.changes.append(Change(action, "rule", obj.name, obj.group.name, tuple(fields)))
        else:
            self.plan.changes.append(Change(action, "group", obj.name, obj.name, tuple(fields)))

    def file(self, file: Named) -> None:
        before = {_bare(group): group for group in RuleGroup.objects.filter(file=file.name)}
        for group in file.content.groups:
            self.group(file.name, group, before.pop(group.name, None))
        for gone in before.values():
            for rule in gone.rules.all():
                self.note("delete", rule)
            self.note("delete", gone)
            configured_delete(gone, actor=self.actor, now=self.now)

    def group(self, file: str, given: FileGroup, stored: RuleGroup | None) -> None:
        group = stored or RuleGroup(name=self.group_name(file, given.name), file=file)
        fields = shapes.group_fields(given, self.interval_seconds)
        changed = [name for name, value in fields.items() if getattr(group, name) != value]
        for name in changed:
            setattr(group, name, fields[name])
        if stored is None or changed:
            try:
                group_save(group, actor=self.actor, now=self.now)
            except Invalid as problem:
                self.plan.mistakes.append(f"{file}:{given.line}: group {given.name}: {problem}")
                return
        self.note("create" if stored is None else "change" if changed else "keep", group, changed)
        self.rules(file, given, group)

    def group_name(self, file: str, name: str) -> str:
        found = name if name not in self.groups else f"{file}: {name}"[:LONGEST_GROUP]
        self.groups.add(found)
        return found

    def rules(self, file: str, given: FileGroup, group: RuleGroup) -> None:
        rows = list(group.rules.order_by("position", "name"))
        before = dict(zip(shapes.keys_of(rows), rows, strict=True))
        wanted = list(zip(shapes.keys_in_file(given), given.rules, strict=True))
        for key in before.keys() - {key for key, _ in wanted}:
            self.note("delete", before[key])
            self.names.discard(before[key].name)
            configured_delete(before[key], actor=self.actor, now=self.now)
        for position, (key, rule) in enumerate(wanted):
            fields = {**shapes.rule_fields(given, rule), "position": position}
            self.rule(f"{file}:{rule.line}", rule, before.get(key), group, fields)

    def rule(self, where: str, given: FileRule, stored: Rule | None, group: RuleGroup, fields: dict[str, Any]) -> None:
        # No file knows of a cooldown: what fires again is told again, until somebody sets one here.
        rule = stored or Rule(group=group, name=self.rule_name(given, group), cooldown_seconds=0)
        changed = [name for name, value in fields.items() if getattr(rule, name) != value]
        for name in changed:
            setattr(rule, name, fields[name])
        if stored is None or changed:
            try:
                rule_save(rule, actor=self.actor, now=self.now)
            except Invalid as problem:
                self.plan.mistakes.append(f"{where}: rule {given.name}: {problem}")
                return
        self.note("create" if stored is None else "change" if changed else "keep", rule, changed)

    def rule_name(self, given: FileRule, group: RuleGroup) -> str:
        """Return a name nobody has yet; the alert keeps its own, which several rules may share."""
        longer = f"{given.name} · {group.name}"
        found = given.name if given.name not in self.names else longer
        number = 2
        while found in self.names:
            found, number = f"{longer} {number}", number + 1
        self.names.add(found)
        return found[:LONGEST_NAME]


def _bare(group: RuleGroup) -> str:
    """Return the name of a group in its file."""
    return group.name.removeprefix(f"{group.file}: ") if group.file else group.name


def rule_files_export(*, apart: bool = False) -> tuple[dict[str, str], list[str]]:
    """Return rule files by name, with every group that is switched on, and what of the rules no rule file can say.

    `apart` gives each file that was imported back by its name, else all groups are in one.
    """
    groups = RuleGroup.objects.filter(enabled=True).order_by("name").prefetch_related("rules")
    found: dict[str, list[FileGroup]] = {}
    left: list[str] = []
    for group in groups:
        rules = sorted(group.rules.all(), key=lambda rule: (rule.position, rule.name))
        written, unsaid = shapes.file_group(group, rules, name=_bare(group) if apart else group.name)
        left += unsaid
        if written.rules:
            found.setdefault((apart and group.file) or OWN_FILE, []).append(written)
    return {name: rule_file_text(written) for name, written in sorted(found.items())}, left
