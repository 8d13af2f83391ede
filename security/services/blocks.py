"""Who is kept out and who never is: every change with its actor, its reason and its place in the audit trail."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from aivillage_console.accounts.services import Actor, Refused, audit
from aivillage_console.lib import live
from security import measures
from security.catalogue import detector_name
from security.models import AllowEntry, Block, BlockScope, Finding
from security.selectors.blocks import MOST_ALLOWED, active_blocks, allow_list, allowed_by, covering
from security.services.targets import dangers, overlapping, own_networks, spelled, width_problem

SHORTEST_SECONDS = 60
LONGEST_SECONDS = 30 * 86_400
MOST_REASON = 500


def _reason(text: str) -> str:
    if not text.strip() or len(text) > MOST_REASON or "\0" in text:
        raise Refused(f"Say why, in 1 to {MOST_REASON} characters.", field="reason")
    return text.strip()


def _lasting(seconds: int) -> timedelta:
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise Refused(f"A block lasts from {SHORTEST_SECONDS} s to {LONGEST_SECONDS} s.", field="seconds")
    return timedelta(seconds=seconds)


def _facts(block: Block) -> Mapping[str, Any]:
    return {
        "scope": block.scope,
        "value": block.value,
        "reason": block.reason,
        "expires_at": block.expires_at.isoformat(),
    }


def _stored(block: Block, actor: Actor, now: datetime) -> Block | None:
    """Store a new block; None where the same is in force already."""
    same = Block.objects.filter(scope=block.scope, value=block.value, ended_at=None)
    same.filter(expires_at__lte=now).update(ended_at=F("expires_at"))
    try:
        with transaction.atomic():
            block.save(force_insert=True)
    except IntegrityError:
        if same.exists():
            return None
        raise
    audit(actor, "block.create", block, now=now, after=_facts(block))
    live.ring("security")
    transaction.on_commit(lambda: measures.BLOCKS.labels(block.scope, "person", "add").inc(), robust=True)
    return block


@transaction.atomic
def block_add(
    *, scope: str, value: str, reason: str, actor: Actor, now: datetime, seconds: int | None = None, confirm: str = "",
    force: bool = False, finding_id: int | None = None, alert_number: int | None = None,
) -> Block:  # fmt: skip
    """Keep an address, a network or a user out until a time; `force` is for our own networks and oneself."""
    scope, value = spelled(scope, value)
    reason, lasting = _reason(reason), _lasting(settings.CONFIG.security_block_seconds if seconds is None else seconds)
    if (entry := allowed_by(scope, value)) is not None:
        raise Refused(
            f"{value} is on the allow list ({entry.value}: {entry.reason}); take it off first.", field="value"
        )
    if problem := width_problem(scope, value, confirm):
        raise Refused(problem, field="confirm" if "again" in problem else "value")
    if not force and (danger := dangers(scope, value, actor)):
        raise Refused(f"{danger} Say force to block it all the same.", field="force")
    finding = Finding.objects.filter(pk=finding_id).first() if finding_id else None
    stored = _stored(
        Block(
            scope=scope, value=value, reason=reason, created_by=actor.label, created_at=now, expires_at=now + lasting,
            changed_at=now, finding=finding, alert_number=alert_number,
        ),
        actor, now,
    )  # fmt: skip
    if stored is None:
        raise Refused(f"{value} is blocked already; extend that block.", field="value")
    return stored


def block_automatically(findings: Mapping[str, Finding], actor: Actor, *, now: datetime) -> set[str]:
    """Block each address for its finding unless it is allowed or ours; return those of which a block is in force."""
    entries = list(allow_list()[:MOST_ALLOWED])
    may = [
        address for address in findings
        if covering(entries, BlockScope.IP.value, address) is None and overlapping(address, own_networks()) is None
    ]  # fmt: skip
    standing = active_blocks(now=now).filter(scope=BlockScope.IP, value__in=may).values_list("value", flat=True)
    blocked = set(standing) if may else set()
    fresh = [_automatic(address, findings[address], actor, now) for address in sorted(set(may) - blocked)]
    if fresh:
        _stored_together(fresh, actor, now)
    return set(may)


def _stored_together(fresh: list[Block], actor: Actor, now: datetime) -> None:
    """Store automatic blocks and one row of the trail; what another worker has just stored stays as it is."""
    # In one order everywhere, so that two workers wait for each other at most once and never in a circle.
    same = Block.objects.filter(scope=BlockScope.IP, value__in=[block.value for block in fresh], ended_at=None)
    over = list(same.filter(expires_at__lte=now).order_by("value").select_for_update().values_list("pk", flat=True))
    if over:
        Block.objects.filter(pk__in=over).update(ended_at=F("expires_at"))
    Block.objects.bulk_create(fresh, ignore_conflicts=True)
    stored = list(Block.objects.filter(pk__in=[block.pk for block in fresh]).order_by("value"))
    if not stored:
        return
    facts = {block.value: block.reason for block in stored}
    only = stored[0] if len(stored) == 1 else None
    after = {"blocks": facts, "expires_at": stored[0].expires_at.isoformat()}
    audit(actor, "block.create", only, object_type="block", now=now, after=after)
    live.ring("security")
    added = measures.BLOCKS.labels(BlockScope.IP.value, "automatic", "add")
    transaction.on_commit(lambda: added.inc(len(stored)), robust=True)


def _automatic(address: str, finding: Finding, actor: Actor, now: datetime) -> Block:
    text = finding.reasons[0]["text"] if finding.reasons else "critical"
    lasting = timedelta(seconds=settings.CONFIG.security_auto_block_seconds)
    reason = f"{detector_name(finding.detector)}: {text}"[:MOST_REASON]
    return Block(
        scope=BlockScope.IP.value, value=address, reason=reason, automatic=True,
        created_by=actor.label, created_at=now, expires_at=now + lasting, changed_at=now, finding=finding,
    )  # fmt: skip


def _active(block_id: UUID, now: datetime) -> Block:
    block = Block.objects.select_for_update().filter(pk=block_id).first()
    if block is None or block.ended_at is not None or block.expires_at <= now:
        raise Refused("This block is over already.", field="block")
    return block


@transaction.atomic
def block_lift(*, block_id: UUID, reason: str, actor: Actor, now: datetime) -> Block:
    """Let somebody in again."""
    return _lift(_active(block_id, now), _reason(reason), actor, now)


def _lift(block: Block, reason: str, actor: Actor, now: datetime) -> Block:
    before = _facts(block)
    block.lifted_at = block.ended_at = block.changed_at = now
    block.lifted_by, block.lifted_because = actor.label, reason
    block.save(update_fields=["lifted_at", "ended_at", "changed_at", "lifted_by", "lifted_because"])
    audit(actor, "block.lift", block, now=now, before=before, after={**_facts(block), "lifted_because": reason})
    live.ring("security")
    hand = "automatic" if block.automatic else "person"
    transaction.on_commit(lambda: measures.BLOCKS.labels(block.scope, hand, "lift").inc(), robust=True)
    return block


@transaction.atomic
def block_extend(*, block_id: UUID, seconds: int, reason: str, actor: Actor, now: datetime) -> Block:
    """Let a block end so much later."""
    block, why = _active(block_id, now), _reason(reason)
    before = _facts(block)
    until = block.expires_at + _lasting(seconds)
    if until > now + timedelta(seconds=LONGEST_SECONDS):
        raise Refused(f"A block ends at most {LONGEST_SECONDS} s from now.", field="seconds")
    block.expires_at, block.changed_at = until, now
    block.save(update_fields=["expires_at", "changed_at"])
    audit(actor, "block.extend", block, now=now, before=before, after={**_facts(block), "because": why})
    live.ring("security")
    return block


@transaction.atomic
def allow_add(*, scope: str, value: str, reason: str, actor: Actor, now: datetime) -> AllowEntry:
    """Never block an address, a network or a user; blocks that stand against it are lifted."""
    scope, value = spelled(scope, value)
    scope = "user" if scope == BlockScope.USER else "cidr"
    entry = AllowEntry(scope=scope, value=value, reason=_reason(reason), created_by=actor.label, created_at=now)
    try:
        with transaction.atomic():
            entry.save(force_insert=True)
    except IntegrityError:
        raise Refused(f"{value} is on the allow list already.", field="value") from None
    audit(actor, "allow.create", entry, now=now, after={"scope": scope, "value": value, "reason": entry.reason})
    for block in active_blocks(now=now).select_related(None).select_for_update():
        if covering([entry], block.scope, block.value) is not None:
            _lift(block, f"on the allow list: {entry.reason}"[:MOST_REASON], actor, now)
    live.ring("security")
    return entry


@transaction.atomic
def allow_remove(*, entry_id: UUID, reason: str, actor: Actor, now: datetime) -> AllowEntry:
    """Take somebody off the allow list."""
    why = _reason(reason)
    entry = AllowEntry.objects.select_for_update().filter(pk=entry_id, removed_at=None).first()
    if entry is None:
        raise Refused("This is not on the allow list any more.", field="entry")
    entry.removed_at, entry.removed_by = now, actor.label
    entry.save(update_fields=["removed_at", "removed_by"])
    audit(
        actor,
        "allow.remove",
        entry,
        now=now,
        before={"scope": entry.scope, "value": entry.value},
        after={"because": why},
    )
    live.ring("security")
    return entry


def note_expired(*, now: datetime, limit: int = 500) -> int:
    """Note the end of blocks that ran out, for the timeline; whether a block is in force never waits for this."""
    over = Block.objects.filter(ended_at=None, expires_at__lte=now).order_by("expires_at")
    with transaction.atomic():
        # Whoever holds one of them is ending it, or has it put up again.
        ids = list(over.select_for_update(skip_locked=True).values_list("pk", flat=True)[:limit])
        noted = Block.objects.filter(pk__in=ids, ended_at=None).update(ended_at=F("expires_at")) if ids else 0
        if noted:
            live.ring("security")
    return noted
