"""Puts the shipped rules and the default policy in place, once each; what a person changed or deleted stays so."""

from datetime import datetime

from django.db import transaction

from alerts.models import Heartbeat, Policy, PolicyStep, Rule, RuleGroup
from alerts.rules.shipped import GROUP, SHIPPED, Shipped

POLICY = "Everyone"
MARK = "defaults"


def ensure_defaults(*, now: datetime) -> int:
    """Create what was never created before; return how many rules were added."""
    with transaction.atomic():
        mark, _ = Heartbeat.objects.select_for_update().get_or_create(name=MARK, defaults={"at": now})
        known = set(mark.detail.get("created", []))
        group, _ = RuleGroup.objects.get_or_create(name=GROUP, defaults={"due_at": now, "interval_seconds": 60})
        fresh = [rule for rule in SHIPPED if rule.name not in known]
        Rule.objects.bulk_create([_row(rule, group) for rule in fresh], ignore_conflicts=True)
        if "policy" not in known:
            _policy()
        mark.detail = {"created": sorted(known | {rule.name for rule in SHIPPED} | {"policy"})}
        mark.at = now
        mark.save()
    return len(fresh)


def _row(rule: Shipped, group: RuleGroup) -> Rule:
    position = next(i for i, each in enumerate(SHIPPED) if each is rule)
    return Rule(
        group=group, position=position, kind=rule.kind, name=rule.name, description=rule.description, spec=rule.spec,
        severity=rule.severity, labels=rule.labels, for_seconds=rule.for_seconds, window_seconds=rule.window_seconds,
        cooldown_seconds=rule.cooldown_seconds, default_key=rule.name,
        annotations={"summary": rule.summary, "description": rule.description, "runbook": rule.runbook, **rule.extra},
    )  # fmt: skip


def _policy() -> None:
    if Policy.objects.filter(is_default=True).exists():
        return
    policy, created = Policy.objects.get_or_create(name=POLICY, defaults={"is_default": True, "position": 1000})
    if created:
        PolicyStep.objects.create(policy=policy, position=0, delay_seconds=0)
