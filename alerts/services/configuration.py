"""What people configure: rules, groups, channels, policies. Every save is checked, versioned and audited here.

The API and the admin site both come through this door, so neither accepts what the other refuses.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import live
from alerts.channels import CHANNELS
from alerts.engine.escalation import trigger_problems
from alerts.engine.issues import allowed_problem
from alerts.models import (
    Canary,
    Channel,
    CronJob,
    InboundHook,
    Integration,
    Policy,
    PolicyStep,
    Rule,
    RuleGroup,
)
from alerts.rules.validation import group_problems, rule_problems
from alerts.services.labelsets import end_all
from alerts.services.record import recording_end, recording_rules_of

OWN_FIELDS = {
    RuleGroup: ("name", "interval_seconds", "enabled", "limit", "query_offset_seconds", "labels", "file"),
    Rule: (
        "group_id", "position", "kind", "name", "alert_name", "description", "spec", "severity", "labels",
        "annotations", "for_seconds", "keep_firing_for_seconds", "window_seconds", "cooldown_seconds", "enabled",
    ),
    Channel: ("name", "type", "config", "filters", "enabled", "is_fallback", "rate_per_minute"),
    Policy: ("name", "position", "triggers", "enabled", "is_default"),
    InboundHook: ("name", "type", "channel_id", "login", "allowed_users", "enabled"),
    Integration: (
        "name", "tool", "makes", "mapping", "severity", "labels", "silent_after_seconds", "enabled",
    ),
    CronJob: (
        "name", "description", "period_seconds", "cron", "time_zone", "grace_seconds", "longest_run_seconds",
        "severity", "labels",
    ),
    Canary: ("name", "suite", "path", "expected_status", "reason", "failure_threshold"),
}  # fmt: skip


SHORTEST_HOOK_SECRET = 16


class Invalid(ValueError):
    """What is wrong, by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Keep the problems for the door to show."""
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))
        self.problems = dict(problems)


class Outdated(Exception):
    """The object was changed since the caller read it; `fresh` is how it stands now."""

    def __init__(self, fresh: models.Model) -> None:
        """Keep the fresh object for the door to show."""
        super().__init__("the object has changed since you read it")
        self.fresh = fresh


def described(obj: models.Model) -> dict[str, Any]:
    """Return the configured part of an object, as the audit trail keeps it."""
    facts = {field: getattr(obj, field) for field in OWN_FIELDS[type(obj)]}
    if isinstance(obj, Policy) and not obj._state.adding:
        facts["steps"] = [
            {"delay_seconds": step.delay_seconds, "channels": [channel.name for channel in step.channels.all()]}
            for step in obj.steps.prefetch_related("channels")
        ]
    return facts


def stored_of(obj: models.Model, version: int | None) -> models.Model | None:
    """Return the row as it is stored, locked; None for a new one, Outdated where somebody changed it meanwhile."""
    if obj._state.adding:
        return None
    stored = type(obj)._default_manager.select_for_update().get(pk=obj.pk)
    if version is not None and getattr(stored, "version", version) != version:
        raise Outdated(stored)
    return stored


def checked(obj: models.Model, problems: Mapping[str, str]) -> None:
    """Raise Invalid with the problems found and those of the fields themselves."""
    found = dict(problems)
    try:
        obj.full_clean()
    except ValidationError as error:
        found |= {field: " ".join(texts) for field, texts in error.message_dict.items()}
    if found:
        raise Invalid(found)


def saved(obj: models.Model, stored: models.Model | None, *, actor: Actor, now: datetime, **more: Any) -> None:
    """Save what people configure, as a new version, and say so in the audit trail."""
    before = described(stored) if stored is not None else None
    if stored is not None and hasattr(obj, "version"):
        obj.version = stored.version + 1  # type: ignore[attr-defined]
    # Columns that the evaluator and the dispatcher write stay theirs, whatever the caller's copy holds.
    own = [*OWN_FIELDS[type(obj)], *more.pop("also", [])]
    if stored is not None:
        own += [name for name in ("version", "updated_at") if hasattr(obj, name)]
    obj.save(update_fields=own if stored is not None else None)
    verb = "update" if stored is not None else "create"
    audit(actor, f"{obj._meta.model_name}.{verb}", obj, now=now, before=before, after={**described(obj), **more})
    live.ring("setup")


@transaction.atomic
def group_save(group: RuleGroup, *, actor: Actor, now: datetime) -> RuleGroup:
    """Store a rule group; a new one is due at once."""
    stored = stored_of(group, None)
    if stored is None:
        group.due_at = now
    checked(group, group_problems(group.labels))
    saved(group, stored, actor=actor, now=now)
    if isinstance(stored, RuleGroup) and stored.enabled and not group.enabled:
        for rule in group.rules.all():
            end_all(rule, now, "the group of its rule was switched off")
    return group


@transaction.atomic
def rule_save(rule: Rule, *, actor: Actor, now: datetime, version: int | None = None) -> Rule:
    """Store a rule."""
    stored = stored_of(rule, version)
    names = ("kind", "name", "spec", "severity", "labels", "annotations", "window_seconds")
    checked(rule, rule_problems({name: getattr(rule, name) for name in names}))
    saved(rule, stored, actor=actor, now=now)
    if isinstance(stored, Rule) and stored.enabled and not rule.enabled:
        end_all(rule, now, "its rule was switched off")
    return rule


def _channel_problems(channel: Channel, secret: str) -> dict[str, str]:
    kind = CHANNELS.get(channel.type)
    if kind is None:
        return {"type": f"There is no channel type {channel.type!r}; there are {', '.join(CHANNELS)}."}
    config = dict(channel.config) if isinstance(channel.config, dict) else {}
    found: dict[str, str] = kind.problems(config, secret)
    return {field if field == "secret" else "config": text for field, text in found.items()}


def channel_moved(stored: Channel | None, channel: Channel) -> bool:
    """Say whether a change would have the stored secret sent somewhere else."""
    kind = CHANNELS.get(channel.type)
    if stored is None or kind is None or not isinstance(channel.config, dict):
        return False
    return stored.type != channel.type or bool(kind.address(stored.config) != kind.address(channel.config))


@transaction.atomic
def channel_save(
    channel: Channel, *, actor: Actor, now: datetime, secret: str | None = None, version: int | None = None
) -> Channel:
    """Store a channel; None keeps the secret, an empty text removes it.

    A new address never inherits the old secret: whoever may change the URL must not be able to have the secret sent
    to an address of their own.
    """
    stored = stored_of(channel, version)
    moved = isinstance(stored, Channel) and channel_moved(stored, channel)
    kept = "" if moved or stored is None else channel.unseal()
    problems = _channel_problems(channel, kept if secret is None else secret)
    if found := trigger_problems(channel.filters):
        problems["filters"] = found
    checked(channel, problems)
    if secret is not None:
        channel.seal(secret)
    elif moved:
        channel.secret_sealed = None
    changed = secret is not None or moved
    facts = {"secret_changed": changed, "address_changed": bool(moved)}
    saved(channel, stored, actor=actor, now=now, also=["secret_sealed"], **facts)
    return channel


def hook_problems(kind: str, channel: Channel | None, allowed_users: object) -> dict[str, str]:
    """Return what is wrong with an address for what receivers send back, by field."""
    found = {"allowed_users": allowed_problem(allowed_users)}
    if channel is not None and channel.type != kind:
        found["channel"] = f"This is a channel of the type {channel.type}, not {kind}."
    return {field: text for field, text in found.items() if text}


@transaction.atomic
def hook_save(
    hook: InboundHook, *, actor: Actor, now: datetime, secret: str | None = None, version: int | None = None
) -> InboundHook:
    """Store an address for what receivers send back; None keeps the secret, an empty text removes it."""
    stored = stored_of(hook, version)
    problems = hook_problems(hook.type, hook.channel, hook.allowed_users)
    if secret and len(secret) < SHORTEST_HOOK_SECRET:
        problems["secret"] = f"A secret has at least {SHORTEST_HOOK_SECRET} characters."
    checked(hook, problems)
    if secret is not None:
        hook.seal(secret)
    saved(hook, stored, actor=actor, now=now, also=["secret_sealed"], secret_changed=secret is not None)
    return hook


def _steps_stored(policy: Policy, steps: Sequence[Mapping[str, Any]]) -> None:
    policy.steps.all().delete()
    for position, step in enumerate(steps):
        row = PolicyStep(policy=policy, position=position, delay_seconds=step.get("delay_seconds", 0))
        row.recipients = step.get("recipients", [])
        checked(row, {})
        row.save()
        row.channels.set(step.get("channels", []))


@transaction.atomic
def policy_save(
    policy: Policy,
    *,
    actor: Actor,
    now: datetime,
    steps: Sequence[Mapping[str, Any]] | None = None,
    version: int | None = None,
) -> Policy:
    """Store a policy, and its steps when they are given; running escalations keep the policy they began with."""
    stored = stored_of(policy, version)
    delays = [step.get("delay_seconds", 0) for step in steps or []]
    problems = {"steps": "Each step comes after the one before it."} if delays != sorted(delays) else {}
    if found := trigger_problems(policy.triggers):
        problems["triggers"] = found
    checked(policy, problems)
    before = described(stored) if stored is not None else None
    if stored is not None:
        policy.version = stored.version + 1  # type: ignore[attr-defined]
    policy.save()
    if steps is not None:
        _steps_stored(policy, steps)
    verb = "update" if stored is not None else "create"
    audit(actor, f"policy.{verb}", policy, now=now, before=before, after=described(policy))
    live.ring("setup")
    return policy


def _rules_of(obj: models.Model) -> Sequence[Rule]:
    if isinstance(obj, RuleGroup):
        return list(Rule.objects.filter(group=obj))
    return [obj] if isinstance(obj, Rule) else []


@transaction.atomic
def configured_delete(obj: models.Model, *, actor: Actor, now: datetime) -> None:
    """Delete a rule, group, channel, policy or webhook."""
    before, identity = described(obj), str(obj.pk)
    recording_end(recording_rules_of(obj), now)
    for rule in _rules_of(obj):
        end_all(rule, now, "its rule was deleted")
    name = obj._meta.model_name or ""
    obj.delete()
    audit(actor, f"{name}.delete", object_type=name, object_id=identity, now=now, before=before)
    live.ring("setup")
