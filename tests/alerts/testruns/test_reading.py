"""Reports in three forms, read into one; what cannot be taken says what to do."""

import json
from typing import Any

import pytest

from alerts.engine.testruns.junit import DEEPEST
from alerts.engine.testruns.names import matching, split_class, split_node
from alerts.engine.testruns.outcomes import BadReport, Outcome
from alerts.engine.testruns.reading import read_report

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="2" skipped="2" tests="8" time="4.5"
  timestamp="2026-11-21T16:00:00+00:00" hostname="h">
<testcase classname="tests.unit.test_a.TestOne" name="test_ok[1-2]" time="0.5"/>
<testcase classname="tests.unit.test_a" name="test_bad" time="0.25">
<failure message="assert 1 == 2">boom</failure></testcase>
<testcase classname="tests.unit.test_a" name="test_strict" time="0">
<failure message="[XPASS(strict)] known">x</failure></testcase>
<testcase classname="tests.unit.test_b" name="test_known" time="0">
<skipped type="pytest.xfail" message="later"/></testcase>
<testcase classname="tests.unit.test_b" name="test_later" time="0">
<skipped type="pytest.skip" message="later"/></testcase>
<testcase classname="tests.unit.test_b" name="test_setup" time="0">
<error message="failed on setup">no</error></testcase>
<testcase classname="tests.unit.test_b" name="test_both" time="0">
<failure message="a"/><error message="b"/></testcase>
<testcase classname="" name="tests.unit.test_evomerge" time="0">
<error message="collection failure">ImportError</error></testcase>
</testsuite></testsuites>"""
PYTEST: dict[str, Any] = {
    "created": 1_795_000_000.5, "duration": 4.5, "exitcode": 1, "summary": {},
    "tests": [
        {"nodeid": "tests/unit/test_a.py::TestOne::test_ok[1-2]", "outcome": "passed",
         "setup": {"duration": 0.25}, "call": {"duration": 0.25}},
        {"nodeid": "tests/unit/test_a.py::test_bad", "outcome": "failed"},
        {"nodeid": "tests/unit/test_a.py::test_strict", "outcome": "failed",
         "call": {"longrepr": "[XPASS(strict)] known"}},
        {"nodeid": "tests/unit/test_b.py::test_known", "outcome": "xfailed"},
        {"nodeid": "tests/unit/test_b.py::test_later", "outcome": "skipped"},
        {"nodeid": "tests/unit/test_b.py::test_setup", "outcome": "error"},
        {"nodeid": "tests/unit/test_b.py::test_both", "outcome": "error"},
    ],
    "collectors": [{"nodeid": "", "outcome": "passed"}, {"nodeid": "tests/unit/test_evomerge.py", "outcome": "failed"}],
}  # fmt: skip
SAME = {
    "tests.unit.test_a.TestOne.test_ok[1-2]": Outcome.PASSED, "tests.unit.test_a.test_bad": Outcome.FAILED,
    "tests.unit.test_a.test_strict": Outcome.XPASSED_STRICT, "tests.unit.test_b.test_known": Outcome.XFAILED,
    "tests.unit.test_b.test_later": Outcome.SKIPPED, "tests.unit.test_b.test_setup": Outcome.ERROR,
    "tests.unit.test_b.test_both": Outcome.ERROR, "tests.unit.test_evomerge": Outcome.COLLECTION_ERROR,
}  # fmt: skip


@pytest.mark.parametrize(("body", "form"), [(JUNIT.encode(), "junit"), (json.dumps(PYTEST).encode(), "pytest-json")])
def test_the_same_run_says_the_same_in_either_form(body: bytes, form: str) -> None:
    report = read_report(body)
    assert (report.form, dict(report.outcomes), report.duration_seconds) == (form, SAME, 4.5)
    assert report.counts.as_map() == {
        "total": 8, "passed": 1, "failed": 2, "skipped": 2, "errors": 3, "success_rate": pytest.approx(100 / 6),
    }  # fmt: skip
    assert {name: (counts.total, counts.success_rate) for name, counts in report.modules.items()} == {
        "tests.unit.test_a": (3, pytest.approx(100 / 3)), "tests.unit.test_b": (4, 0.0),
        "tests.unit.test_evomerge": (1, 0.0),
    }  # fmt: skip
    assert report.at is not None


def test_older_files_write_xfail_and_xpass() -> None:
    tests = [{"nodeid": "a.py::x", "outcome": "xfail"}, {"nodeid": "a.py::y", "outcome": "xpass"}]
    report = read_report(json.dumps({"tests": tests}).encode())
    assert list(report.outcomes.values()) == [Outcome.XFAILED, Outcome.XPASSED]
    assert (report.counts.passed, report.counts.skipped, report.counts.success_rate) == (1, 1, 100.0)


def test_skipped_tests_do_not_count_as_failed_and_an_empty_run_has_no_rate() -> None:
    tests = [
        {"nodeid": "a.py::x", "outcome": "passed"},
        *({"nodeid": f"a.py::s{i}", "outcome": "skipped"} for i in range(9)),
    ]
    assert read_report(json.dumps({"tests": tests}).encode()).counts.success_rate == 100.0
    assert read_report(b'{"tests": []}').counts.success_rate is None
    assert read_report(b"<testsuites><testsuite tests='0'/></testsuites>").counts.success_rate is None


def test_modules_of_the_same_file_name_are_two() -> None:
    tests = [
        {"nodeid": f"{part}/test_io.py::t", "outcome": outcome} for part, outcome in (("a", "passed"), ("b", "failed"))
    ]
    assert set(read_report(json.dumps({"tests": tests}).encode()).modules) == {"a.test_io", "b.test_io"}


def test_counts_alone_are_a_report_and_a_given_rate_is_used_as_it_is() -> None:
    given = {"success_rate": 97.5, "total_tests": 200, "failed": 10, "duration": 12.5,
             "modules": {"core": {"total": 4, "passed": 3, "errors": 1}}}  # fmt: skip
    report = read_report(json.dumps(given).encode())
    assert (report.form, report.counts.success_rate, report.counts.passed) == ("console-json", 97.5, 190)
    assert report.modules["core"].success_rate == 75.0
    assert read_report(b'{"total_tests": 4, "failed": 1}').counts.success_rate == 75.0
    assert read_report(b'{"total_tests": 4, "skipped": 4}').counts.success_rate is None


def test_a_report_of_several_suites_or_of_another_tool_is_read() -> None:
    report = read_report(
        b"<testsuites><testsuite name='a' time='1.5'><testcase classname='com.shop.CartTest' name='adds' time='0.5'/>"
        b"<testsuite name='in a' time='9'/></testsuite><testsuite name='b' time='1,000.5'><testcase name='alone'>"
        b"<system-out>" + b"x" * 100_000 + b"</system-out></testcase></testsuite></testsuites>"
    )
    assert report.outcomes == {"com.shop.CartTest.adds": Outcome.PASSED, "alone": Outcome.PASSED}
    assert (set(report.modules), report.duration_seconds) == ({"com.shop.CartTest", "(no module)"}, 1002.0)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">
<!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]>
<testsuites><testsuite name="&lol2;"/></testsuites>"""
OUTSIDE = b"""<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite><testcase name="&x;"/></testsuite>"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BOMB, "document type"), (OUTSIDE, "document type"), (b"<!DOCTYPE html><testsuite/>", "document type"),
        (b"<html><body/></html>", "no <testsuite>"), (b"<testsuite>", "not XML"), (b"", "empty"),
        (b"[1]", "JSON object"),
        (b"<testsuite><testcase name='&nope;'/></testsuite>", "not XML"), (b"plain", "neither XML nor JSON"),
        (b"<?xml version='1.0' encoding='klingon'?><testsuite/>", "XML"),
        (b"<testsuite>" * (DEEPEST + 1), "deeper"), (b'{"tests": [{"outcome": "passed"}]}', "nodeid"),
        (b'{"tests": [{"nodeid": "a", "outcome": "great"}]}', "outcome"),
        (b'{"tests": [], "collectors": 3}', "collectors"),
        (b'{"success_rate": 3}', "total_tests is missing"), (b'{"total_tests": 1, "color": 2}', "Unknown fields color"),
        (b'{"total_tests": -1}', "total_tests"), (b'{"total_tests": 1, "failed": 2}', "less than"),
        (b'{"total_tests": true}', "total_tests"), (b'{"total_tests": 1, "success_rate": 101}', "success_rate"),
        (b'{"total_tests": 1, "modules": {"a": {"color": 1}}}', "modules.a"),
        (b'{"total_tests": 1, "modules": {"a": 3}}', "modules.a"), (b'{"total_tests": 1, "duration": 1e999}', "JSON"),
        (b'{"tests": [], "created": "today"}', "created"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_says_why(body: bytes, said: str) -> None:
    with pytest.raises(BadReport, match=said):
        read_report(body)


def test_too_many_tests_or_modules_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("junit", "reading"):
        monkeypatch.setattr(f"alerts.engine.testruns.{place}.MOST_TESTS", 3)
    monkeypatch.setattr("alerts.engine.testruns.outcomes.MOST_MODULES", 1)
    with pytest.raises(BadReport, match="More than 3 tests"):
        read_report(JUNIT.encode())
    with pytest.raises(BadReport, match="at most 3"):
        read_report(json.dumps(PYTEST).encode())
    with pytest.raises(BadReport, match="2 modules"):
        read_report(json.dumps({"tests": [{"nodeid": f"{n}.py::t", "outcome": "passed"} for n in "ab"]}).encode())


@pytest.mark.parametrize(
    ("node_id", "module", "name"),
    [
        ("tests/a/test_x.py::TestY::test_z[p::q]", "tests.a.test_x", "tests.a.test_x.TestY.test_z[p::q]"),
        ("tests/a/test_x.py::TestY::()::test_z", "tests.a.test_x", "tests.a.test_x.TestY.test_z"),
        ("tests/a/test_x.py", "tests.a.test_x", "tests.a.test_x"), ("tests/a", "tests.a", "tests.a"),
        ("test_z", "test_z", "test_z"), ("", "(no module)", ""),
    ],
)  # fmt: skip
def test_a_node_id_names_its_module_by_the_full_dotted_path(node_id: str, module: str, name: str) -> None:
    assert split_node(node_id) == (module, name)


def test_a_file_says_which_part_of_a_class_name_is_the_module() -> None:
    assert split_class("pkg.checks.Some", "t", "pkg/checks.py") == ("pkg.checks", "pkg.checks.Some.t")
    assert split_class("pkg.test_checks.TestSome", "t") == ("pkg.test_checks", "pkg.test_checks.TestSome.t")


NAMES = ["tests.test_bit.TestQ.test_quant[a*b]", "tests.test_bit.TestQ.test_quant[c]", "tests.test_bit.test_quantise",
         "tests.evo.test_merge.test_one", "tests.evo.test_split.test_one"]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("tests/test_bit.py::TestQ::test_quant", NAMES[:2]), ("tests/test_bit.py::TestQ::test_quant[c]", NAMES[1:2]),
        ("tests/test_bit.py", NAMES[:3]), ("tests.evo", NAMES[3:]), ("tests/evo/*::test_one", NAMES[3:]),
        ("*merge*", NAMES[3:4]), ("test_quant", NAMES[:2]), ("tests/test_bi", []), ("", []),
        ("tests/test_bit.py::TestQ::test_quant[*]", NAMES[:2]),
    ],
)  # fmt: skip
def test_a_canary_names_tests_by_node_id_path_name_or_glob(pattern: str, found: list[str]) -> None:
    assert list(matching(pattern, NAMES)) == found
