"""Inhibitions and mute times as people configure them: checked, versioned and audited."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import live
from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.alertmanager.matching import BadMatcher
from alerts.models import Inhibition, MuteTime, Policy
from alerts.services.configuration import checked, stored_of
from alerts.services.quieting import intervals_of, matchers_of

QuietRule = Inhibition | MuteTime
MATCHER_FIELDS = {Inhibition: ("source_matchers", "target_matchers"), MuteTime: ("matchers",)}
FIELDS = {
    Inhibition: ("name", "source_matchers", "target_matchers", "equal", "enabled"),
    MuteTime: ("name", "intervals", "matchers", "tells_inside", "enabled"),
}


def quiet_rule_problems(row: QuietRule) -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {}
    for name in MATCHER_FIELDS[type(row)]:
        texts = getattr(row, name)
        try:
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                found[name] = 'A list of matchers belongs here, such as ["severity=warning"].'
            else:
                matchers_of(texts)
        except BadMatcher as problem:
            found[name] = str(problem)
    if isinstance(row, MuteTime):
        return found | _interval_problems(row.intervals)
    if not isinstance(row.equal, list) or not all(isinstance(name, str) and name for name in row.equal):
        found["equal"] = 'A list of label names belongs here, such as ["node"].'
    return found


def _interval_problems(intervals: Any) -> dict[str, str]:
    if not isinstance(intervals, list) or not intervals:
        return {"intervals": 'A list of intervals belongs here, such as [{"weekdays": ["monday:friday"]}].'}
    try:
        intervals_of(intervals)
    except BadConfig as problem:
        return {"intervals": str(problem)}
    return {}


def described(row: QuietRule) -> Mapping[str, Any]:
    """Return the configured part of a row, as the audit trail keeps it."""
    facts = {name: getattr(row, name) for name in FIELDS[type(row)]}
    if isinstance(row, MuteTime) and not row._state.adding:
        facts["policies"] = [policy.name for policy in row.policies.order_by("name")]
    return facts


@transaction.atomic
def quiet_rule_save(
    row: QuietRule, *, actor: Actor, now: datetime, policies: Iterable[Policy] | None = None
) -> QuietRule:
    """Store an inhibition or a mute time that is checked already, as a new version."""
    model = type(row)
    stored = None if row._state.adding else model._default_manager.select_for_update().get(pk=row.pk)
    before = described(stored) if stored is not None else None
    row.version = stored.version + 1 if stored is not None else 1
    row.save()
    if policies is not None and isinstance(row, MuteTime):
        row.policies.set(policies)
    verb = "update" if stored is not None else "create"
    audit(actor, f"{row._meta.model_name}.{verb}", row, now=now, before=before, after=described(row))
    live.ring("alerts")
    return row


@transaction.atomic
def quiet_rule_change(
    row: QuietRule, *, actor: Actor, now: datetime, version: int | None = None, policies: Iterable[Policy] | None = None
) -> QuietRule:
    """Check what somebody filled in and store it; raises Invalid, and Outdated where it changed meanwhile."""
    stored_of(row, version)
    checked(row, quiet_rule_problems(row))
    return quiet_rule_save(row, actor=actor, now=now, policies=policies)


@transaction.atomic
def quiet_rule_delete(row: QuietRule, *, actor: Actor, now: datetime) -> None:
    """Delete an inhibition or a mute time."""
    before, name, identity = described(row), row._meta.model_name or "", str(row.pk)
    row.delete()
    audit(actor, f"{name}.delete", object_type=name, object_id=identity, now=now, before=before)
    live.ring("alerts")
