"""Which severity a value has, where a rule has several thresholds, and recovers elsewhere than it fires."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import eq, ge, gt, le, lt, ne

from alerts.engine.severity import rank

MET: Mapping[str, Callable[[float, float], bool]] = {">": gt, "<": lt, ">=": ge, "<=": le, "==": eq, "!=": ne}
RISING, FALLING = frozenset({">", ">="}), frozenset({"<", "<="})


class BadLevels(ValueError):
    """Levels that contradict each other; `field` names the key at fault."""

    def __init__(self, field: str, message: str) -> None:
        """Keep the field for the form that shows the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class Level:
    """A severity, the value from which on it is meant, and the value beyond which it is left."""

    severity: str
    threshold: float
    recovery: float | None = None  # None: it is left where it was entered.


@dataclass(frozen=True, slots=True)
class Condition:
    """On which side of its thresholds a value is bad; the levels stand from the worst down."""

    operator: str
    levels: tuple[Level, ...]

    @property
    def remembers(self) -> bool:
        """Say whether the answer depends on how a label set stands already."""
        return any(level.recovery is not None for level in self.levels)

    def level_of(self, value: float, standing: str = "") -> Level | None:
        """Return the worst level that holds; `standing` is the severity at which it fires already, if it does."""
        return next((level for level in self.levels if self._holds(level, value, standing)), None)

    def _holds(self, level: Level, value: float, standing: str) -> bool:
        if MET[self.operator](value, level.threshold):
            return True
        if level.recovery is None or not standing or rank(standing) > rank(level.severity):
            return False
        # What is no number is beyond nothing: it is no recovery.
        over = value < level.recovery if self.operator in RISING else value > level.recovery
        return not over


def condition_of(operator: str, levels: tuple[Level, ...]) -> Condition:
    """Return the condition of levels in any order; raises BadLevels where they contradict each other."""
    ordered = tuple(sorted(levels, key=lambda level: rank(level.severity)))
    severities = [level.severity for level in ordered]
    twice = next((each for each in severities if severities.count(each) > 1), None)
    if twice is not None:
        raise BadLevels("levels", f"{twice} stands there twice; the rule's own severity counts as one.")
    if operator not in RISING | FALLING and (len(ordered) > 1 or any(level.recovery is not None for level in ordered)):
        field = "levels" if len(ordered) > 1 else "recovery_threshold"
        raise BadLevels(field, f"It needs a side to be worse on: use >, >=, < or <=, not {operator}.")
    for worse, milder in pairwise(ordered):
        _in_order(operator, worse, milder)
    for level in ordered:
        _recovers_on_the_good_side(operator, level)
    return Condition(operator, ordered)


def _in_order(operator: str, worse: Level, milder: Level) -> None:
    better = MET[">" if operator in RISING else "<"]
    if not better(worse.threshold, milder.threshold):
        side = "above" if operator in RISING else "below"
        raise BadLevels(
            "levels",
            f"{worse.severity} is worse than {milder.severity}, so its threshold is {side} {milder.threshold:g}, "
            f"not {worse.threshold:g}.",
        )


def _recovers_on_the_good_side(operator: str, level: Level) -> None:
    if level.recovery is None or not MET[operator](level.recovery, level.threshold):
        return
    side = "below" if operator in RISING else "above"
    raise BadLevels(
        "recovery_threshold",
        f"{level.severity} fires {operator} {level.threshold:g}: it recovers {side} that, not at {level.recovery:g}.",
    )
