"""What people configure: components and checks. Every save is checked, versioned and audited here."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import doorbell, live
from health.intake.results import edges_of
from health.models import Check, CheckKind, Component, Origin
from health.probes import PROBES
from health.probes.sql import url_problem
from health.scoring import EDGE_TYPES

MOST_EDGES = 50
SCHEMES = {"sql": ("postgresql", "postgres"), "redis": ("redis", "rediss")}
COMPONENT_FIELDS = ("name", "kind", "owner", "description", "depends_on", "expected")


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


def _described(obj: Component | Check) -> dict[str, Any]:
    if isinstance(obj, Check):
        return obj.facts()
    return {field: getattr(obj, field) for field in COMPONENT_FIELDS}


def _stored(obj: Component | Check, version: int | None) -> Any:
    if obj._state.adding:
        return None
    stored = type(obj)._default_manager.select_for_update().get(pk=obj.pk)
    if version is not None and stored.version != version:
        raise Outdated(stored)
    return stored


def _checked(obj: Component | Check, problems: Mapping[str, str]) -> None:
    found = dict(problems)
    try:
        obj.full_clean()
    except ValidationError as error:
        found |= {field: " ".join(texts) for field, texts in error.message_dict.items() if field not in found}
    if found:
        raise Invalid(found)


def _saved(obj: Component | Check, stored: Any, *, actor: Actor, now: datetime, **more: Any) -> None:
    before = None if stored is None else _described(stored)
    obj.version = 1 if stored is None else stored.version + 1
    if stored is None:
        obj.save()
    else:
        names = [*COMPONENT_FIELDS] if isinstance(obj, Component) else [*CHECK_FIELDS, "secret_sealed"]
        obj.save(update_fields=[*names, "version", "updated_at"])
    verb = "create" if stored is None else "update"
    audit(actor, f"{obj._meta.model_name}.{verb}", obj, now=now, before=before, after={**_described(obj), **more})
    live.ring("health")


def edge_problems(given: Any, name: str) -> str:
    """Return what is wrong with a list of dependencies."""
    if not isinstance(given, list) or len(given) > MOST_EDGES:
        return f"must be a list of at most {MOST_EDGES} dependencies"
    for edge in given:
        if not isinstance(edge, Mapping) or not isinstance(edge.get("name"), str) or not edge["name"]:
            return 'each dependency is {"name": …, "type": …, "critical": true or false}'
        if unknown := set(edge) - {"name", "type", "critical"}:
            return f"{', '.join(sorted(map(str, unknown)))}: not known; there are name, type, critical"
        if edge.get("type", "http_api") not in EDGE_TYPES or not isinstance(edge.get("critical", False), bool):
            return f"type is one of {', '.join(EDGE_TYPES)}, critical is true or false"
        if edge["name"] == name:
            return "a component does not depend on itself"
    return ""


@transaction.atomic
def component_save(component: Component, *, actor: Actor, now: datetime, version: int | None = None) -> Component:
    """Store a component."""
    stored = _stored(component, version)
    problem = edge_problems(component.depends_on, component.name)
    if not problem:
        component.depends_on = [edges_of(edge) for edge in component.depends_on]
    _checked(component, {"depends_on": problem} if problem else {})
    _saved(component, stored, actor=actor, now=now)
    return component


CHECK_FIELDS = ("component", "name", "kind", "config", "weight", "interval_seconds", "timeout_seconds", "degraded_ms",
                "unhealthy_ms", "enabled", "due_at")  # fmt: skip


def check_problems(check: Check, secret: str | None) -> dict[str, str]:
    """Return what is wrong with a check, by field."""
    if check.kind == CheckKind.REPORTED:
        return {"kind": "A reported check comes to exist when a service sends its first result."}
    probe = PROBES.get(check.kind)
    if probe is None:
        return {"kind": f"There is no kind {check.kind!r}; there are {', '.join(PROBES)}."}
    if not isinstance(check.config, Mapping):
        return {"config": "must be an object"}
    found = probe.problems(check.config, bool(check.secret_sealed) if secret is None else bool(secret))
    problems = {}
    for field, text in found.items():
        problems["secret" if field == "secret" else "config"] = text if field == "secret" else f"{field}: {text}"
    if secret and check.kind in SCHEMES and (wrong := url_problem(secret, SCHEMES[check.kind])):
        problems["secret"] = wrong
    if check.unhealthy_ms < check.degraded_ms:
        problems["unhealthy_ms"] = "must not be below degraded_ms"
    return problems


@transaction.atomic
def check_save(
    check: Check, *, actor: Actor, now: datetime, secret: str | None = None, version: int | None = None
) -> Check:
    """Store a check, due at once; None keeps the secret, an empty text removes it.

    A new address or kind never inherits the old secret: whoever may change them must not be able to have the secret
    sent to an address of their own.
    """
    stored = _stored(check, version)
    moved = stored is not None and (stored.kind, stored.config.get("url")) != (
        check.kind, check.config.get("url") if isinstance(check.config, Mapping) else None
    )  # fmt: skip
    if stored is not None and stored.kind == CheckKind.REPORTED:
        _only_weight(check, stored)
    elif moved and secret is None:
        check.secret_sealed = None
    if stored is None or stored.kind != CheckKind.REPORTED:
        check.due_at = now
        _checked(check, check_problems(check, secret))
    if secret is not None:
        check.seal(secret)
    _saved(check, stored, actor=actor, now=now, secret_changed=secret is not None or bool(moved))
    doorbell.ring("check")
    return check


def _only_weight(check: Check, stored: Check) -> None:
    """Refuse to change of a reported check what its sender decides."""
    fixed = [
        name for name in ("component_id", "name", "kind", "config") if getattr(check, name) != getattr(stored, name)
    ]
    if fixed:
        raise Invalid({name.removesuffix("_id"): "The service that reports this check decides it." for name in fixed})
    _checked(check, {})


@transaction.atomic
def configured_delete(obj: Component | Check, *, actor: Actor, now: datetime) -> None:
    """Delete a component with its checks, or one check."""
    before, identity, name = _described(obj), str(obj.pk), obj._meta.model_name or ""
    obj.delete()
    audit(actor, f"{name}.delete", object_type=name, object_id=identity, now=now, before=before)
    live.ring("health")


def registered(name: str, *, actor: Actor, now: datetime, **fields: Any) -> bool:
    """Add a component of a registry unless the name is known; tell whether it was added."""
    if Component.objects.filter(name=name).exists():
        return False
    component_save(Component(name=name, discovered_from=Origin.REGISTRY, **fields), actor=actor, now=now)
    return True
