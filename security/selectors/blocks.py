"""Who is kept out, who never is, and who enforces it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import orjson
from django.db.models import Max, Q, QuerySet

from security.models import AllowEntry, AllowScope, Block, BlockScope, EnforcerPull, SecurityEvent

MOST_ACTIVE = 10_000
MOST_ALLOWED = 1_000
PAGE = 50
ENFORCING_SECONDS = 60
PREVIEW_HOURS = 24
MOST_USERS = 1_000


@dataclass(frozen=True, slots=True)
class BlockList:
    """What an enforcer needs; the same tag means the same list."""

    version: int
    etag: str
    blocks: list[dict[str, Any]]
    allowed: list[str]
    allowed_users: list[str]


@dataclass(frozen=True, slots=True)
class Enforcer:
    """Somebody who pulls the list, how long ago, and whether it was the present one."""

    name: str
    pulled_at: datetime
    seconds_ago: float
    version: int
    current: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What a block would have kept out besides the one it is meant for."""

    users: list[str]
    successes: int
    addresses: int
    allowed: str
    hours: int = PREVIEW_HOURS


def active_blocks(*, now: datetime) -> QuerySet[Block]:
    """Return the blocks in force, the soonest to expire first."""
    rows = Block.objects.filter(ended_at=None, expires_at__gt=now, created_at__lte=now)
    return rows.select_related("finding").order_by("expires_at")


def blocks_page(viewer: Any, *, now: datetime, cursor: str = "", limit: int = PAGE) -> tuple[list[Block], str]:
    """Return blocks that are over, newest first, and where the next page begins."""
    del viewer
    over = Block.objects.filter(Q(expires_at__lte=now) | ~Q(ended_at=None)).order_by("-created_at", "-pk")
    try:
        over = over.filter(created_at__lt=datetime.fromisoformat(cursor)) if cursor else over
    except (ValueError, TypeError):
        return [], ""
    found = list(over[: limit + 1])
    return found[:limit], found[limit - 1].created_at.isoformat() if len(found) > limit else ""


def allow_list() -> QuerySet[AllowEntry]:
    """Return who is never blocked."""
    return AllowEntry.objects.filter(removed_at=None).order_by("scope", "value")


def allowed_by(scope: str, value: str) -> AllowEntry | None:
    """Return the entry that says this user, address or whole network is never blocked, or None."""
    return covering(allow_list()[:MOST_ALLOWED], scope, value)


def covering(entries: Iterable[AllowEntry], scope: str, value: str) -> AllowEntry | None:
    """Return which of the entries holds all of a user, address or network, or None."""
    if scope == BlockScope.USER:
        return next((one for one in entries if one.scope == AllowScope.USER and one.value == value), None)
    inner = ip_network(value)
    for entry in entries:
        if entry.scope != AllowScope.CIDR:
            continue
        outer = ip_network(entry.value)
        # Networks of different versions never hold one another.
        if outer.version == inner.version and inner.subnet_of(outer):  # type: ignore[arg-type]
            return entry
    return None


def _version(now: datetime) -> int:
    """Return the time of the last change in milliseconds, where running out is a change too."""
    blocks = Block.objects.aggregate(
        changed=Max("changed_at"), ran_out=Max("expires_at", filter=Q(expires_at__lte=now))
    )
    allow = AllowEntry.objects.aggregate(added=Max("created_at"), removed=Max("removed_at"))
    return max((round(at.timestamp() * 1000) for at in (*blocks.values(), *allow.values()) if at), default=0)


def block_list(*, now: datetime) -> BlockList:
    """Return the list enforcers pull."""
    rows = active_blocks(now=now).values("scope", "value", "expires_at", "reason")[:MOST_ACTIVE]
    blocks = [{**row, "expires_at": row["expires_at"].isoformat()} for row in rows]
    entries = list(allow_list()[:MOST_ALLOWED])
    allowed = [one.value for one in entries if one.scope == AllowScope.CIDR]
    users = [one.value for one in entries if one.scope == AllowScope.USER]
    digest = hashlib.sha256(orjson.dumps([blocks, allowed, users])).hexdigest()
    return BlockList(_version(now), digest[:32], blocks, allowed, users)


def enforcers(*, now: datetime) -> Sequence[Enforcer]:
    """Return who pulled the list within the last minute, and who else did so within a day."""
    etag = block_list(now=now).etag
    rows = EnforcerPull.objects.filter(pulled_at__gt=now - timedelta(days=1)).order_by("-pulled_at")[:50]
    return [
        Enforcer(
            row.name, row.pulled_at, max(0.0, (now - row.pulled_at).total_seconds()), row.version, row.etag == etag
        )
        for row in rows
    ]


def _of(scope: str, value: str) -> Q:
    if scope == BlockScope.USER:
        return Q(user_id=value)
    if scope == BlockScope.IP:
        return Q(source_ip=str(ip_address(value)))
    network = ip_network(value)
    return Q(source_ip__gte=str(network[0]), source_ip__lte=str(network[-1]))


def block_preview(scope: str, value: str, *, now: datetime) -> Preview:
    """Return who signed in well from there within a day and would have been kept out too; raise ValueError for none."""
    since = now - timedelta(hours=PREVIEW_HOURS)
    events = SecurityEvent.objects.filter(_of(scope, value), at__gt=since, at__lte=now)
    well = events.filter(signal="success").exclude(user_id="")
    users = list(well.order_by("user_id").values_list("user_id", flat=True).distinct()[:MOST_USERS])
    entry = allowed_by(scope, value)
    return Preview(
        users=users,
        successes=well.count() if users else 0,
        addresses=events.exclude(source_ip=None).values("source_ip").distinct()[:MOST_USERS].count(),
        allowed=f"{entry.value}: {entry.reason}" if entry else "",
    )
