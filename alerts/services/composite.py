"""The answer of a rule that joins other rules: what follows from how they stand."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from alerts.engine import composite as engine
from alerts.engine.composite import Component, Found, Standing
from alerts.engine.fingerprint import fingerprint
from alerts.engine.states import RuleStateName
from alerts.models import Rule, RuleState
from alerts.models.rules import RuleHealth
from alerts.rules.texts import labels_of, surroundings
from alerts.services.held import FOLLOWS, Held, Presence

# How rules stand at a time, by name; one that is missing is no rule.
StandingsOf = Callable[[Iterable[str], datetime], Mapping[str, Component]]
OVER = "the rules it joins no longer say so"
WORDS = {True: "fires", False: "does not fire", None: "cannot be told"}
MOST_SHOWN = 10


def stored_standings(names: Iterable[str], _at: datetime) -> dict[str, Component]:
    """Return how rules stand now, as their evaluations left it."""
    rules = {rule.name: rule for rule in Rule.objects.filter(name__in=list(names)).select_related("group")}
    fired = RuleState.objects.filter(rule__in=rules.values(), fired_at__isnull=False).order_by("id")
    found: dict[str, list[Standing]] = {name: [] for name in rules}
    for state in fired.select_related("rule"):
        lost = state.state == RuleStateName.UNKNOWN or not state.rule.group.enabled
        found[state.rule.name].append(Standing({"severity": state.severity, **state.labels}, None if lost else True))
    return {name: Component(found[name], _known(rule)) for name, rule in rules.items()}


def _known(rule: Rule) -> bool:
    """Say whether a rule was evaluated, so that silence means that it does not fire; one switched off is silent."""
    if not rule.enabled:
        return True
    return rule.health != RuleHealth.NEVER and not rule.failed_evaluations


class Composed:
    """What a composite rule says at one time."""

    shows_at_once = True
    threshold: float | None = None
    no_data = FOLLOWS
    graded = False

    def __init__(
        self,
        rule: Rule,
        at: datetime,
        *,
        states: Callable[[], Iterable[RuleState]] | None = None,
        standings: StandingsOf = stored_standings,
    ) -> None:
        """Look how the rules stand; raises LookupError where one is gone."""
        self._rule, self._at, self._around = rule, at, surroundings(at)
        expression = engine.parse(str(rule.spec.get("expression", "")))
        names = engine.names_in(expression)
        on = tuple(rule.spec.get("on") or ())
        self._rules = standings(names, at)
        # A label set that fires is looked at even where nothing else has its labels any more.
        running = [{name: state.labels.get(name, "") for name in on} for state in (states or rule.states.all)()]
        found = engine.found(expression, self._rules, on, also=running)
        self.held = [self._held(one) for one in found if one.truth]
        self._lost = frozenset(self._held(one).fingerprint for one in found if one.truth is None)
        self.complaint = self._unknown(names) if self._lost else ""
        limit = rule.group.limit
        if 0 < limit < len(self.held):
            raise ValueError(f"exceeded limit of {limit} with {len(self.held)} alerts")

    def _unknown(self, names: list[str]) -> str:
        lost = [name for name in names if self._rules[name].truth({}) is None]
        return f"cannot be told, because of {', '.join(lost) or 'a rule whose data stopped coming'}"

    def _held(self, one: Found) -> Held:
        own = labels_of(self._rule, one.labels, None, self._around)
        labels = {name: text for name, text in {**one.labels, **own}.items() if text and name != "alertname"}
        labels["severity"] = self._rule.severity
        parts = [
            {"rule": name, "says": WORDS[truth], "truth": truth,
             "alerts": [dict(each.labels) for each in self._rules[name].matching(one.labels)[:MOST_SHOWN]]}
            for name, truth in one.parts.items()
        ]  # fmt: skip
        return Held(
            fingerprint=fingerprint(self._rule.alertname, labels), labels=labels, value=None,
            severity=self._rule.severity, found=one.labels,
            told={"expression": self._rule.spec.get("expression", ""), "parts": parts},
        )  # fmt: skip

    def evidence(self, held: Held) -> dict[str, object]:
        """Return how each rule stood."""
        return {"facts": dict(held.told), "kind": self._rule.kind, "evaluated_at": self._at.isoformat()}

    def presence(self) -> Presence:
        """Say that a label set is over unless a rule it hangs on cannot be told."""
        return Presence(True, None, OVER, lost=self._lost)
