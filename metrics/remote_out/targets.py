"""Destinations as people configure them: checked, versioned, audited; and as the sender reads them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from metrics.models import RemoteTarget
from metrics.store.unsent import start_mark
from metrics.wire.forwarding import RemoteConfig, remote_config
from metrics.wire.scraping.configuration import secrets_joined, secrets_parted
from metrics.wire.scraping.fields import BadConfig

MAX_TARGETS = 20


class Invalid(ValueError):
    """What is wrong, by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Keep the problems for the door to show."""
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = dict(problems)


class Outdated(Exception):
    """The destination was changed since the caller read it; `fresh` is how it stands now."""

    def __init__(self, fresh: RemoteTarget) -> None:
        """Keep the fresh row for the door to show."""
        super().__init__("the destination has changed since you read it")
        self.fresh = fresh


def config_of(target: RemoteTarget) -> RemoteConfig:
    """Return the configuration of a destination with its secrets; raises BadConfig."""
    return remote_config(secrets_joined(target.config, target.unseal()))


def _checked(target: RemoteTarget) -> None:
    """Part the secrets from the configuration and check both; raises Invalid."""
    if not isinstance(target.config, dict):
        raise Invalid({"config": "must be an object, as an entry of remote_write"})
    try:
        target.config, secrets = secrets_parted(target.config, target.unseal())
        target.seal(secrets)
        config_of(target)
        target.full_clean()
    except BadConfig as error:
        raise Invalid({"config": str(error)}) from None
    except ValidationError as error:
        raise Invalid({name: " ".join(texts) for name, texts in error.message_dict.items()}) from None


def target_problems(target: RemoteTarget, name: str, config: Any) -> dict[str, str]:
    """Return what would be wrong with a destination of this name and configuration, by field."""
    trial = RemoteTarget(id=target.pk, name=name, config=config, secrets_sealed=target.secrets_sealed)
    trial._state.adding = target._state.adding
    try:
        _checked(trial)
    except Invalid as invalid:
        return invalid.problems
    return {}


def _facts(target: RemoteTarget) -> dict[str, Any]:
    return {"name": target.name, "config": target.config, "enabled": target.enabled}


SAVED = ("name", "config", "secrets_sealed", "enabled", "version", "updated_at")
MARKS = ("cursor_xid", "cursor_id", "exemplar_xid", "pending_xid", "pending_id", "failing_since", "last_error")


@transaction.atomic
def target_save(target: RemoteTarget, *, actor: Actor, now: datetime, version: int | None = None) -> RemoteTarget:
    """Store a destination; it is sent what is stored from when it was made or enabled.

    A secret shown as <secret> stays what it was. What the sender writes of the row is left alone.
    """
    stored = None if target._state.adding else RemoteTarget.objects.select_for_update().get(pk=target.pk)
    if stored is not None and version is not None and stored.version != version:
        raise Outdated(stored)
    if stored is None and RemoteTarget.objects.count() >= MAX_TARGETS:
        raise Invalid({"name": f"there are {MAX_TARGETS} destinations already, which is the most there may be"})
    target.secrets_sealed = stored.secrets_sealed if stored is not None else None
    _checked(target)
    target.version = 1 if stored is None else stored.version + 1
    begins = target.enabled and (stored is None or not stored.enabled)
    if begins:
        target.cursor_xid, target.cursor_id = start_mark()
        target.pending_xid = target.pending_id = None
        target.exemplar_xid, target.failing_since, target.last_error = target.cursor_xid, None, ""
    if stored is None:
        target.save()
    else:
        target.save(update_fields=[*SAVED, *(MARKS if begins else ())])
        target.refresh_from_db()
    audit(actor, f"remotetarget.{'create' if stored is None else 'update'}", target, now=now,
          before=None if stored is None else _facts(stored), after=_facts(target))  # fmt: skip
    return target


@transaction.atomic
def target_delete(target: RemoteTarget, *, actor: Actor, now: datetime) -> None:
    """Delete a destination, and with it its place in the queue."""
    audit(actor, "remotetarget.delete", target, now=now, before=_facts(target))
    target.delete()
