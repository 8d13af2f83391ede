"""From what a backtest kept in its memory to firings, and whom each was told to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from alerts.engine.backtest import Firing, Told
from alerts.engine.night import is_night
from alerts.engine.severity import worse
from alerts.engine.states import NotificationKind, NotificationState
from alerts.models import Alert, AlertEvent, Notification
from alerts.services.backtest_memory import Memory

BEGINS = ("started", "reopened")
# Which stage of the pipeline says why nobody was told, if its verdict is one of these.
SAYS_WHY = {
    "flapping": ("counted",), "taken": ("snoozed",), "route": ("nobody",), "escalate": ("held", "none"),
    "notify": ("later", "fire", "none"),
}  # fmt: skip


@dataclass(slots=True)
class _Open:
    """A firing while its end is looked for."""

    alert: Alert
    event: AlertEvent
    severity: str
    labels: Mapping[str, str]
    policy: str
    key: tuple[str, int, int]
    resolved_at: float | None = None
    because: str = ""
    told: list[Told] = field(default_factory=list)


def firings_of(memory: Memory, *, zone: ZoneInfo | None = None) -> tuple[Firing, ...]:
    """Return every time that a label set fired, in order; times of night are those of the zone."""
    found: list[_Open] = []
    latest: dict[str, _Open] = {}
    for event in memory.events:
        print_of = event.alert.fingerprint
        if event.kind in BEGINS:
            latest[print_of] = _begun(event, memory)
            found.append(latest[print_of])
        elif print_of in latest:
            _goes_on(latest[print_of], event)
    _tell(found, memory, zone)
    return tuple(_firing(each, memory, zone) for each in found)


def _begun(event: AlertEvent, memory: Memory) -> _Open:
    facts = memory.facts[id(event)]
    return _Open(event.alert, event, facts.severity, facts.labels, facts.policy, facts.key)


def _goes_on(firing: _Open, event: AlertEvent) -> None:
    if event.kind == "resolved":
        firing.resolved_at, firing.because = event.at.timestamp(), event.reason or "recovered"
    elif event.kind == "worsened":
        severity = event.alert.severity
        firing.severity = severity if worse(severity, firing.severity) else firing.severity


def _tell(found: Sequence[_Open], memory: Memory, zone: ZoneInfo | None) -> None:
    """Give each firing the messages that were owed since it began and before the next one of its alert did."""
    of_alert: dict[str, list[_Open]] = {}
    for firing in found:
        of_alert.setdefault(firing.alert.fingerprint, []).append(firing)
    rows = (row for row in memory.messages if row.alert is not None)
    for (print_of, at, kind, step, why), group in groupby(rows, _moment):
        firing = next(each for each in reversed(of_alert[print_of]) if each.event.at <= at)
        firing.told.append(_told(list(group), at, kind, step, why, memory, zone))


def _moment(row: Notification) -> tuple[str, datetime, str, int, str]:
    why = row.cancelled_because if row.state == NotificationState.CANCELLED else ""
    return row.alert.fingerprint, row.created_at, row.kind, row.step, why  # type: ignore[union-attr]


def _told(
    rows: Sequence[Notification], at: datetime, kind: str, step: int, why: str, memory: Memory, zone: ZoneInfo | None
) -> Told:
    return Told(
        at=at.timestamp(), policy=memory.policy_names.get(rows[0].key, ""), step=step, kind=kind, withheld=why,
        channels=tuple(row.channel_name for row in rows), at_night=is_night(at.timestamp(), zone),
    )  # fmt: skip


def _firing(found: _Open, memory: Memory, zone: ZoneInfo | None) -> Firing:
    started_at = found.event.at.timestamp()
    told = found.told
    if not any(each.kind != NotificationKind.RESOLVE for each in told):
        told = [_untold(found, started_at, zone), *told]
    return Firing(
        labels=found.labels, name=found.alert.name, severity=found.severity, started_at=started_at,
        resolved_at=found.resolved_at, because=found.because, peak_value=memory.peaks.get(found.key),
        told=tuple(told),
    )  # fmt: skip


def _untold(found: _Open, started_at: float, zone: ZoneInfo | None) -> Told:
    """Say why nobody heard of a firing."""
    return Told(
        at=started_at, policy=found.policy, step=0, withheld=_why_not(found.event.data.get("decisions") or []),
        at_night=is_night(started_at, zone),
    )  # fmt: skip


def _why_not(decisions: Iterable[Mapping[str, Any]]) -> str:
    for decision in decisions:
        if decision["verdict"] in SAYS_WHY.get(decision["stage"], ()):
            return str(decision["reason"])
    return "it was over before anybody was to be told"
