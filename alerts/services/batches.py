"""Many observations in one transaction with a handful of statements, whatever their number."""

from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter

import structlog
from django.db import DataError, IntegrityError, transaction

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock, live
from alerts.engine.episodes import Change, Seen
from alerts.engine.fingerprint import fingerprint
from alerts.engine.states import NotificationKind
from alerts.models import Alert, AlertEvent, Escalation, Notification
from alerts.pipeline import Case, Observation
from alerts.services import decide, owed
from alerts.services.ledger import TABLES
from alerts.services.routes import Routes

# What one bad alert raises; the others of its batch are stored all the same.
REFUSED = (DataError, IntegrityError, ValueError, TypeError, LookupError)
# What an observation may change without changing where the alert stands.
REFRESHED = ("value", "ends_at", "annotations", "quiet")
Named = tuple[str, Observation]
log = structlog.get_logger(__name__)


def observe_many(observations: Iterable[Observation], *, now: datetime, actor: Actor = decide.SYSTEM) -> int:
    """Apply as many in one transaction as the settings say; return how many could not be.

    In the order of the fingerprints, so that two batches with the same alerts queue and do not deadlock.
    """
    ordered = sorted(((fingerprint(seen.name, seen.labels), seen) for seen in observations), key=itemgetter(0))
    size = Routes().batch_size if len(ordered) > 1 else 1
    batches = (ordered[start : start + size] for start in range(0, len(ordered), size))
    return sum(_batch(batch, now, actor) for batch in batches)


def _batch(batch: list[Named], now: datetime, actor: Actor) -> int:
    """Apply them together; where that cannot be, and another sender may just have been first, one by one."""
    try:
        with transaction.atomic():
            _together(batch, now, actor)
    except REFUSED as error:
        log.info("alerts.one_by_one", alerts=len(batch), error=str(error))
    else:
        return 0
    with transaction.atomic():
        routes = Routes()
        return sum(not _tried(seen, now, actor, routes) for _, seen in batch)


def _tried(observation: Observation, now: datetime, actor: Actor, routes: Routes) -> bool:
    try:
        decide.observe(observation, now=now, actor=actor, routes=routes)
    except REFUSED as error:
        log.warning("alert.refused", alert=observation.name, error=str(error))
        return False
    return True


def _together(batch: list[Named], now: datetime, actor: Actor) -> None:
    routes = Routes()
    incidents = TABLES.correlating(routes)
    first = dict(reversed(batch))
    locked = Alert.objects.select_for_update().filter(fingerprint__in=list(first)).order_by("fingerprint")
    known = {alert.fingerprint: alert for alert in locked}
    fresh = [
        (alert, decide.case_of(alert, seen, now=now, routes=routes, incidents=incidents))
        for print_of, seen in first.items()
        if print_of not in known and seen.seen is Seen.FIRING
        for alert in [decide.blank(print_of, seen, now)]
    ]
    _begin(fresh, routes, now, actor)
    _go_on([(alert, first[print_of]) for print_of, alert in known.items()], routes, now, actor)
    for print_of, seen in batch:
        if seen is not first[print_of] or (print_of not in known and seen.seen is not Seen.FIRING):
            decide.observe(seen, now=now, actor=actor, routes=routes)


def _begin(fresh: list[tuple[Alert, Case]], routes: Routes, now: datetime, actor: Actor) -> None:
    """Store alerts nobody has seen before; one that somebody has stored meanwhile fails them all."""
    if not fresh:
        return
    for alert, case in fresh:
        decide.refresh(alert, case.observation)
        decide.apply(alert, case, now)
    fresh.sort(key=lambda pair: pair[0].fingerprint)
    Alert.objects.bulk_create([alert for alert, _ in fresh])
    TABLES.joined(fresh, now)
    Escalation.objects.bulk_create(
        decide.escalation_of(
            alert, case.policy, started_at=clock.at_seconds(case.escalate_from), told=case.notify_step is not None
        )
        for alert, case in fresh
        if case.policy is not None and case.escalate_from is not None
    )
    told = owed.Told(now)
    owed_of = [(alert, case, _first_step(alert, case, routes, told)) for alert, case in fresh]
    TABLES.owe([row for *_, rows in owed_of for row in rows])
    _explain([(alert, case) for alert, case, rows in owed_of if decide.withheld(case, rows)])
    AlertEvent.objects.bulk_create([decide.event_of(alert, case, now, actor) for alert, case in fresh])
    for topic in ("alerts", "overview"):
        live.ring(topic)


def _explain(untold: list[tuple[Alert, Case]]) -> None:
    """Say in the trace of alerts, which are stored with what is usual, that nobody was told of them."""
    for alert, case in untold:
        decide.trace(alert, case)
    if untold:
        Alert.objects.bulk_update([alert for alert, _ in untold], ["decisions", "last_pass"])


def _first_step(alert: Alert, case: Case, routes: Routes, told: owed.Told) -> list[Notification]:
    if case.policy is None or case.notify_step is None:
        return []
    step = case.policy.steps[case.notify_step]
    return owed.messages(
        alert, [routes.channels[pk] for pk in step.channels if pk in routes.channels], kind=NotificationKind.FIRE,
        step=case.notify_step, now=told.now, policy_version=f"{case.policy.id}:{case.policy.version}",
        recipients=step.recipients, told=told,
    )  # fmt: skip


def _go_on(known: list[tuple[Alert, Observation]], routes: Routes, now: datetime, actor: Actor) -> None:
    """Record what changes, and refresh together what is only sent again."""
    again: list[Alert] = []
    fields: set[str] = set()
    for alert, seen in known:
        case = decide.case_of(alert, seen, now=now, routes=routes)
        if case.outcome is None or case.change is not Change.NONE:
            decide.record(alert, case, now, actor)
            continue
        before = {name: getattr(alert, name) for name in REFRESHED}
        decide.refresh(alert, seen)
        alert.quiet = case.outcome.after.quiet
        changed = {name for name in REFRESHED if getattr(alert, name) != before[name]}
        fields |= changed
        again += [alert] * bool(changed)
    if again:
        Alert.objects.bulk_update(again, sorted(fields))
