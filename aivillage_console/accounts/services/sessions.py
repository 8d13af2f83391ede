"""A person's sessions: which there are, and how to end one."""

import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import transaction

from aivillage_console.accounts.models import User
from aivillage_console.accounts.services.audit import Actor, audit
from aivillage_console.accounts.services.refusals import Refused
from aivillage_console.lib.clock import at_seconds

SIGNED_IN, SEEN, PLACE = "signed_in_at_seconds", "seen_at_seconds", "place"
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One session; `handle` names it without being the key that opens it."""

    handle: str
    place: str
    begun_at: datetime.datetime | None
    seen_at: datetime.datetime | None
    current: bool


def _handle(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()[:24]


def _at(seconds: object) -> datetime.datetime | None:
    return at_seconds(seconds) if isinstance(seconds, int) else None


def _of(user: User, now: datetime.datetime) -> Iterator[tuple[Session, dict[str, object]]]:
    for row in Session.objects.filter(expire_date__gt=now).order_by("-expire_date").iterator():
        data = row.get_decoded()
        if data.get(SESSION_KEY) == str(user.pk):
            yield row, data


def sessions_of(user: User, *, current_key: str, now: datetime.datetime) -> list[SessionFacts]:
    """Return the person's live sessions, this one first."""
    found = [
        SessionFacts(
            handle=_handle(row.session_key),
            place=str(data.get(PLACE, "")),
            begun_at=_at(data.get(SIGNED_IN)),
            seen_at=_at(data.get(SEEN)),
            current=row.session_key == current_key,
        )
        for row, data in _of(user, now)
    ]
    return sorted(found, key=lambda facts: not facts.current)[:MOST_SHOWN]


@transaction.atomic
def session_end(user: User, handle: str, *, actor: Actor, now: datetime.datetime) -> None:
    """End one session of a person; its pages are signed out at the next request, its sockets within five seconds."""
    row = next((row for row, _ in _of(user, now) if _handle(row.session_key) == handle), None)
    if row is None:
        raise Refused("This session has already ended.")
    row.delete()
    audit(actor, "session.end", user, now=now)
