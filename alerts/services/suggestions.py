"""What would make a rule quieter: other timers and thresholds are tried on the past, and what is lost is counted.

An episode mattered if somebody acknowledged, assigned or resolved it by hand or called it right, or if it lasted long.
A change is suggested only where every episode that mattered would still have been told to somebody while it lasted.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from time import monotonic
from typing import Any

from django.db import transaction
from django.utils.module_loading import import_string

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import clock
from aivillage_console.lib.durations import format_ms
from alerts.engine.backtest import Backtest, Firing
from alerts.engine.backtest_totals import OWN, is_page, totals
from alerts.models import AlertEvent, Rule, RuleSuggestion
from alerts.models.rules import RuleKind
from alerts.services.backtest import Cancelled, NoBacktest, backtest
from alerts.services.labelsets import RULE_ERRORS

USUAL_DAYS = 14
# An episode this long mattered, whatever people did about it.
LONG_SECONDS = 1800.0
# What is tried at most, and how long all of it may take.
MOST_TRIED, MOST_SECONDS = 24, 60.0
MOST_SUGGESTED = 5
SYSTEM = Actor.system("suggestions")
# Fewer pages than this are no noise; a suggestion has to spare at least this share of them.
LEAST_PAGES, LEAST_SPARED = 4, 0.25
FOR_SECONDS = (60, 120, 180, 300, 360, 600, 900, 1800)
KEEP_SECONDS = (60, 120, 300, 600, 900)
QUANTILES = (0.95, 0.99, 0.995)
# By hand, or that somebody called it right.
BY_HAND = ("acknowledged", "assigned", "resolved", "note", "thumb_up", "useful")
EVENTS_READ = 5000


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a rule that is tried."""

    field: str
    before: float
    after: float

    @property
    def words(self) -> str:
        """Return the change as people write it."""
        if self.field == "threshold":
            return f"threshold {self.before:g} → {self.after:g}"
        name = {"for_seconds": "for", "keep_firing_for_seconds": "keep firing for"}[self.field]
        return f"{name} {_duration(self.before)} → {_duration(self.after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A change with what it spares and what it loses."""

    field: str
    before: float
    after: float
    pages_before: int
    pages_after: int
    night_pages_before: int
    night_pages_after: int
    mattered: int
    lost: int
    later_seconds: float  # How much later the worst-off of those that mattered would have been told.
    text: str


def suggestions_of(
    rule: Rule, *, now: datetime, days: int = USUAL_DAYS, most_seconds: float = MOST_SECONDS, actor: Actor = SYSTEM
) -> RuleSuggestion:
    """Try changes of a stored rule on the past, for so long at most, and keep what is worth suggesting."""
    result = _found(rule, now - timedelta(days=days), now, monotonic() + most_seconds)
    with transaction.atomic():
        row, _ = RuleSuggestion.objects.update_or_create(
            rule=rule, defaults={"rule_version": rule.version, "days": days, "at": now, "result": result}
        )
        audit(actor, "rule.suggest", rule, now=now, after={"days": days, "found": len(result["suggestions"])})
    return row


def _found(rule: Rule, start_at: datetime, end_at: datetime, stop_at: float) -> dict[str, Any]:
    began = monotonic()
    changes = list(_changes(rule, start_at, end_at)) if rule.kind != RuleKind.RECORDING else []
    found: dict[str, Any] = {"suggestions": [], "tried": 0, "why_not": "", "pages": 0, "mattered": 0}
    try:
        usual = backtest(rule, start_at=start_at, end_at=end_at, progress=lambda _done: monotonic() < stop_at)
    except (NoBacktest, *RULE_ERRORS) as error:
        return found | {"why_not": str(error)}
    except Cancelled:
        return found | {"why_not": "the past of this rule takes too long to go through"}
    mattered = _mattered(rule, usual, start_at)
    pages = totals(usual).pages
    found |= {"pages": pages, "mattered": len(mattered), "seconds": monotonic() - began}
    if pages < LEAST_PAGES:
        return found | {"why_not": f"it told somebody {pages} times: that is no noise"}
    good: list[Suggestion] = []
    for change in changes[:MOST_TRIED]:
        if monotonic() >= stop_at:
            found["why_not"] = "not everything was tried: it took too long"
            break
        found["tried"] += 1
        one = _tried(rule, change, usual, mattered, stop_at)
        if one is not None:
            good.append(one)
    best = sorted(_least(good), key=lambda each: (each.pages_after, each.later_seconds))[:MOST_SUGGESTED]
    return found | {"suggestions": [asdict(each) for each in best], "seconds": monotonic() - began}


def _tried(
    rule: Rule, change: Change, usual: Backtest, mattered: Sequence[Firing], ends_at: float
) -> Suggestion | None:
    """Try a change; return it where it spares enough and loses nothing that mattered."""
    start_at, end_at = (clock.at_seconds(at) for at in (usual.start_at, usual.end_at))
    try:
        other = backtest(
            changed(rule, change), start_at=start_at, end_at=end_at, progress=lambda _done: monotonic() < ends_at
        )
    except (Cancelled, NoBacktest, *RULE_ERRORS):
        return None
    before, after = totals(usual), totals(other)
    told_late = [_told_late(each, other, usual.end_at) for each in mattered]
    lost = sum(late is None for late in told_late)
    if other.errors or lost or after.pages > before.pages * (1 - LEAST_SPARED):
        return None
    text = f"{change.words}: {before.pages} → {after.pages} pages, {lost} of {len(mattered)} incidents lost"
    return Suggestion(
        field=change.field, before=change.before, after=change.after, pages_before=before.pages,
        pages_after=after.pages, night_pages_before=before.night_pages, night_pages_after=after.night_pages,
        mattered=len(mattered), lost=lost, text=text,
        later_seconds=max((late or 0.0 for late in told_late), default=0.0),
    )  # fmt: skip


def _told_late(mattered: Firing, other: Backtest, end_at: float) -> float | None:
    """Return how much later an episode that mattered is told; None where it never is, while it lasts."""
    until = mattered.resolved_at if mattered.resolved_at is not None else end_at
    first = _first_told(mattered)
    same = [one for one in other.firings if one.name == mattered.name and dict(one.labels) == dict(mattered.labels)]
    # What still runs because it began before was told before.
    heard = [
        at for one in same for at in [_first_told(one)]
        if at is not None and at <= until and (one.resolved_at is None or one.resolved_at >= mattered.started_at)
    ]  # fmt: skip
    if not heard:
        return 0.0 if first is None and same else None
    return max(0.0, min(heard) - (first if first is not None else mattered.started_at))


def _first_told(firing: Firing) -> float | None:
    return next((each.at for each in firing.told if is_page(each)), None)


def _least(found: Iterable[Suggestion]) -> Iterator[Suggestion]:
    """Return of changes that come to the same number of pages the smallest one of each kind."""
    seen: set[tuple[str, int]] = set()
    for each in sorted(found, key=lambda each: abs(each.after - each.before)):
        if (each.field, each.pages_after) not in seen:
            seen.add((each.field, each.pages_after))
            yield each


def changed(rule: Rule, change: Change) -> Rule:
    """Return a copy of a rule with a change; the stored one stays as it is."""
    other = copy.copy(rule)
    if change.field == "threshold":
        other.spec = {**rule.spec, "threshold": change.after}
    else:
        setattr(other, change.field, int(change.after))
    return other


def _changes(rule: Rule, start_at: datetime, end_at: datetime) -> Iterator[Change]:
    """Return what is tried: longer timers, and thresholds at quantiles of what was seen."""
    for seconds in FOR_SECONDS:
        if seconds > rule.for_seconds:
            yield Change("for_seconds", rule.for_seconds, seconds)
    for seconds in KEEP_SECONDS:
        if seconds > rule.keep_firing_for_seconds:
            yield Change("keep_firing_for_seconds", rule.keep_firing_for_seconds, seconds)
    if rule.kind == RuleKind.THRESHOLD and not rule.spec.get("levels"):
        for value in _samples("quantiles_of")(rule, start_at, end_at, QUANTILES):
            yield Change("threshold", float(rule.spec["threshold"]), value)


@cache
def _samples(name: str) -> Any:
    # By name: only a process that evaluates may load the query kernels.
    return import_string(f"alerts.services.backtest_samples.{name}")


def _mattered(rule: Rule, usual: Backtest, start_at: datetime) -> list[Firing]:
    """Return the firings that somebody did something about, or that lasted long."""
    by_hand = _by_hand(rule, start_at)
    found = []
    for firing in usual.firings:
        if firing.name in OWN:
            continue
        until = firing.resolved_at if firing.resolved_at is not None else usual.end_at
        touched = any(firing.started_at <= at <= until for at in by_hand.get(_key(firing.labels), ()))
        if touched or until - firing.started_at >= LONG_SECONDS:
            found.append(firing)
    return found


def _by_hand(rule: Rule, since: datetime) -> Mapping[tuple[tuple[str, str], ...], list[float]]:
    """Return when somebody did something about the rule's alerts, by their labels."""
    events = AlertEvent.objects.filter(alert__rule=rule, at__gte=since, kind__in=BY_HAND).exclude(actor_kind="system")
    found: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for labels, at in events.order_by("-id").values_list("alert__labels", "at")[:EVENTS_READ]:
        found.setdefault(_key(labels), []).append(at.timestamp())
    return found


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def _duration(seconds: float) -> str:
    return format_ms(int(seconds * 1000)) if seconds else "0s"
