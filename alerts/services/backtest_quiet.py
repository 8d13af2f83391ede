"""What kept alerts quiet in the past: silences as they were, inhibitions and mute times as they are now."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any, Literal

from django.db.models import Q

from aivillage_console.lib import clock
from alerts.engine.alertmanager.matching import all_hold
from alerts.engine.alertmanager.received import as_sent
from alerts.engine.alertmanager.route_fields import InhibitRule
from alerts.engine.states import QuietKind
from alerts.models import Alert, AlertEvent, Quieted, Silence
from alerts.services.quieting import OPEN, Quiet, QuietTime, Times, matchers_from

# Silences, and alerts of other rules, that are read; the newest.
MOST_SILENCES = 2000
MOST_OTHERS = 2000
# Silences as they were, as they are now, or nothing that keeps quiet at all.
Quieting = Literal["then", "now", "none"]
BEGINS, ENDS = ("started", "reopened"), ("resolved",)


@dataclass(frozen=True, slots=True)
class Span:
    """Something that held from one time to another."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Other:
    """An alert of another rule or sender, and when it was open."""

    alert: Alert
    sent: Mapping[str, str]
    spans: tuple[Span, ...]

    def is_open(self, at: float) -> bool:
        """Say whether it was open at a time."""
        return any(span.start <= at < span.end for span in self.spans)


@dataclass(slots=True)
class QuietHistory:
    """All that kept alerts quiet between two times, read once."""

    silences: tuple[tuple[Span, QuietTime], ...] = ()
    inhibitions: tuple[InhibitRule, ...] = ()
    times: tuple[Times, ...] = ()
    others: tuple[Other, ...] = ()
    _changes: list[float] = field(init=False)

    def __post_init__(self) -> None:
        """Note when anything of it changes."""
        spans = [span for span, _ in self.silences] + [span for other in self.others for span in other.spans]
        self._changes = sorted({at for span in spans for at in (span.start, span.end)})

    def changes_from(self, at: float, interval_seconds: float) -> float:
        """Return a time, this one or a later one, before which nothing of it changes."""
        place = bisect_left(self._changes, at)
        found = [self._changes[place]] if place < len(self._changes) else []
        if self.times:
            found.append(ceil(at / 60) * 60.0)
        if self.inhibitions:
            # Alerts of the rule itself come and go with its ticks.
            found.append(ceil(at / interval_seconds) * interval_seconds)
        return min(found, default=float("inf"))

    def knows_until(self, row: Quieted) -> bool:
        """Say whether the reason itself says when it ends."""
        return row.kind == QuietKind.SILENCE


@dataclass
class QuietThen(Quiet):
    """What held at one time of the past."""

    history: QuietHistory = field(kw_only=True)
    alerts: Collection[Alert] = field(kw_only=True, default=())

    @property
    def silences(self) -> tuple[QuietTime, ...]:
        """Return the silences that held."""
        at = self.now.timestamp()
        return tuple(quiet for span, quiet in self.history.silences if span.start <= at < span.end)

    @property
    def inhibitions(self) -> tuple[InhibitRule, ...]:
        """Return the inhibitions as they are now."""
        return self.history.inhibitions

    @property
    def lists(self) -> bool:
        """Say that no incident speaks for an alert."""
        return False

    @property
    def times(self) -> tuple[Times, ...]:
        """Return the mute times as they are now."""
        return self.history.times

    def sources(self, alert: Alert, rule: InhibitRule, sent: Mapping[str, str]) -> Iterable[Alert]:  # noqa: ARG002
        """Return the alerts that were open: those of other rules, and those the backtest made."""
        at = self.now.timestamp()
        yield from (
            other.alert for other in self.history.others if other.is_open(at) and all_hold(rule.source, other.sent)
        )
        yield from (each for each in self.alerts if each.state in OPEN and each is not alert)


def history_of(start_at: datetime, end_at: datetime, *, but_rule: Any, quieting: Quieting = "then") -> QuietHistory:
    """Return what kept alerts quiet between two times, or what would have if it had been as it is now, or nothing."""
    if quieting == "none":
        return QuietHistory()
    now = Quiet(clock.now() if quieting == "now" else end_at)
    inhibitions = now.inhibitions
    return QuietHistory(
        silences=tuple(_silences_now(now) if quieting == "now" else _silences(start_at, end_at)),
        inhibitions=inhibitions, times=now.times,
        others=tuple(_others(start_at, inhibitions, but_rule)) if inhibitions else (),
    )  # fmt: skip


def _silences_now(now: Quiet) -> Iterator[tuple[Span, QuietTime]]:
    for quiet in now.silences:
        yield Span(float("-inf"), float("inf")), quiet


def _silences(start_at: datetime, end_at: datetime) -> Iterator[tuple[Span, QuietTime]]:
    rows = Silence.objects.filter(ends_at__gt=start_at, starts_at__lt=end_at).order_by("-created_at")[:MOST_SILENCES]
    # In the order in which the live path takes them.
    for row in sorted(rows, key=lambda row: row.created_at):
        begin, end = row.starts_at.timestamp(), row.ends_at.timestamp()
        yield Span(begin, end), QuietTime(
            str(row.pk), matchers_from(row.matchers), end, f"{row.author}: {row.reason}", row.lets_critical_through
        )  # fmt: skip


def _others(start_at: datetime, inhibitions: Iterable[InhibitRule], but_rule: Any) -> Iterator[Other]:
    """Return the alerts that may have inhibited, with the times at which they were open."""
    recent = Alert.objects.filter(~Q(state="resolved") | Q(resolved_at__gte=start_at)).exclude(rule_id=but_rule)
    found = {}
    for alert in recent.order_by("-id")[:MOST_OTHERS]:
        sent = as_sent(alert.name, alert.labels)
        if any(all_hold(rule.source, sent) for rule in inhibitions):
            found[alert.pk] = (alert, sent)
    stories: dict[int, list[tuple[str, float]]] = defaultdict(list)
    events = AlertEvent.objects.filter(alert_id__in=found, kind__in=(*BEGINS, *ENDS)).order_by("id")
    for alert_id, kind, at in events.values_list("alert_id", "kind", "at"):
        stories[alert_id].append((kind, at.timestamp()))
    for pk, (alert, sent) in sorted(found.items()):
        yield Other(alert, sent, tuple(_spans(stories[pk])))


def _spans(story: Iterable[tuple[str, float]]) -> Iterator[Span]:
    since: float | None = None
    for kind, at in story:
        if kind in BEGINS:
            since = at if since is None else since
        elif since is not None:
            yield Span(since, at)
            since = None
    if since is not None:
        yield Span(since, float("inf"))
