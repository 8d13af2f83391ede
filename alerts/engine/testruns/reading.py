"""Reads a report in any of its three forms, told apart by what it holds."""

from collections.abc import Mapping
from typing import Any

import orjson

from alerts.engine.testruns.junit import LONGEST_SECONDS, read_junit
from alerts.engine.testruns.names import split_node
from alerts.engine.testruns.outcomes import (
    LONGEST_NAME,
    MOST_MODULES,
    MOST_TESTS,
    BadReport,
    Counts,
    Outcome,
    Report,
    TestCase,
    number,
    report_of,
)

PYTEST_OUTCOMES = {
    "passed": Outcome.PASSED, "failed": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED,
    "xfailed": Outcome.XFAILED, "xpassed": Outcome.XPASSED, "xfail": Outcome.XFAILED, "xpass": Outcome.XPASSED,
}  # fmt: skip
STRICT = "[XPASS(strict)]"
MOST_COUNTED = 10_000_000
FIELDS = frozenset({
    "success_rate", "total_tests", "passed", "failed", "skipped", "errors", "duration", "modules", "timestamp",
})  # fmt: skip
MODULE_FIELDS = frozenset({"total", "passed", "failed", "skipped", "errors", "success_rate"})
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_report(body: bytes) -> Report:
    """Return what a report says; raises BadReport with what to do about it."""
    text = body.removeprefix(BYTE_ORDER_MARK).lstrip()
    if not text:
        raise BadReport("The body is empty: send JUnit XML, a pytest JSON report or the console's own JSON.")
    if text.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        return read_junit(body)
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadReport(f"The body is neither XML nor JSON in UTF-8: {error}.") from None
    if not isinstance(given, Mapping):
        raise BadReport("The body must be a JSON object.")
    return _pytest(given) if isinstance(given.get("tests"), list) else _own(given)


def _pytest(given: Mapping[str, Any]) -> Report:
    """Read what pytest's JSON report plug-in writes."""
    tests, collectors = given["tests"], given.get("collectors") or []
    if not isinstance(collectors, list):
        raise BadReport("collectors is no list.")
    if len(tests) > MOST_TESTS:
        raise BadReport(f"{len(tests)} tests, at most {MOST_TESTS} are taken: send a report per part.")
    cases = [_pytest_case(place, test) for place, test in enumerate(tests)]
    broken = [each for each in collectors if isinstance(each, Mapping) and each.get("outcome") in ("failed", "error")]
    for each in broken[:MOST_TESTS]:
        module, name = split_node(str(each.get("nodeid") or ""))
        cases.append(TestCase(name or module, module, Outcome.COLLECTION_ERROR))
    created, duration = given.get("created"), given.get("duration")
    return report_of(
        "pytest-json", cases, at=number(created, "created", 1e11) if created is not None else None,
        duration_seconds=number(duration, "duration", LONGEST_SECONDS) if duration is not None else None,
    )  # fmt: skip


def _pytest_case(place: int, test: Any) -> TestCase:
    if not isinstance(test, Mapping) or not isinstance(test.get("nodeid"), str) or not test["nodeid"]:
        raise BadReport(f"tests[{place}] has no nodeid.")
    outcome = PYTEST_OUTCOMES.get(str(test.get("outcome")))
    if outcome is None:
        raise BadReport(f"tests[{place}].outcome is {str(test.get('outcome'))[:40]!r}, none of {[*PYTEST_OUTCOMES]}.")
    stages = [test.get(stage) for stage in ("setup", "call", "teardown")]
    known = [stage for stage in stages if isinstance(stage, Mapping)]
    if outcome is Outcome.FAILED and any(STRICT in str(stage.get("longrepr", ""))[:2000] for stage in known):
        outcome = Outcome.XPASSED_STRICT
    took = [stage["duration"] for stage in known if isinstance(stage.get("duration"), int | float)]
    module, name = split_node(test["nodeid"])
    return TestCase(name, module, outcome, sum(took) if took else None)


def _own(given: Mapping[str, Any]) -> Report:
    """Read the console's own JSON: counts, by module where they are told."""
    unknown = sorted(set(given) - FIELDS)
    if unknown:
        raise BadReport(f"Unknown fields {', '.join(unknown)[:200]}; known are {', '.join(sorted(FIELDS))}.")
    if "total_tests" not in given:
        raise BadReport("total_tests is missing. A pytest JSON report has a list `tests`; JUnit XML begins with <.")
    modules = given.get("modules") or {}
    if not isinstance(modules, Mapping) or len(modules) > MOST_MODULES:
        raise BadReport(f"modules is an object of at most {MOST_MODULES} names.")
    duration, at = given.get("duration"), given.get("timestamp")
    return Report(
        "console-json", _counts(given, "total_tests", ""),
        {name[:LONGEST_NAME]: _module(name, each) for name, each in modules.items()},
        duration_seconds=number(duration, "duration", LONGEST_SECONDS) if duration is not None else None,
        at=number(at, "timestamp", 1e11) if at is not None else None,
    )  # fmt: skip


def _module(name: str, given: Any) -> Counts:
    if not isinstance(given, Mapping) or set(given) - MODULE_FIELDS or not name:
        raise BadReport(f"modules.{name[:60]}: an object of {', '.join(sorted(MODULE_FIELDS))}.")
    return _counts(given, "total", f"modules.{name[:60]}.")


def _counts(given: Mapping[str, Any], total_field: str, where: str) -> Counts:
    names = (total_field, "passed", "failed", "skipped", "errors")
    told = {name: int(number(given[name], where + name, MOST_COUNTED)) for name in names if given.get(name) is not None}
    rate = given.get("success_rate")
    rate = float(number(rate, where + "success_rate", 100)) if rate is not None else None
    failed, skipped, errors = told.get("failed", 0), told.get("skipped", 0), told.get("errors", 0)
    total = told.get(total_field, told.get("passed", 0) + failed + skipped + errors)
    passed = told.get("passed", total - failed - skipped - errors)
    if passed < 0 or passed + failed + skipped + errors > total:
        raise BadReport(f"{where}{total_field} is {total}, less than the counts that are part of it.")
    return Counts(total, passed, failed, skipped, errors, rate)
