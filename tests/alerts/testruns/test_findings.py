"""The six categories by their definitions, each at its edges."""

import random
from statistics import linear_regression
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.engine.testruns.canaries import Canary, Change, Expected, change_of, status_of
from alerts.engine.testruns.findings import (
    Category,
    Finding,
    Limits,
    Run,
    canary,
    findings,
    flaky_tests,
    module_degradation,
    performance,
    slope_of,
    success_rate,
    trend,
)
from alerts.engine.testruns.flips import RUNS_KEPT, flipping, histories_after, varying
from alerts.engine.testruns.outcomes import Outcome
from alerts.engine.testruns.summary import Direction, band, direction, hot_issues

USUAL = Limits()


def rated(*rates: float | None) -> list[Run]:
    return [Run(rate) for rate in rates]


@pytest.mark.parametrize(
    ("rates", "severity"),
    [
        ((95.0,), ""), ((94.999,), "medium"), ((90.0,), "medium"), ((89.9,), "high"), ((80.0,), "high"),
        ((79.9,), "critical"), ((100, 94, 94), "medium"), ((94, 94, 94), "critical"), ((94, 95, 94), "medium"),
        ((94, 94, 95), ""), ((94, 94, None, 94), "critical"), ((94, None), "medium"), ((None,), ""), ((), ""),
        ((0.0,), "critical"),
    ],
)  # fmt: skip
def test_a_low_success_rate(rates: tuple[float | None, ...], severity: str) -> None:
    found = success_rate(rated(*rates), USUAL)
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_runs_in_a_row_and_threshold_are_settings() -> None:
    strict = Limits(success_rate=99, consecutive_failures=2)
    assert [one.severity for one in success_rate(rated(98, 98), strict)] == ["critical"]
    assert success_rate(rated(98, 99), strict) == []


def timed(*means: float | None) -> list[Run]:
    return [Run(100, 10, mean * 10 if mean is not None else None) for mean in means]


@pytest.mark.parametrize(
    ("means", "factor"),
    [
        ((1, 1, 1, 1, 1, 1.5), None), ((1, 1, 1, 1, 1, 1.51), 1.51), ((1.0,), None), ((1, 2), 2.0),
        # The run itself and what is older than five runs are no part of the baseline.
        ((100, 1, 1, 1, 1, 1, 2), 2.0), ((1, None, 1, 3), 3.0), ((1, None), None), ((0, 1), None),
    ],
)  # fmt: skip
def test_tests_that_take_longer(means: tuple[float | None, ...], factor: float | None) -> None:
    found = performance(timed(*means), USUAL)
    assert [one.severity for one in found] == (["medium"] if factor else [])
    assert all(one.value == one.evidence["slowdown_factor"] == pytest.approx(factor) for one in found)


def test_skipped_tests_take_no_time() -> None:
    before, now = Run(100, 10, 10.0), Run(100, 2, 2.0)
    assert performance([before, now], USUAL) == []


@pytest.mark.parametrize(
    ("total", "rate", "severity"),
    [(3, 69.9, "medium"), (3, 70.0, ""), (2, 0.0, ""), (3, 50.0, "medium"), (3, 49.9, "high"), (3, None, "")],
)
def test_a_module_of_which_too_few_pass(total: int, rate: float | None, severity: str) -> None:
    runs = [Run(99, modules={"a.b": {"total": total, "success_rate": rate}, "ok": {"total": 9, "success_rate": 100.0}})]
    found = module_degradation(runs, USUAL)
    assert [(one.severity, one.labels) for one in found] == ([(severity, {"module": "a.b"})] if severity else [])
    assert module_degradation([], USUAL) == []


def story(signs: str) -> dict[str, str]:
    histories: dict[str, str] = {}
    meant = {"p": Outcome.PASSED, "f": Outcome.FAILED, "e": Outcome.ERROR, "s": Outcome.SKIPPED, "x": Outcome.XFAILED}
    for sign in signs:
        histories = histories_after(histories, {"t": meant[sign]} if sign in meant else {})
    return histories


@pytest.mark.parametrize(
    ("signs", "flips", "runs"),
    [
        ("pfpfpfpfpf", 9, 10), ("ppppppppppf", 1, 11), ("pfpfpfpfp", None, None), ("pppppppppp", None, None),
        ("ffffffffff", None, None), ("psspxxfpppppppp", 2, 11), ("pepepepepe", 9, 10), ("p-f-p-f-p-f-p-f-p-f", 9, 10),
        ("fefefefefe", None, None),
    ],
)  # fmt: skip
def test_flips_are_counted_between_runs_in_which_the_test_was_tried(
    signs: str, flips: int | None, runs: int | None
) -> None:
    found = flipping(story(signs))
    assert [(one.flips, one.runs) for one in found] == ([(flips, runs)] if flips else [])
    assert all(one.share == one.flips / (one.runs - 1) for one in found)


def test_a_test_that_is_gone_from_all_kept_runs_is_forgotten_and_no_story_grows_for_ever() -> None:
    histories = histories_after({}, {"old": Outcome.PASSED})
    for _ in range(RUNS_KEPT - 1):
        histories = histories_after(histories, {"new": Outcome.FAILED})
    assert set(histories) == {"old", "new"}
    histories = histories_after(histories, {"new": Outcome.PASSED})
    assert {name: len(signs) for name, signs in histories.items()} == {"new": RUNS_KEPT}


def flips_of(histories: dict[str, str]) -> list[dict[str, Any]]:
    return [{"test": one.name, "flips": one.flips, "runs": one.runs, "share": one.share} for one in flipping(histories)]


def test_flaky_tests_are_those_above_the_share_and_are_told_together() -> None:
    steady = {"calm": "pppppfpppppp", "edge": "ppfppppppppp"[:11], "wild": "pfpfpfpfpf", "wilder": "fpfpfpfpfpf"}
    found = flaky_tests([Run(90, flips=flips_of(steady))], USUAL)
    assert [(one.severity, one.value, len(one.evidence["tests"])) for one in found] == [("medium", 1.0, 2)]
    assert "and 1 more test" in found[0].summary
    exactly = {"edge": "pfppppppppp"}
    assert flips_of(exactly)[0]["share"] == 0.2
    assert flaky_tests([Run(90, flips=flips_of(exactly))], USUAL) == []
    assert flaky_tests([], USUAL) == []


def test_without_single_tests_modules_whose_rates_vary_stand_in() -> None:
    runs = [{"wild": rate, "whole": 100.0, "none": 0.0, "calm": 90.0} for rate in (20.0, 100.0) * 5]
    found = varying(runs)
    assert found == [("wild", pytest.approx(40 / 60)), ("calm", 0.0)]
    assert varying(runs[:9]) == []
    variation = [{"module": name, "variation": share} for name, share in found]
    [told] = flaky_tests([Run(90, variation=variation)], USUAL)
    assert told.value == pytest.approx(0.667, abs=1e-3)
    assert (told.evidence["by"], len(told.evidence["modules"])) == ("variation", 1)
    assert flaky_tests([Run(90, variation=variation[1:])], USUAL) == []


@pytest.mark.parametrize(
    ("rates", "severity"),
    [
        ((100, 95, 90, 85, 79), "high"), ((100, 97, 94, 91, 88), "medium"), ((100, 98, 96, 94, 92), ""),
        ((100, 98, 96, 94), ""), ((100, 90, 80, 70), ""), ((80, 85, 90, 95, 100), ""), ((50,) * 8, ""),
        # Fourteen points lower on the line, yet no lower at its end than ten.
        ((99, 100, 92, 90, 91), "low"), ((100, None, 97, 94, None, 91, 88), "medium"),
    ],
)  # fmt: skip
def test_a_falling_rate(rates: tuple[float | None, ...], severity: str) -> None:
    assert [one.severity for one in trend(rated(*rates), USUAL)] == ([severity] if severity else [])


def test_a_trend_is_drawn_through_the_last_runs_only() -> None:
    fell_long_ago = rated(*[100] * 5, *[50] * 10)
    assert trend(fell_long_ago, USUAL) == []
    assert [one.severity for one in trend(fell_long_ago, Limits(trend_runs=15))] == ["high"]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.floats(0, 100), min_size=2, max_size=40))
def test_the_slope_is_that_of_least_squares(values: list[float]) -> None:
    assert slope_of(values) == pytest.approx(linear_regression(range(len(values)), values).slope, abs=1e-9)


def bird(expected: Expected, threshold: int = 1) -> Canary:
    return Canary("1", "BitNet", "tests/test_bit.py", expected, threshold)


@pytest.mark.parametrize(
    ("expected", "statuses", "threshold", "change"),
    [
        ("xfail", ["xfailed"], 1, Change.NONE), ("xfail", ["passed"], 1, Change.MENDED),
        ("xfail", ["xfailed", "passed", "passed"], 1, Change.MENDED),
        ("collection_error", ["collection_error", "passed"], 1, Change.MENDED),
        ("collection_error", ["collection_error"], 1, Change.NONE),
        ("collection_error", ["passed", "collection_error"], 1, Change.NONE),
        ("xfail", ["passed", "failed"], 1, Change.BROKEN), ("xfail", ["passed", "error"], 1, Change.BROKEN),
        ("xfail", ["passed", "failed"], 2, Change.NONE), ("xfail", ["passed", "failed", "failed"], 2, Change.BROKEN),
        ("skip", ["skipped"], 1, Change.NONE), ("skip", ["passed"], 1, Change.OTHER),
        ("skip", ["passed", "failed"], 1, Change.BROKEN), ("fail", ["failed"], 1, Change.NONE),
        ("fail", ["error"], 1, Change.NONE), ("fail", ["passed"], 1, Change.OTHER),
        ("fail", ["passed", "failed"], 1, Change.NONE), ("xfail", ["failed"], 1, Change.OTHER),
        ("xfail", ["xfailed", "failed"], 1, Change.OTHER), ("xfail", ["missing", "missing"], 1, Change.NONE),
        ("xfail", ["xfailed", "missing"], 1, Change.OTHER),
        ("xfail", [], 1, Change.NONE), ("xfail", ["passed", "missing"], 1, Change.OTHER),
    ],
)  # fmt: skip
def test_a_canary_tells_what_changed(expected: str, statuses: list[str], threshold: int, change: Change) -> None:
    assert change_of(bird(Expected(expected), threshold), statuses) is change


def test_severities_of_canaries() -> None:
    def told(expected: Expected, *statuses: str) -> list[Finding]:
        return canary([Run(99, canaries={"1": status}) for status in statuses], USUAL, [bird(expected)])

    assert [one.severity for one in told(Expected.XFAIL, "passed")] == ["critical"]
    assert [one.severity for one in told(Expected.XFAIL, "passed", "failed")] == ["medium"]
    assert [one.severity for one in told(Expected.SKIP, "passed")] == ["low"]
    assert told(Expected.XFAIL, "xfailed") == []
    assert told(Expected.XFAIL, "passed")[0].labels == {"canary": "BitNet"}
    assert canary([Run(99)], USUAL, [bird(Expected.XFAIL)]) == [], "no run has told of it"


@pytest.mark.parametrize(
    ("expected", "outcomes", "status"),
    [
        ("xfail", {"a": Outcome.XFAILED}, "xfailed"), ("xfail", {"a": Outcome.XFAILED, "b": Outcome.XPASSED}, "passed"),
        ("xfail", {"a": Outcome.XPASSED_STRICT}, "passed"),
        ("skip", {"a": Outcome.SKIPPED, "b": Outcome.FAILED}, "failed"),
        ("fail", {"a": Outcome.PASSED, "b": Outcome.FAILED}, "failed"),
        ("collection_error", {"": Outcome.COLLECTION_ERROR}, "collection_error"),
        ("collection_error", {"a": Outcome.PASSED, "b": Outcome.FAILED}, "passed"), ("xfail", {}, "missing"),
    ],
)  # fmt: skip
def test_the_status_of_a_canary_is_that_of_its_tests(expected: str, outcomes: dict[str, Outcome], status: str) -> None:
    named = {f"tests.test_bit{'.' if name else ''}{name}": outcome for name, outcome in outcomes.items()}
    assert status_of(bird(Expected(expected)), {**named, "tests.other.t": Outcome.ERROR}) == status


def test_no_category_minds_an_empty_story() -> None:
    assert findings(list(Category), [], USUAL, [bird(Expected.XFAIL)]) == []
    assert findings(list(Category), [Run(None)], USUAL) == []


@pytest.mark.parametrize(
    ("rate", "rows", "modules"),
    [(95.0, "ok", "ok"), (94.9, "warning", "warning"), (85.0, "warning", "warning"), (84.9, "bad", "warning"),
     (80.0, "bad", "warning"), (79.9, "bad", "bad"), (None, "unknown", "unknown")],
)  # fmt: skip
def test_bands(rate: float | None, rows: str, modules: str) -> None:
    assert (band(rate), band(rate, module=True)) == (rows, modules)


@pytest.mark.parametrize(
    ("rates", "where", "change"),
    [
        ([90, 90, 95], Direction.BETTER, 5), ([95, 90, 90], Direction.WORSE, -5),
        ([90, 90, 94.9], Direction.STEADY, 4.9),
        ([1, 2], Direction.UNKNOWN, None), ([50, 0, 50, 9, 9, 9, 60, 100, 60], Direction.BETTER, 10),
    ],
)  # fmt: skip
def test_direction_compares_the_medians_of_the_first_and_the_last_third(
    rates: list[float], where: Direction, change: float | None
) -> None:
    assert direction(rates) == (where, pytest.approx(change) if change is not None else None)


def test_hot_issues_are_modules_that_are_low_or_fall_three_runs_long_the_lowest_first() -> None:
    def run(**rates: float | None) -> dict[str, dict[str, Any]]:
        return {name: {"success_rate": rate} for name, rate in rates.items()}

    runs = [run(low=70, falls=99, calm=90, dips=95), run(low=75, falls=95, calm=90, dips=90),
            run(low=79.9, falls=90, calm=90, dips=90, unknown=None)]  # fmt: skip
    assert [(one.module, one.because) for one in hot_issues(runs)] == [
        ("low", "below 80 %"), ("falls", "falling for 3 runs, from 99.0 %"),
    ]  # fmt: skip
    many = run(**{f"m{i}": random.uniform(0, 70) for i in range(9)})
    assert len(hot_issues([many])) == 5
    assert hot_issues([]) == []
