"""Takes in ready-made alerts, such as Prometheus sends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aivillage_console.accounts.services import Actor
from alerts.engine.episodes import Change, Seen
from alerts.engine.reasons import ResolvedCause
from alerts.engine.severity import severity_from, with_original
from alerts.engine.states import AlertState, Severity
from alerts.models import Alert
from alerts.pipeline import Observation
from alerts.services.batches import observe_many
from alerts.services.decide import SYSTEM, observe

RESOLVE_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One ready-made alert."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    generator_url: str = ""
    severity: Severity | None = None  # None: as the label of that name says.
    until_told: bool = False  # It stays until its sender says that it is over, however long that takes.


def alerts_intake(incoming: Iterable[Incoming], *, source_id: Any = None, now: datetime, actor: Actor = SYSTEM) -> int:
    """Apply them; sending the same again changes nothing but its time-out. Return how many could not be stored."""
    return observe_many([_observation(each, source_id, now) for each in incoming], now=now, actor=actor)


def _observation(each: Incoming, source_id: Any, now: datetime) -> Observation:
    over = each.ends_at is not None and each.ends_at <= now
    labels = with_original(each.labels)
    name = labels.pop("alertname", "")
    severity = each.severity or severity_from(labels.get("severity", ""))
    silent_at = None if each.until_told else now + timedelta(seconds=RESOLVE_TIMEOUT_SECONDS)
    return Observation(
        name=name[:200], labels=labels, seen=Seen.CLEAR if over else Seen.FIRING, severity=severity.value,
        annotations=each.annotations, source_id=source_id, generator_url=each.generator_url,
        ends_at=each.ends_at or silent_at,
        reason="its sender says it is over" if over else "", cause=ResolvedCause.UPSTREAM if over else None,
    )  # fmt: skip


def resolve_timed_out(*, now: datetime, limit: int = 100) -> int:
    """End the ready-made alerts nobody has sent again in time; return how many."""
    silent = Alert.objects.filter(ends_at__lte=now).exclude(state=AlertState.RESOLVED.value).order_by("ends_at")[:limit]
    changes = [
        observe(
            Observation(
                name=alert.name, labels=alert.labels, seen=Seen.CLEAR, severity=alert.severity,
                reason="its sender stopped sending it", cause=ResolvedCause.EXPIRED,
            ),
            now=now,
        )
        for alert in silent
    ]  # fmt: skip
    return sum(change is Change.RESOLVED for change in changes)
