"""Several severities in one rule, and a value at which it recovers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine.levels import BadLevels, Condition, Level, condition_of
from alerts.engine.severity import RANKS, rank

SEVERITIES = list(RANKS)
numbers = st.floats(-100, 100, allow_nan=False)


def severity(condition: Condition, value: float, standing: str = "") -> str:
    level = condition.level_of(value, standing)
    return level.severity if level else ""


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Draw levels that do not contradict each other."""
    operator = draw(st.sampled_from([">", ">=", "<", "<="]))
    chosen = draw(st.lists(st.sampled_from(SEVERITIES), min_size=1, max_size=4, unique=True))
    limits = sorted(draw(st.lists(numbers, min_size=len(chosen), max_size=len(chosen), unique=True)))
    limits = limits[::-1] if operator[0] == ">" else limits
    away = -1 if operator[0] == ">" else 1
    levels = [
        Level(name, limit, draw(st.none() | st.floats(0.5, 50).map(lambda by, limit=limit: limit + away * by)))
        for name, limit in zip(sorted(chosen, key=rank), limits, strict=True)
    ]
    return condition_of(operator, tuple(draw(st.permutations(levels))))


def test_it_fires_above_ninety_and_recovers_only_below_eighty() -> None:
    condition = condition_of(">", (Level("high", 90, 80),))
    seen, standing = [], ""
    for value in (85, 91, 85, 80, 79.9, 85, 90, 90.1, 70):
        standing = severity(condition, value, standing)
        seen.append(bool(standing))
    assert seen == [False, True, True, True, False, False, False, True, False]


def test_each_level_is_left_where_it_says() -> None:
    condition = condition_of(">=", (Level("medium", 80, 70), Level("critical", 95, 90), Level("high", 85)))
    assert [severity(condition, value, "critical") for value in (96, 92, 90, 89, 84, 75, 69)] == [
        "critical", "critical", "critical", "high", "medium", "medium", "",
    ]  # fmt: skip
    assert severity(condition, 75, "medium") == "medium"
    assert severity(condition, 92, "medium") == "high"


def test_below_is_the_mirror_image() -> None:
    condition = condition_of("<", (Level("high", 10, 20),))
    assert [severity(condition, value, "high") for value in (9, 15, 20, 20.1)] == ["high", "high", "high", ""]


def test_what_is_no_number_neither_fires_nor_recovers() -> None:
    condition = condition_of(">", (Level("high", 90, 80),))
    assert severity(condition, float("nan")) == ""
    assert severity(condition, float("nan"), "high") == "high"
    assert severity(condition_of(">", (Level("high", 90),)), float("nan"), "high") == ""


@given(conditions(), numbers)
def test_without_a_past_the_worst_threshold_that_is_met_holds(condition: Condition, value: float) -> None:
    def met(limit: float) -> bool:
        return {">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}[condition.operator]

    worst = next((level.severity for level in condition.levels if met(level.threshold)), "")
    assert severity(condition, value) == worst


@given(conditions(), numbers, st.sampled_from(["", *SEVERITIES]))
def test_a_past_never_makes_it_milder_nor_worse_than_it_was(condition: Condition, value: float, standing: str) -> None:
    fresh, found = severity(condition, value), severity(condition, value, standing)
    assert rank(found or "none") <= rank(fresh or "none")
    if found != fresh:
        assert standing
        assert rank(found) >= rank(standing)


@given(conditions(), st.lists(numbers, max_size=30))
def test_a_level_is_left_only_beyond_its_recovery(condition: Condition, values: list[float]) -> None:
    standing = ""
    for value in values:
        after = severity(condition, value, standing)
        if standing and rank(after or "none") > rank(standing):
            left = next(level for level in condition.levels if level.severity == standing)
            limit = left.threshold if left.recovery is None else left.recovery
            assert value <= limit if condition.operator[0] == ">" else value >= limit
        standing = after


@given(conditions(), numbers, st.sampled_from(["", *SEVERITIES]))
def test_a_worse_value_is_never_a_milder_level(condition: Condition, value: float, standing: str) -> None:
    worse = value + 7 if condition.operator[0] == ">" else value - 7
    assert rank(severity(condition, worse, standing) or "none") <= rank(severity(condition, value, standing) or "none")


@pytest.mark.parametrize(
    ("operator", "levels", "field", "text"),
    [
        (">", [Level("high", 90), Level("high", 95)], "levels", "high stands there twice"),
        (">", [Level("high", 90), Level("critical", 85)], "levels", "its threshold is above 90, not 85"),
        ("<", [Level("high", 10), Level("critical", 15)], "levels", "below 10"),
        ("==", [Level("high", 1), Level("low", 2)], "levels", "a side to be worse on"),
        ("!=", [Level("high", 1, 2)], "recovery_threshold", "a side to be worse on"),
        (">", [Level("high", 90, 95)], "recovery_threshold", "it recovers below that, not at 95"),
        ("<=", [Level("high", 10, 10)], "recovery_threshold", "above"),
    ],
)
def test_levels_that_contradict_each_other_are_refused(
    operator: str, levels: list[Level], field: str, text: str
) -> None:
    with pytest.raises(BadLevels, match=text.replace("(", "\\(")) as caught:
        condition_of(operator, tuple(levels))
    assert caught.value.field == field
