"""Silences as people make them: checked, with a reason and an end not too far off; extended, ended and made again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from aivillage_console.accounts.services import Actor
from alerts.engine.alertmanager import syntax
from alerts.engine.alertmanager.matching import BadMatcher, Matchers
from alerts.engine.alertmanager.silences import BadSilence, NoSilence
from alerts.engine.silencing import covers_everything
from alerts.models import Silence
from alerts.services.configuration import Invalid, Outdated
from alerts.services.quieting import matchers_from
from alerts.services.unquieting import Wanted, silence_expire, silence_save

MOST_MATCHERS = 50
LONGEST_MATCHERS, LONGEST_REASON = 4000, 2000
# From here on people are asked whether they mean it.
LONG = timedelta(days=7)
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A silence as somebody fills it in; without a beginning it begins now."""

    matchers: str
    ends_at: datetime
    reason: str
    starts_at: datetime | None = None
    lets_critical_through: bool = False
    handover_seconds: int | None = None


def matchers_read(text: str) -> Matchers:
    """Return the matchers of a text, some on each line; raises BadMatcher with what is wrong."""
    if len(text) > LONGEST_MATCHERS or "\x00" in text:
        raise BadMatcher(f"Matchers are a text of at most {LONGEST_MATCHERS} characters.")
    lines = (line.strip().rstrip(",") for line in text.splitlines())
    found = tuple(each for line in lines if line for each in syntax.matchers(line))
    if not found:
        raise BadMatcher('A silence needs at least one matcher, such as alertname="DiskFull".')
    if len(found) > MOST_MATCHERS:
        raise BadMatcher(f"A silence has at most {MOST_MATCHERS} matchers; these are {len(found)}.")
    if all(each.holds("") for each in found):
        raise BadMatcher("These matchers hold for alerts without any of the labels; say at least one label exactly.")
    return found


def problems_of(ask: Ask, now: datetime) -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {}
    try:
        matchers_read(ask.matchers)
    except BadMatcher as refusal:
        found["matchers"] = str(refusal)
    if not ask.reason.strip():
        found["reason"] = "Say why, for those who wonder later."
    elif len(ask.reason) > LONGEST_REASON or "\x00" in ask.reason:
        found["reason"] = f"A reason is a text of at most {LONGEST_REASON} characters."
    if problem := end_problem(ask.starts_at, ask.ends_at, now):
        found["ends_at"] = problem
    if ask.handover_seconds is not None and not 0 <= ask.handover_seconds <= DAY_SECONDS:
        found["handover_seconds"] = f"From 0 (never) to {DAY_SECONDS} seconds before the end."
    return found


def end_problem(starts_at: datetime | None, ends_at: datetime, now: datetime) -> str:
    """Return what is wrong with an end, or an empty text."""
    begins_at = max(starts_at or now, now)
    if ends_at <= now:
        return "This end has passed already; a silence ends later than now."
    if ends_at <= begins_at:
        return "The end is not after the beginning."
    longest = timedelta(seconds=settings.CONFIG.silence_longest_seconds)
    if ends_at - begins_at > longest:
        lasts = (ends_at - begins_at).total_seconds() / DAY_SECONDS
        most = longest.total_seconds() / DAY_SECONDS
        return (
            f"A silence lasts at most {most:g} days and this one would last {lasts:.3g}. "
            "What recurs or stays is better a mute time, or another rule."
        )
    return ""


def warnings_of(matchers: Matchers, *, open_count: int, covered: int, lasts: timedelta | None = None) -> list[str]:
    """Return what should make whoever silences look twice."""
    found = []
    if covers_everything(matchers):
        found.append("It covers every alert there is and will be, the console's own among them.")
    elif open_count > 1 and covered == open_count:
        found.append(f"It covers all {open_count} alerts that are open now.")
    if open_count and not covered:
        found.append("It covers none of the alerts that are open now: look for a misspelt label or value.")
    if lasts is not None and lasts > LONG:
        found.append(f"It lasts {lasts.total_seconds() / DAY_SECONDS:.3g} days; whatever breaks meanwhile is not told.")
    return found


def _locked(silence_id: UUID, version: int | None) -> Silence:
    row = Silence.objects.select_for_update().filter(pk=silence_id).first()
    if row is None:
        raise NoSilence(str(silence_id))
    if version is not None and row.version != version:
        raise Outdated(row)
    return row


def _saved(wanted: Wanted, actor: Actor, now: datetime, silence_id: UUID | None) -> Silence:
    try:
        return silence_save(wanted, actor=actor, now=now, silence_id=silence_id)
    except BadSilence as problem:
        raise Invalid({"matchers": str(problem)}) from problem


@transaction.atomic
def silence_make(
    ask: Ask,
    *,
    actor: Actor,
    now: datetime,
    silence_id: UUID | None = None,
    version: int | None = None,
    author: str = "",
) -> Silence:
    """Store what was filled in; other matchers end the silence and begin another. `author` is who asked elsewhere.

    Raises Invalid, and of a stored one NoSilence and Outdated.
    """
    if problems := problems_of(ask, now):
        raise Invalid(problems)
    old = _locked(silence_id, version) if silence_id is not None else None
    begun = old is not None and old.starts_at <= now
    handover = settings.CONFIG.silence_handover_seconds if ask.handover_seconds is None else ask.handover_seconds
    wanted = Wanted(
        matchers=matchers_read(ask.matchers), ends_at=ask.ends_at, reason=ask.reason.strip(),
        starts_at=old.starts_at if old is not None and begun else max(ask.starts_at or now, now),
        author=old.author if old is not None else author or actor.label,
        lets_critical_through=ask.lets_critical_through, handover_seconds=handover,
    )  # fmt: skip
    return _saved(wanted, actor, now, silence_id)


def _as_wanted(row: Silence, **changes: Any) -> Wanted:
    facts: dict[str, Any] = {
        "matchers": matchers_from(row.matchers), "starts_at": row.starts_at, "ends_at": row.ends_at,
        "author": row.author, "reason": row.reason, "lets_critical_through": row.lets_critical_through,
        "handover_seconds": row.handover_seconds,
    }  # fmt: skip
    return Wanted(**{**facts, **changes})


@transaction.atomic
def silence_until(
    silence_id: UUID, *, ends_at: datetime, actor: Actor, now: datetime, version: int | None = None
) -> Silence:
    """Let a silence that has not ended last until another time; raises Invalid, NoSilence and Outdated."""
    row = _locked(silence_id, version)
    if row.ends_at <= now:
        raise Invalid({"ends_at": "It has ended already; silence again instead."})
    if problem := end_problem(row.starts_at, ends_at, now):
        raise Invalid({"ends_at": problem})
    return _saved(_as_wanted(row, ends_at=ends_at), actor, now, silence_id)


@transaction.atomic
def silence_again(silence_id: UUID, *, ends_at: datetime, actor: Actor, now: datetime) -> Silence:
    """Make a silence like one that ended; raises Invalid and NoSilence."""
    row = _locked(silence_id, None)
    if row.ends_at > now:
        raise Invalid({"ends_at": "It has not ended yet; extend it instead."})
    if problem := end_problem(now, ends_at, now):
        raise Invalid({"ends_at": problem})
    return _saved(_as_wanted(row, starts_at=now, ends_at=ends_at, author=actor.label), actor, now, None)


@transaction.atomic
def silence_end(silence_id: UUID, *, actor: Actor, now: datetime, version: int | None = None) -> Silence:
    """End a silence now; raises NoSilence and Outdated."""
    _locked(silence_id, version)
    return silence_expire(silence_id, actor=actor, now=now)


def matchers_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return stored matchers as people write them."""
    return ", ".join(str(each) for each in matchers_from(rows))


def state_of(row: Silence, now: datetime) -> str:
    """Return where in its life a silence is: pending, active or expired."""
    if row.ends_at <= now:
        return "expired"
    return "pending" if row.starts_at > now else "active"
