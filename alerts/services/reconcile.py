"""Finds what people did to issues while nobody told of it, and does it to the alerts as if a webhook had come.

GitHub sends no webhook twice, so every channel's issues are asked for every few minutes.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from django.db import Error, connection, transaction
from django.db.models import Max, Min, Q, QuerySet
from django.db.models.functions import Upper

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, outbox
from aivillage_console.lib.sealing import CannotUnseal
from alerts.channels import ChannelError
from alerts.channels.github.listing import Page, Place, changed_issues
from alerts.engine.standing import Standing, is_news, standing_of, told_by
from alerts.engine.states import AlertState
from alerts.measures import ISSUE_POLLS, ISSUES_FOUND, WORK
from alerts.models import Channel, Heartbeat, InboundHook, IssuePoll, Link
from alerts.services import following, ownership
from alerts.services.ownership import Whose
from alerts.services.sync import POISON

Clock = Callable[[], datetime]
# Asked this often, a close is found within five minutes with the time to look, ask and act.
EVERY_SECONDS = 270.0
AGAIN_SECONDS = 10.0  # There were more changes than one round takes.
LONGEST_SECONDS = 3600.0
LEASE_SECONDS = 60.0
ROUND_SECONDS = 60.0
# Issues of alerts that ended this long ago may still be reopened.
WATCHED = timedelta(days=7)
# What GitHub's clock and ours may differ by.
SKEW = timedelta(minutes=10)
BEAT = "issue polls"
log = structlog.get_logger(__name__)
_busy = threading.Lock()


def due_polls(now: datetime) -> QuerySet[IssuePoll]:
    """Return the channels to be asked now."""
    channels = Q(channel__enabled=True, channel__type="github")
    return IssuePoll.objects.filter(channels, due_at__lte=now).exclude(channel__config__contains={"follow": False})


def reconcile_in_background(now: datetime) -> threading.Thread | None:
    """Ask what is due from a thread of its own, one at a time: a dead receiver holds up nobody's messages."""
    _prepare(now)
    if not due_polls(now).exists() or not _busy.acquire(blocking=False):
        return None
    # The console was away, or the channel off: late is what nobody takes now that somebody could.
    due_polls(now - timedelta(seconds=LEASE_SECONDS)).update(due_at=now)
    thread = threading.Thread(target=_round, name="issue-polls", daemon=True)
    thread.start()
    return thread


def _prepare(now: datetime) -> None:
    new = Channel.objects.filter(type="github", poll__isnull=True).values_list("pk", flat=True)
    IssuePoll.objects.bulk_create([IssuePoll(channel_id=pk, due_at=now) for pk in new], ignore_conflicts=True)


def _round() -> None:
    try:
        reconcile_due(hand="sweeper")
    except Error as error:
        log.warning("reconcile.database", error=str(error).strip())
    finally:
        connection.close()
        _busy.release()


def reconcile_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = ROUND_SECONDS) -> int:
    """Ask the receivers that are due, for at most so many seconds; return how many were asked."""
    ends_at, asked = monotonic() + deadline_seconds, 0
    _prepare(read_clock())
    while monotonic() < ends_at:
        now = read_clock()
        rows = outbox.claim(due_polls(now), now=now, lease_seconds=LEASE_SECONDS)
        if not rows:
            break
        outcome = _ask(rows[0], now)
        ISSUE_POLLS.labels(outcome=outcome).inc()
        WORK.labels(kind="reconcile", hand=hand).inc()
        asked += 1
    Heartbeat.objects.update_or_create(name=BEAT, defaults={"at": read_clock(), "detail": {"asked": asked}})
    return asked


@dataclass
class _Round:
    """One asking of one channel."""

    poll: IssuePoll
    channel: Channel
    now: datetime
    link_id: int
    place: Place
    known: following.Known
    more: bool = False
    changed: bool = False
    put_off_at: list[datetime] = field(default_factory=list)  # When what is not settled yet changed.


def _ask(poll: IssuePoll, now: datetime) -> str:
    channel = Channel.objects.get(pk=poll.channel_id)
    asking = _begin(poll, channel, now)
    if asking is None:
        outbox.finish(poll, due_at=_next(now), attempts=0, last_error="", failing_since=None)
        return "nothing to ask"
    try:
        for page in changed_issues(channel.config, channel.unseal(), asking.place, at=now):
            _take(asking, page)
    except (ChannelError, CannotUnseal, *POISON) as error:
        return _failed(poll, asking, error)
    _finish(asking)
    return "changed" if asking.changed else "unchanged"


def _begin(poll: IssuePoll, channel: Channel, now: datetime) -> _Round | None:
    """Return from where to ask; None where no issue is worth asking about."""
    watched = Link.objects.filter(
        ~Q(alert__state=AlertState.RESOLVED.value) | Q(alert__resolved_at__gt=now - WATCHED), channel=channel
    )
    new = Q(pk__gt=poll.link_id)
    found = watched.aggregate(newest=Max("pk"), began=Min("alert__started_at", filter=new))
    if found["newest"] is None:
        return None
    since, etag = poll.since, poll.etag
    if found["began"] is not None:
        # What happened to these issues may have been listed before anybody knew whose they are.
        since, etag = min(found["began"] - SKEW, since or now), ""
    return _Round(
        poll, channel, now, max(poll.link_id, found["newest"]), Place(since or now - WATCHED, etag), _who(channel)
    )  # fmt: skip


def _who(channel: Channel) -> following.Known:
    hooks = InboundHook.objects.filter(Q(channel=channel) | Q(channel__isnull=True), type=channel.type)
    logins = {login.strip().lower() for login in hooks.values_list("login", flat=True)}
    return following.Known(frozenset(logins - {""}))


def _take(asking: _Round, page: Page) -> None:
    rows = page.rows or []
    asking.changed |= bool(rows)
    standings = [found for found in map(standing_of, rows) if found]
    for link, standing in _news(asking.channel, standings):
        _settle(asking, link, standing)
    asking.place, asking.more = page.place, not page.last


def _news(channel: Channel, standings: Sequence[Standing]) -> list[tuple[Link, Standing]]:
    by_issue = {f"{channel.config['repo']}#{found.number}".upper(): found for found in standings}
    links = Link.objects.filter(channel=channel).annotate(issue=Upper("external_id")).filter(issue__in=by_issue)
    pairs = [(link, by_issue[link.external_id.upper()]) for link in links.order_by("alert_id")]
    return [(link, one) for link, one in pairs if is_news(one, state=link.settled_state, settled_at=link.settled_at)]


def _settle(asking: _Round, link: Link, standing: Standing) -> None:
    try:
        whose = _done(asking, link, standing)
    except POISON as error:
        log.warning("reconcile.failed", issue=link.external_id, error=f"{type(error).__name__}: {error}")
        whose = Whose.LATER
    if whose is Whose.LATER:
        asking.put_off_at.append(standing.updated_at)


@transaction.atomic
def _done(asking: _Round, link: Link, standing: Standing) -> Whose:
    fresh = next(iter(following.locked(Link.objects.filter(pk=link.pk))), None)
    if fresh is None or not is_news(standing, state=fresh.settled_state, settled_at=fresh.settled_at):
        return Whose.OURS
    whose = ownership.whose(fresh, standing, asked_at=asking.now)
    told = told_by(standing, fresh.external_id)
    if whose is Whose.OURS:
        following.settle(fresh, told)
    elif whose is Whose.THEIRS:
        name = f"{standing.login} (GitHub)" if standing.login else "somebody (GitHub)"
        actor = Actor(kind="github", id=standing.login, label=name, via="asking GitHub")
        outcome = following.follow(fresh, told, asking.known, actor, asking.now)
        ISSUES_FOUND.labels(state=standing.state).inc()
        log.info("reconcile.found", issue=fresh.external_id, state=standing.state, outcome=outcome)
    return whose


def _finish(asking: _Round) -> None:
    place = asking.place
    if asking.put_off_at:
        # What is put off must be listed again, whatever else changes.
        place = Place(min(place.since, min(asking.put_off_at) - timedelta(seconds=1)))
    outbox.finish(
        asking.poll, since=place.since, etag=_stored(place.etag), link_id=asking.link_id, attempts=0, last_error="",
        due_at=asking.now + timedelta(seconds=AGAIN_SECONDS) if asking.more else _next(asking.now),
        failing_since=None,
    )  # fmt: skip


def _stored(etag: str) -> str:
    longest: Any = IssuePoll._meta.get_field("etag").max_length
    return etag if len(etag) <= longest and etag.isprintable() else ""


def _failed(poll: IssuePoll, asking: _Round, error: Exception) -> str:
    """Come again as usual, after the pause GitHub asks for, or ever later where it says no."""
    pause = error.retry_after_seconds if isinstance(error, ChannelError) else None
    again_at = _next(asking.now)
    if pause is not None:
        again_at = asking.now + timedelta(seconds=pause)
    elif not isinstance(error, ChannelError) or error.permanent:
        again_at = _next(asking.now, min(2.0 ** min(poll.attempts - 1, 10), LONGEST_SECONDS / EVERY_SECONDS))
    log.warning("reconcile.refused", channel=asking.channel.name, error=str(error), again_at=again_at.isoformat())
    since = poll.failing_since or asking.now
    outbox.fail(poll, error=str(error).replace("\x00", ""), due_at=again_at, failing_since=since)
    return "failed" if pause is None else "limited"


def _next(now: datetime, times: float = 1.0) -> datetime:
    return now + timedelta(seconds=EVERY_SECONDS * times)
