"""What others may ask about people, tokens and the audit trail."""

import hmac
import uuid
from collections.abc import Iterator
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from aivillage_console.accounts.chain import chained
from aivillage_console.accounts.models import ApiToken, AuditEntry, AuditSeal, Role, Scope, Source, User

SEALS_AT_ONCE = 2000
TOPICS = frozenset({"alerts", "incidents", "overview", "setup", "deliveries", "security", "health", "forge"})


def session_user(session_key: str) -> User | None:
    """Return whose live session this is; read afresh, so that a sign-out elsewhere shows at once."""
    data = SessionStore(session_key).load()
    if SESSION_KEY not in data or BACKEND_SESSION_KEY not in data:
        return None
    try:
        user = User.objects.filter(pk=data[SESSION_KEY], disabled_at=None).first()
    except ValidationError:
        return None
    known = data.get(HASH_SESSION_KEY, "")
    return user if user is not None and hmac.compare_digest(known, user.get_session_auth_hash()) else None


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def may_watch(user: User, topic: str) -> bool:
    """Tell whether a person may subscribe to a live topic."""
    name, _, number = topic.partition(":")
    known = (
        topic in TOPICS
        or (name in ("alert", "incident") and number.isascii() and number.isdigit() and len(number) < 19)
        or (name == "run" and _is_uuid(number))
    )
    return known and user.has_role(Role.VIEWER)


def active_user(email: str) -> User | None:
    """Return the person of an address, unless they are disabled."""
    return User.objects.filter(email=email.lower(), disabled_at=None).first()


def tokens_of(viewer: User | ApiToken) -> QuerySet[ApiToken]:
    """Return all tokens for who manages them, else a person's own."""
    tokens = ApiToken.objects.select_related("source", "owner")
    if isinstance(viewer, ApiToken):
        return tokens if Scope.ADMIN in viewer.scopes else tokens.none()
    return tokens if viewer.has_role(Role.ADMIN) else tokens.filter(owner=viewer)


def sources() -> QuerySet[Source]:
    """Return everybody who sends."""
    return Source.objects.all()


def audit_trail() -> QuerySet[AuditEntry]:
    """Return the audit trail, newest first."""
    return AuditEntry.objects.all()


def audit_damage() -> Iterator[str]:
    """Yield one sentence for each place where trail and chain disagree; nothing when all is well.

    A hash covers the hash before it as it is stored, so one bad row is named once and does not taint the rest.
    """
    head = b""
    seals = AuditSeal.objects.order_by("id")
    for page in batched(seals.iterator(chunk_size=SEALS_AT_ONCE), SEALS_AT_ONCE):
        entries = AuditEntry.objects.in_bulk([seal.entry_id for seal in page])
        for seal in page:
            entry = entries.get(seal.entry_id)
            if entry is None:
                yield f"audit entry {seal.entry_id} is missing"
            elif chained(head, entry) != bytes(seal.hash):
                yield f"audit entry {seal.entry_id} was changed, or the seal before it was changed or removed"
            head = bytes(seal.hash)


def batched(rows: Iterator[AuditSeal], size: int) -> Iterator[list[AuditSeal]]:
    """Yield lists of at most `size` rows (Python 3.11 has no itertools.batched)."""
    while page := list(islice(rows, size)):
        yield page


def audit_sealed() -> int:
    """Return how many entries the chain holds; numbers of seals have gaps where a transaction was rolled back."""
    return AuditSeal.objects.count()


def audit_head() -> tuple[int, str]:
    """Return number and hash of the last seal; kept elsewhere, it shows that nothing was cut off the end."""
    last = AuditSeal.objects.order_by("-id").first()
    return (last.pk, bytes(last.hash).hex()) if last else (0, "")


def audit_head_known(head: str) -> bool:
    """Tell whether the chain still passes through a head that was noted earlier."""
    number, _, digest = head.partition(":")
    seal = AuditSeal.objects.filter(pk=int(number)).first() if number.isdigit() else None
    return seal is not None and bytes(seal.hash).hex() == digest


def zone_of(request: HttpRequest | None) -> ZoneInfo:
    """Return the reader's time zone."""
    name = getattr(getattr(request, "user", None), "time_zone", "UTC") or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
