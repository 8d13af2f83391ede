"""Correlation rules as people configure them: checked, versioned and audited."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import live
from alerts.engine.alertmanager import syntax
from alerts.engine.alertmanager.matching import BadMatcher
from alerts.engine.correlation import pattern_problem
from alerts.models import CorrelationRule
from alerts.services.configuration import checked, stored_of

FIELDS = (
    "name", "position", "group_key", "time_window_seconds", "alert_patterns", "label_matchers", "notify", "enabled",
)  # fmt: skip
MOST_LABELS, MOST_PATTERNS = 10, 50


def correlation_rule_problems(row: CorrelationRule) -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {
        "group_key": _key_problem(row.group_key),
        "alert_patterns": _patterns_problem(row.alert_patterns),
        "label_matchers": _matchers_problem(row.label_matchers),
    }
    if not (row.group_key or row.alert_patterns or row.label_matchers):
        found["group_key"] = "Name a label, a pattern or a matcher: this would join everything with everything."
    return {field: text for field, text in found.items() if text}


def _key_problem(key: Any) -> str:
    if not isinstance(key, list) or not all(isinstance(name, str) and 0 < len(name) <= 200 for name in key):
        return 'A list of label names belongs here, such as ["component"].'
    if len(key) > MOST_LABELS or len(set(key)) < len(key):
        return f"No more than {MOST_LABELS} labels, each once."
    return ""


def _patterns_problem(patterns: Any) -> str:
    if not isinstance(patterns, list) or len(patterns) > MOST_PATTERNS:
        return f'A list of up to {MOST_PATTERNS} name patterns belongs here, such as ["Disk*", "/Disk(Full|Slow)/"].'
    return next(filter(None, map(pattern_problem, patterns)), "")


def _matchers_problem(texts: Any) -> str:
    if not isinstance(texts, list) or len(texts) > MOST_PATTERNS or not all(isinstance(text, str) for text in texts):
        return f'A list of up to {MOST_PATTERNS} matchers belongs here, such as ["env=prod", "team=~web|api"].'
    try:
        for text in texts:
            syntax.matchers(text)
    except BadMatcher as problem:
        return str(problem)
    return ""


def described(row: CorrelationRule) -> Mapping[str, Any]:
    """Return the configured part of a rule, as the audit trail keeps it."""
    return {name: getattr(row, name) for name in FIELDS}


@transaction.atomic
def correlation_rule_save(
    row: CorrelationRule, *, actor: Actor, now: datetime, version: int | None = None
) -> CorrelationRule:
    """Store a rule; incidents that are open stay as they began. Raises Invalid and Outdated."""
    stored = stored_of(row, version)
    checked(row, correlation_rule_problems(row))
    before = described(stored) if isinstance(stored, CorrelationRule) else None
    row.version = stored.version + 1 if isinstance(stored, CorrelationRule) else 1
    row.save()
    verb = "update" if stored is not None else "create"
    audit(actor, f"correlationrule.{verb}", row, now=now, before=before, after=described(row))
    live.ring("setup")
    return row


@transaction.atomic
def correlation_rule_delete(row: CorrelationRule, *, actor: Actor, now: datetime) -> None:
    """Delete a rule; its incidents stay, and take in what still finds them by hand only."""
    before, identity = described(row), str(row.pk)
    row.delete()
    audit(actor, "correlationrule.delete", object_type="correlationrule", object_id=identity, now=now, before=before)
    live.ring("setup")
