"""A kind of rule for tests: it holds for the cases the test has put in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aivillage_console.lib import clock
from alerts.models import Rule, RuleGroup
from alerts.rules.kinds import AskedKind, Case
from alerts.services import evaluate_due


@dataclass
class Events:
    """What a wing would have stored: cases, and from when to when each holds."""

    cases: list[tuple[Case, datetime | None, datetime | None]] = field(default_factory=list)
    asked: list[tuple[Mapping[str, Any], int, datetime]] = field(default_factory=list)
    error: Exception | None = None

    def put(self, *cases: Case) -> None:
        """Let these cases hold at all times, and no others."""
        self.cases = [(case, None, None) for case in cases]

    def ask(self, spec: Mapping[str, Any], window_seconds: int, at: datetime) -> Sequence[Case]:
        """Answer as an owner does."""
        self.asked.append((spec, window_seconds, at))
        if self.error is not None:
            raise self.error
        return [
            case
            for case, begins_at, ends_at in self.cases
            if (begins_at is None or begins_at <= at) and (ends_at is None or at < ends_at)
        ]

    def kind(self) -> AskedKind:
        """Return the kind that answers from here."""

        def problems(spec: Mapping[str, Any]) -> dict[str, str]:
            least = spec.get("least", 1)
            return {} if isinstance(least, int) else {"least": "This is a whole number."}

        return AskedKind(
            label="Test event", keys=frozenset({"least", "event_type"}), problems=problems, ask=self.ask,
            threshold=lambda spec: spec.get("least"), over="no event in the window any more",
        )  # fmt: skip


def attack(severity: str = "", *, source: str = "203.0.113.7", value: float | None = 12.0, **more: Any) -> Case:
    """Return one case."""
    return Case(labels={"source_ip": source}, value=value, severity=severity, **more)


def asked_rule(start: datetime, **fields: Any) -> Rule:
    """Return a saved rule of the test's kind in a group of its own."""
    group, _ = RuleGroup.objects.get_or_create(name="asked", defaults={"interval_seconds": 5, "due_at": start})
    values: dict[str, Any] = {
        "name": "Attack", "kind": "security_event", "spec": {"least": 3}, "severity": "medium", "for_seconds": 0,
        "cooldown_seconds": 0, "labels": {"component": "gateway"},
        "annotations": {"summary": "{{ $labels.source_ip }}: {{ $value }} tries", "runbook": "Block it."}, **fields,
    }  # fmt: skip
    return Rule.objects.create(group=group, **values)


def at(moment: datetime) -> Callable[[], datetime]:
    """Return a clock that stands still."""
    return lambda: moment


def tick(start: datetime, *seconds: float) -> None:
    """Evaluate what is due so many seconds after the start."""
    for second in seconds:
        evaluate_due(hand="celery", read_clock=at(start + timedelta(seconds=second)))


def grid_time() -> datetime:
    """Return a grid time in the recent past."""
    now = clock.now()
    return clock.at_seconds(now.timestamp() - now.timestamp() % 60 - 1800)
