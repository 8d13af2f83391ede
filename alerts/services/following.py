"""Does to alerts what people did to their issues, whoever told of it: in order, and each thing once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet

from aivillage_console.accounts.selectors import active_user
from aivillage_console.accounts.services import Actor
from aivillage_console.lib.durations import BadDuration, parse_seconds
from alerts.engine.alertmanager.received import as_sent
from alerts.engine.issues import Told, Verb, Wish
from alerts.engine.silencing import matchers_for
from alerts.engine.standing import CLOSED, OPEN
from alerts.models import Alert, Link
from alerts.services import actions
from alerts.services.configuration import Invalid
from alerts.services.silencing import Ask, silence_make

USUAL_SILENCE = "1h"
STATES = {Verb.RESOLVE: CLOSED, Verb.REOPEN: OPEN}


@dataclass(frozen=True, slots=True)
class Known:
    """Who is who at the receiver."""

    own_logins: frozenset[str] = frozenset()  # Accounts the console itself writes as, in small letters.
    people: Mapping[str, str] = field(default_factory=dict)


def locked(links: QuerySet[Link]) -> list[Link]:
    """Return links with their alerts locked: what two messages say of one issue is done in turn."""
    alerts = Alert.objects.select_for_update().filter(pk__in=links.values("alert_id")).order_by("pk")
    return list(links.filter(alert__in=list(alerts)).order_by("alert_id"))


def follow(link: Link, told: Told, known: Known, actor: Actor, now: datetime) -> str:
    """Do what was told to the alert of a locked link; return what came of it."""
    number = f"#{link.alert_id}"
    if link.settled_at is not None and told.updated_at < link.settled_at:
        at = link.settled_at.isoformat()
        return f"{number} ignored: it is older than what the issue last told ({at})"
    state = state_told(told)
    known_already = bool(state) and (told.updated_at, state) == (link.settled_at, link.settled_state)
    settle(link, told)
    if told.login.lower() in known.own_logins:
        return f"{number} ignored: the console did it itself, as {told.login}"
    if known_already:
        return f"{number} ignored: that the issue is {state} since then was known already"
    return "; ".join(f"{number} {_done(link.alert_id, wish, known, actor, now)}" for wish in told.wishes)


def state_told(told: Told) -> str:
    """Return the state the issue is in by what was told; a command in a comment leaves it in the one it had."""
    states = [STATES[wish.verb] for wish in told.wishes if wish.verb in STATES]
    return states[-1] if states and not told.by_comment else ""


def settle(link: Link, told: Told) -> None:
    """Remember since when an issue is in which state, where what was told says so."""
    if told.settles:
        state = state_told(told) or link.settled_state
        Link.objects.filter(pk=link.pk).update(settled_at=told.updated_at, settled_state=state)


def _done(alert_id: int, wish: Wish, known: Known, actor: Actor, now: datetime) -> str:
    try:
        WISHES[wish.verb](alert_id, wish, known, actor, now)
    except actions.NotPossible as refusal:
        return f"ignored ({wish.said}): {refusal}"
    return f"{wish.verb}: {wish.said}"


def _version(alert_id: int) -> int:
    # The alert is locked since its links were read, so nobody can have seen a newer one.
    return Alert.objects.values_list("version", flat=True).get(pk=alert_id)


def _resolve(alert_id: int, wish: Wish, _known: Known, actor: Actor, now: datetime) -> None:
    actions.alert_resolve(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


def _reopen(alert_id: int, wish: Wish, _known: Known, actor: Actor, now: datetime) -> None:
    actions.alert_reopen(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


def _acknowledge(alert_id: int, wish: Wish, _known: Known, actor: Actor, now: datetime) -> None:
    if Alert.objects.filter(pk=alert_id, acked_at__isnull=False).exists():
        raise actions.NotPossible("The alert is acknowledged already.")
    actions.alert_acknowledge(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


def _assign(alert_id: int, wish: Wish, known: Known, actor: Actor, now: datetime) -> None:
    login = wish.argument.partition(" ")[0].removeprefix("@").lower()
    email = known.people.get(login)
    user = active_user(email) if email else None
    if user is None:
        _note(alert_id, Wish(Verb.NOTE, _why_not(login, email)), known, actor, now)
        return
    actions.alert_assign(
        alert_id=alert_id, version=_version(alert_id), actor=actor, assignee_id=user.pk, now=now,
        reason=f"to {user.email}: {wish.said}",
    )  # fmt: skip


def _why_not(login: str, email: str | None) -> str:
    if not login:
        return "/assign needs a name: /assign @login. Nobody was assigned."
    if email is None:
        return f"@{login} is not among the allowed users of this webhook, so nobody was assigned."
    if not email:
        return f"@{login} is allowed, but no user of the console is named for them, so nobody was assigned."
    return f"@{login} stands for {email}, who is no active user of the console, so nobody was assigned."


def _silence(alert_id: int, wish: Wish, known: Known, actor: Actor, now: datetime) -> None:
    alert = Alert.objects.get(pk=alert_id)
    span, _, why = wish.argument.partition(" ")
    try:
        lasts = timedelta(seconds=parse_seconds(span or USUAL_SILENCE))
        ask = Ask(
            matchers=", ".join(str(each) for each in matchers_for([as_sent(alert.name, alert.labels)])),
            reason=why.strip() or f"{wish.said}, on #{alert_id} {alert.name}", ends_at=now + lasts,
        )  # fmt: skip
        made = silence_make(ask, actor=actor, now=now, author=known.people.get(actor.id.lower()) or actor.label)
    except BadDuration as problem:
        text = f"{wish.said}: {problem}; nothing was silenced. Write /silence 2h, or /silence 2h and why."
    except Invalid as invalid:
        text = f"{wish.said}: {' '.join(invalid.problems.values())} Nothing was silenced."
    else:
        text = f"{wish.said}: silenced until {made.ends_at:%Y-%m-%d %H:%M:%S} UTC."
    _note(alert_id, Wish(Verb.NOTE, text), known, actor, now)


def _note(alert_id: int, wish: Wish, _known: Known, actor: Actor, now: datetime) -> None:
    actions.alert_note(alert_id=alert_id, version=_version(alert_id), actor=actor, reason=wish.said, now=now)


WISHES: dict[Verb, Callable[[int, Wish, Known, Actor, datetime], None]] = {
    Verb.RESOLVE: _resolve,
    Verb.REOPEN: _reopen,
    Verb.ACKNOWLEDGE: _acknowledge,
    Verb.ASSIGN: _assign,
    Verb.SILENCE: _silence,
    Verb.NOTE: _note,
}
