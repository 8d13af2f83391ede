"""The audit trail: a row in the caller's own transaction, sealed into a hash chain afterwards."""

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import connection, models, transaction

from aivillage_console.accounts.chain import chained
from aivillage_console.accounts.models import ApiToken, AuditEntry, AuditSeal, Role, User

MASK = "•••"
SECRET_NAME = re.compile(  # noqa: TID251 - our own constant, linear
    r"secret|password|token|sha256|api_?key|routing_?key|authorization|credential|private", re.IGNORECASE
)
SEAL_LOCK = 0x61756469
SEAL_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a person, a token, the console itself, or somebody at GitHub."""

    kind: Literal["user", "token", "system", "github"]
    id: str = ""
    label: str = ""
    ip: str | None = None
    role: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)
    via: str = ""  # The message by which somebody who is not here asked for it.

    @classmethod
    def of_user(cls, user: User, ip: str | None = None) -> "Actor":
        """Return the actor a person is."""
        return cls("user", str(user.pk), user.email, ip, role=user.role)

    @classmethod
    def of_token(cls, token: ApiToken, ip: str | None = None) -> "Actor":
        """Return the actor a program is."""
        return cls("token", str(token.pk), f"{token.name} ({token.prefix})", ip, scopes=frozenset(token.scopes))

    @classmethod
    def system(cls, label: str) -> "Actor":
        """Return the console itself, named by the part that acts."""
        return cls("system", "", label, role=Role.ADMIN)


def masked(value: Any, name: str = "") -> Any:
    """Return a JSON-safe copy in which everything under a secret-sounding name is covered."""
    if isinstance(value, Mapping):
        return {str(key): masked(inner, str(key)) for key, inner in value.items()}
    if name and SECRET_NAME.search(name) and value not in (None, "", True, False):
        return MASK
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(inner) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def audit(
    actor: Actor,
    action: str,
    obj: models.Model | None = None,
    *,
    now: datetime.datetime,
    object_type: str = "",
    object_id: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Write one row of the trail; it stands or falls with the caller's transaction."""
    if obj is not None:
        object_type, object_id = obj._meta.model_name or "", str(obj.pk)
    return AuditEntry.objects.create(
        at=now,
        actor_kind=actor.kind,
        actor=actor.id,
        actor_label=actor.label[:254],
        ip=actor.ip,
        action=action,
        object_type=object_type,
        object_id=object_id,
        before=None if before is None else masked(before),
        after=None if after is None else masked(after),
    )


@transaction.atomic
def audit_seal(limit: int = SEAL_BATCH) -> int:
    """Chain what has been committed since the last call and return how many entries that was.

    One sealer at a time: another one leaves at once. Entries are taken in the order in which they are seen, so one
    that commits late under a lower id is sealed later, never skipped.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEAL_LOCK])
        if not cursor.fetchone()[0]:
            return 0
    last = AuditSeal.objects.order_by("-id").first()
    head = bytes(last.hash) if last else b""
    seals = []
    for entry in AuditEntry.objects.filter(seal__isnull=True).order_by("id")[:limit]:
        head = chained(head, entry)
        seals.append(AuditSeal(entry_id=entry.pk, hash=head))
    AuditSeal.objects.bulk_create(seals)
    return len(seals)
