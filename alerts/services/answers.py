"""What a rule answers at one time: for which label sets its condition holds, whichever tables it asks."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from functools import cached_property, partial
from operator import attrgetter

import structlog

from alerts.engine.fingerprint import fingerprint
from alerts.engine.severity import rank, severity_from
from alerts.engine.states import Severity
from alerts.models import Rule, RuleState
from alerts.models.rules import RuleKind
from alerts.rules import asking
from alerts.rules.kinds import ASKED_KINDS, AskedKind, Case
from alerts.services.composite import Composed, StandingsOf, stored_standings
from alerts.services.dynamic import ThresholdsOf, stored_thresholds
from alerts.services.held import NO_DATA, Answer, Held, Presence
from alerts.services.measured import Measured

__all__ = ["NO_DATA", "Answer", "Held", "Measured", "Presence", "Told", "answer"]
# Label sets one rule of an asked kind may hold for at once; of more, the worst are taken.
MOST_CASES = 1000
LONGEST_TEXT = 4000
log = structlog.get_logger(__name__)


def answer(
    rule: Rule,
    at: datetime,
    *,
    ask: asking.Ask = asking.instant,
    known: Callable[[], Collection[str]] | None = None,
    states: Callable[[], Iterable[RuleState]] | None = None,
    thresholds: ThresholdsOf = stored_thresholds,
    standings: StandingsOf = stored_standings,
    cases: Callable[[datetime], Sequence[Case]] | None = None,
) -> Answer:
    """Ask a rule; raises what its query or the owner of its kind raises.

    Whatever it depends on is an argument, so that a backtest asks the same way: `ask` answers its queries; `known` says
    which label sets it holds for already and `states` how they stand, as its rows do; `thresholds` are those of its
    dynamic rules, `standings` how the rules stand that a composite rule joins, and `cases` what the owner of its kind
    says.
    """
    if rule.kind == RuleKind.COMPOSITE:
        return Composed(rule, at, states=states, standings=standings)
    if rule.kind not in ASKED_KINDS.slots:
        return Measured(rule, at, ask, states=states, thresholds=thresholds)
    kind = ASKED_KINDS.get(rule.kind)
    if kind is None:
        raise LookupError(f"the app that answers rules of the kind {rule.kind} is not installed")
    told = cases(at) if cases else kind.ask(rule.spec, rule.window_seconds, at)
    return Told(rule, at, kind, told, known or (lambda: set(rule.states.values_list("fingerprint", flat=True))))


class Told:
    """The answer of a rule of a kind that an app above owns."""

    shows_at_once = True
    no_data = "unknown"
    graded = False
    complaint = ""

    def __init__(
        self, rule: Rule, at: datetime, kind: AskedKind, cases: Sequence[Case], known: Callable[[], Collection[str]]
    ) -> None:
        """Take what the owner says."""
        self._rule, self._at, self._kind = rule, at, kind
        self.held = _bounded([self._held(case) for case in cases], rule, known())

    @cached_property
    def threshold(self) -> float | None:
        """Return what the value is held against; the owner may have to look it up, and most ticks do not ask."""
        return self._kind.threshold(self._rule.spec)

    def _held(self, case: Case) -> Held:
        # The severity may worsen, so it is no part of what tells alerts apart.
        labels = {
            name: str(text) for name, text in {**case.labels, **self._rule.all_labels}.items() if name != "severity"
        }
        severity = severity_from(case.severity, Severity(self._rule.severity))
        return Held(
            fingerprint=fingerprint(self._rule.alertname, labels), labels=labels, value=case.value,
            severity=severity.value, told=case.evidence,
            annotations={name: str(text)[:LONGEST_TEXT] for name, text in case.annotations.items()},
        )  # fmt: skip

    def evidence(self, held: Held) -> dict[str, object]:
        """Return what the owner shows for the label set, and what was asked."""
        return {
            "facts": dict(held.told), "kind": self._rule.kind, "spec": self._rule.spec, "threshold": self.threshold,
            "window_seconds": self._rule.window_seconds, "evaluated_at": self._at.isoformat(),
        }  # fmt: skip

    def presence(self) -> Presence:
        """Say that a label set that is gone is over: stored events do not go missing."""
        told = self._kind.over_because
        because = partial(told, self._rule.spec, at=self._at) if told else None
        return Presence(True, None, self._kind.over, because)


def _bounded(rows: list[Held], rule: Rule, known: Collection[str]) -> list[Held]:
    """Return each label set once, with its worst case; of too many, those that run already and then the worst."""
    once: dict[str, Held] = {}
    for row in sorted(rows, key=lambda row: rank(row.severity), reverse=True):
        once[row.fingerprint] = row
    if len(once) <= MOST_CASES:
        return list(once.values())
    log.warning("rule.too_many", rule=rule.name, cases=len(once), taken=MOST_CASES)
    by_print = sorted(once.values(), key=attrgetter("fingerprint"))
    return sorted(by_print, key=lambda row: (row.fingerprint not in known, rank(row.severity)))[:MOST_CASES]
