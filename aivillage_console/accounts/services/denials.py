"""The trail of what was refused: wrong passwords and closed doors, bounded so that nobody fills the disk with them."""

import datetime
import time

from aivillage_console.accounts.services.audit import Actor, audit
from aivillage_console.lib.ratelimit import Buckets, Limit

# One row a minute for the same caller at the same door, and a burst of thirty a caller whatever the doors.
_same = Buckets(Limit(per_second=1 / 60, burst=1))
_caller = Buckets(Limit(per_second=0.2, burst=30))
LONGEST_PATH = 200


def _worth_a_row(caller: str, what: str) -> bool:
    seconds = time.monotonic()
    if _same.take(f"{caller} {what}", now_seconds=seconds) > 0:
        return False
    return _caller.take(caller, now_seconds=seconds) == 0


def sign_in_failed(address: str, *, now: datetime.datetime, ip: str | None) -> None:
    """Record a wrong password or an unknown address; the password itself is never seen here."""
    if _worth_a_row(ip or "", f"sign-in {address[:254]}"):
        audit(Actor("user", "", address, ip), "session.refused", object_type="user", now=now)


def access_denied(actor: Actor, *, method: str, path: str, status: int, now: datetime.datetime) -> None:
    """Record that somebody was turned away."""
    if _worth_a_row(f"{actor.id or actor.ip}", f"{method} {path}"):
        facts = {"method": method, "path": path[:LONGEST_PATH], "status": status}
        audit(actor, "access.denied", object_type="route", now=now, after=facts)


def forget_denials() -> None:
    """Empty this process's memory of what it has recorded."""
    _same.clear()
    _caller.clear()
