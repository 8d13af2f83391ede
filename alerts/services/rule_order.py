"""Where a rule stands: its place in its group, which is the order of evaluation; and what goes when it goes."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from aivillage_console.accounts.services import Actor
from alerts.models import Rule, RuleGroup
from alerts.services.configuration import configured_delete, rule_save

STEPS = {"up": -1, "down": 1}


@transaction.atomic
def rule_move(rule: Rule, *, to: str, actor: Actor, now: datetime, group_id: UUID | None = None) -> str:
    """Move a rule `up`, `down` or to another `group`; return what came of it; ValueError where that cannot be."""
    if to == "group":
        return _to_group(rule, group_id, actor, now)
    if to not in STEPS:
        raise ValueError("say up, down or group")
    rows = list(Rule.objects.select_for_update().filter(group=rule.group_id).order_by("position", "name"))
    place = [row.pk for row in rows].index(rule.pk)
    other = place + STEPS[to]
    if not 0 <= other < len(rows):
        return f"{rule.name} is at that end of {rule.group.name} already."
    rows[place], rows[other] = rows[other], rows[place]
    for position, row in enumerate(rows):
        if row.position != position:
            row.position = position
            rule_save(row, actor=actor, now=now)
    return f"{rule.name} is evaluated {'before' if to == 'up' else 'after'} {rows[place].name} now."


def _to_group(rule: Rule, group_id: UUID | None, actor: Actor, now: datetime) -> str:
    group = RuleGroup.objects.filter(pk=group_id).first() if group_id else None
    if group is None:
        raise ValueError("there is no such group")
    last = Rule.objects.filter(group=group).order_by("-position").values_list("position", flat=True).first()
    rule.group, rule.position = group, 0 if last is None else last + 1
    rule_save(rule, actor=actor, now=now, version=rule.version)
    return f"{rule.name} is in {group.name} now, evaluated last and every {group.interval_seconds} s."


@transaction.atomic
def rule_delete(rule: Rule, *, actor: Actor, now: datetime) -> None:
    """Delete a rule; its alerts end first, because nobody would end them after it."""
    configured_delete(rule, actor=actor, now=now)


@transaction.atomic
def group_delete(group: RuleGroup, *, actor: Actor, now: datetime) -> int:
    """Delete a group with its rules, whose alerts end; return how many rules went."""
    rules = list(Rule.objects.filter(group=group).select_related("group"))
    for rule in rules:
        rule_delete(rule, actor=actor, now=now)
    configured_delete(group, actor=actor, now=now)
    return len(rules)
