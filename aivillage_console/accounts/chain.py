"""The hash chain over the audit trail."""

import datetime
import hashlib

import orjson

from aivillage_console.accounts.models import AuditEntry


def canonical(entry: AuditEntry) -> bytes:
    """Return the bytes of an entry that the chain covers."""
    at = entry.at.astimezone(datetime.UTC).isoformat()
    row = [entry.pk, at, entry.actor_kind, entry.actor, entry.actor_label, entry.ip, entry.action]
    row += [entry.object_type, entry.object_id, entry.before, entry.after]
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


def chained(previous: bytes, entry: AuditEntry) -> bytes:
    """Return the hash of an entry on top of the hash before it."""
    return hashlib.sha256(previous + canonical(entry)).digest()
