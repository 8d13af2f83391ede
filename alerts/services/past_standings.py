"""How rules stood at past times, by the story their alerts left: what a composite rule goes by when it is replayed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from alerts.engine.composite import Component, Standing
from alerts.models import AlertEvent, Rule

# What an event makes of the alert it is about; other events change nothing.
TRUTH: Mapping[str, bool | None] = {
    "fired": True, "started": True, "reopened": True, "known_again": True, "became_unknown": None, "resolved": False,
}  # fmt: skip
MOST_EVENTS = 200_000


@dataclass(frozen=True, slots=True)
class _Turn:
    """An alert of a rule begins, ends or can no longer be told."""

    at: datetime
    rule: str
    alert: int
    labels: Mapping[str, str]
    truth: bool | None


@dataclass(slots=True)
class PastStandings:
    """Answers how rules stood, for times that follow one another; it reads the story once."""

    until: datetime
    _turns: list[_Turn] = field(default_factory=list)
    _names: frozenset[str] = frozenset()
    _known: frozenset[str] = frozenset()
    _place: int = 0
    _at: datetime | None = None
    _standing: dict[str, dict[int, Standing]] = field(default_factory=dict)

    def __call__(self, names: Iterable[str], at: datetime) -> Mapping[str, Component]:
        """Return how rules stood at a time."""
        wanted = frozenset(names)
        if wanted != self._names:
            self._read(wanted)
        if self._at is not None and at < self._at:
            self._place, self._standing = 0, {}
        self._at = at
        while self._place < len(self._turns) and self._turns[self._place].at <= at:
            self._turn(self._turns[self._place])
            self._place += 1
        return {name: Component(list(self._standing.get(name, {}).values())) for name in self._known}

    def _read(self, names: frozenset[str]) -> None:
        """Read the story of the alerts of some rules; raises ValueError where it is too long."""
        self._names, self._place, self._standing = names, 0, {}
        self._known = frozenset(Rule.objects.filter(name__in=names).values_list("name", flat=True))
        events = AlertEvent.objects.filter(
            alert__rule__name__in=names, at__lte=self.until, kind__in=list(TRUTH)
        ).select_related("alert__rule")
        rows = list(events.order_by("at", "id")[: MOST_EVENTS + 1])
        if len(rows) > MOST_EVENTS:
            raise ValueError(f"the rules it joins have more than {MOST_EVENTS} events: replay a shorter time")
        self._turns = [
            _Turn(row.at, row.alert.rule.name, row.alert_id, row.alert.labels, TRUTH[row.kind])
            for row in rows if row.alert.rule is not None and row.alert.name == row.alert.rule.alertname
        ]  # fmt: skip

    def _turn(self, turn: _Turn) -> None:
        of_rule = self._standing.setdefault(turn.rule, {})
        if turn.truth is False:
            of_rule.pop(turn.alert, None)
        else:
            of_rule[turn.alert] = Standing(turn.labels, turn.truth)
