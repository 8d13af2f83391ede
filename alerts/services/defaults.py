"""Puts the shipped rules and the default policy in place, once each; what a person changed or deleted stays so."""

from datetime import datetime

from django.db import transaction

from alerts.models import CorrelationRule, Heartbeat, Policy, PolicyStep, Rule, RuleGroup
from alerts.rules.shipped import GROUP, SHIPPED, SHIPPED_GROUPS, Shipped, ShippedGroup

POLICY = "Everyone"
# Lists only: every alert is told as it would be without them.
CORRELATION = (
    ("correlation: component", "Same component", ["component"], 100),
    ("correlation: host", "Same host", ["host"], 200),
)  # fmt: skip
MARK = "defaults"


def ensure_defaults(*, now: datetime) -> int:
    """Create what was never created before; return how many rules were added."""
    groups = [ShippedGroup(name=GROUP, rules=SHIPPED), *(group for _, group in SHIPPED_GROUPS.filled())]
    with transaction.atomic():
        mark, _ = Heartbeat.objects.select_for_update().get_or_create(name=MARK, defaults={"at": now})
        known = set(mark.detail.get("created", []))
        added = sum(_added(group, known, now) for group in groups)
        if "policy" not in known:
            _policy()
        shipped = {rule.name for group in groups for rule in group.rules} | {key for key, *_ in CORRELATION}
        _correlation(known)
        mark.detail = {"created": sorted(known | shipped | {"policy"})}
        mark.at = now
        mark.save()
    return added


def _added(shipped: ShippedGroup, known: set[str], now: datetime) -> int:
    rows = [(place, rule) for place, rule in enumerate(shipped.rules) if rule.name not in known]
    if not rows:
        return 0
    group, _ = RuleGroup.objects.get_or_create(
        name=shipped.name, defaults={"due_at": now, "interval_seconds": shipped.interval_seconds}
    )
    Rule.objects.bulk_create([_row(rule, group, place) for place, rule in rows], ignore_conflicts=True)
    return len(rows)


def _row(rule: Shipped, group: RuleGroup, position: int) -> Rule:
    return Rule(
        group=group, position=position, kind=rule.kind, name=rule.name, description=rule.description, spec=rule.spec,
        severity=rule.severity, labels=rule.labels, for_seconds=rule.for_seconds, window_seconds=rule.window_seconds,
        keep_firing_for_seconds=rule.keep_firing_for_seconds, cooldown_seconds=rule.cooldown_seconds,
        default_key=rule.name,
        annotations={"summary": rule.summary, "description": rule.description, "runbook": rule.runbook, **rule.extra},
    )  # fmt: skip


def _correlation(known: set[str]) -> None:
    rows = [
        CorrelationRule(name=name, group_key=labels, position=position, default_key=key)
        for key, name, labels, position in CORRELATION
        if key not in known
    ]
    CorrelationRule.objects.bulk_create(rows, ignore_conflicts=True)


def _policy() -> None:
    if Policy.objects.filter(is_default=True).exists():
        return
    policy, created = Policy.objects.get_or_create(name=POLICY, defaults={"is_default": True, "position": 1000})
    if created:
        PolicyStep.objects.create(policy=policy, position=0, delay_seconds=0)
