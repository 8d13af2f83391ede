"""`manage.py rules test` and `rules check`, over own files and over the corpora."""

import os
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

CORPORA = Path(os.environ.get("CORPORA_DIR") or settings.BASE_DIR.parent / "shared" / "data")
MIXIN, PROMTOOL, KUBE = CORPORA / "kubernetes-mixin-tests", CORPORA / "promtool-testdata", CORPORA / "kube-prometheus"
RULES = "groups: [{name: g, rules: [{alert: A, expr: m > 0}, {record: r, expr: m}]}]\n"
TESTS = """
rule_files: ['*.rules.yml', missing.yml]
tests:
  - name: good
    input_series: [{series: m, values: 1}]
    alert_rule_test: [{eval_time: 0, alertname: A, exp_alerts: [{}]}]
  - name: bad
    promql_expr_test: [{expr: r, eval_time: 0, exp_samples: [{value: 1}]}]
"""


def run(*words: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    try:
        call_command("rules", *words, stdout=out, stderr=err)
    except SystemExit as left:
        return int(str(left.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.rules.yml").write_text(RULES)
    (tmp_path / "tests.yml").write_text(TESTS)
    return tmp_path


def test_files_are_found_beside_the_test_file_and_the_last_line_counts(folder: Path) -> None:
    code, out, err = run("test", str(folder / "tests.yml"))
    assert code == 1
    assert f"{folder}/tests.yml: FAILED (1 of 2)" in out
    assert "exp: {} 1E+00\n        got: nil" in out
    assert out.splitlines()[-1] == "passed 1 of 2"
    assert "no file matches missing.yml" in err


def test_tests_are_chosen_by_name(folder: Path) -> None:
    code, out, _ = run("test", "--run", "goo", str(folder / "tests.yml"))
    assert (code, out.splitlines()[-1]) == (0, "passed 1 of 1")


def test_a_bad_pattern_and_a_missing_file_are_said(folder: Path) -> None:
    with pytest.raises(CommandError, match="is no regular expression"):
        run("test", "--run", "(", str(folder / "tests.yml"))
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        run("test", str(folder / "none.yml"))
    with pytest.raises(CommandError, match="telepathy is not known"):
        run("check", "--enable-feature", "telepathy", str(folder / "a.rules.yml"))


def test_a_test_file_that_cannot_be_read_fails_with_its_line(folder: Path) -> None:
    (folder / "bad.yml").write_text("tests:\n  - intervall: 1m\n")
    code, out, _ = run("test", str(folder / "bad.yml"))
    assert code == 1
    assert "bad.yml: 2:5: field intervall not found in a test" in out


def test_rules_are_checked_with_file_and_line(folder: Path) -> None:
    (folder / "bad.yml").write_text("groups:\n  - name: g\n    rules: [{alert: A, expr: 'm +'}]\n")
    (folder / "twice.yml").write_text("groups: [{name: g, rules: [{alert: A, expr: 1}, {alert: A, expr: 2}]}]\n")
    code, out, _ = run("check", str(folder / "a.rules.yml"), str(folder / "bad.yml"))
    assert code == 1
    assert "SUCCESS: 2 rules found" in out
    assert f'{folder}/bad.yml: 3:30: group "g", rule 1, "A": could not parse expression: 1:4: parse error' in out
    assert run("check", str(folder / "twice.yml"))[0] == 0
    code, out, _ = run("check", "--lint-fatal", str(folder / "twice.yml"))
    assert code == 3
    assert "1 duplicate rule(s) found" in out


@pytest.mark.skipif(not MIXIN.exists(), reason="CORPORA_DIR has no kubernetes-mixin-tests")
def test_the_kubernetes_mixin_agrees() -> None:
    code, out, _ = run("test", *map(str, sorted(MIXIN.glob("tests/*.yaml"))))
    assert code == 0, out
    assert out.splitlines()[-1] == "passed 52 of 52"


# The tests named "wrong …" of two files are meant to fail: a whole file with such a test fails.
VERDICTS = {
    "at-modifier-test.yml": 0,
    "negative-offset-test.yml": 0,
    "long-period.yml": 0,
    "unittest.yml": 0,
    "no-test-group-interval.yml": 0,
    "start-time-test.yml": 0,
    "rules_run_no_fuzzy.yml": 1,
    "failing.yml": 1,
    "bad-input-series.yml": 1,
    "bad-promql.yml": 1,
    "bad-rules-error-test.yml": 1,
    "bad-rules-syntax-test.yml": 1,
}
LOADED = {
    "rules.yml": 0,
    "at-modifier.yml": 0,
    "negative-offset.yml": 0,
    "rules_duplicates.yml": 0,
    "features.yml": 1,
    "prometheus-rules.lint.yml": 0,
    "bad-rules-error.yml": 0,
    "rules-bad.yml": 1,
    "bad-rules-syntax.yml": 1,
    "rules_extrafields.yml": 1,
    "rules-fixtures/invalid_rules.yaml": 1,
    "rules-fixtures/rules_multi_doc.yaml": 0,
}


@pytest.mark.skipif(not PROMTOOL.exists(), reason="CORPORA_DIR has no promtool-testdata")
@pytest.mark.parametrize(("name", "code"), VERDICTS.items())
def test_verdicts_are_those_of_the_current_tool(name: str, code: int) -> None:
    assert run("test", str(PROMTOOL / name))[0] == code


@pytest.mark.skipif(not PROMTOOL.exists(), reason="CORPORA_DIR has no promtool-testdata")
@pytest.mark.parametrize(
    ("name", "chosen", "code"),
    [("rules_run.yml", "correct", 0), ("rules_run.yml", "wrong", 1), ("rules_run_fuzzy.yml", "correct", 0)],
)
def test_named_tests_have_their_own_verdict(name: str, chosen: str, code: int) -> None:
    assert run("test", "--run", chosen, str(PROMTOOL / name))[0] == code


@pytest.mark.skipif(not PROMTOOL.exists(), reason="CORPORA_DIR has no promtool-testdata")
@pytest.mark.parametrize(("name", "code"), LOADED.items())
def test_rule_files_load_as_they_do_there(name: str, code: int) -> None:
    assert run("check", str(PROMTOOL / name))[0] == code


@pytest.mark.skipif(not PROMTOOL.exists(), reason="CORPORA_DIR has no promtool-testdata")
def test_what_is_experimental_or_unknown_loads_when_it_is_allowed() -> None:
    assert run("check", "--enable-feature", "promql-duration-expr", str(PROMTOOL / "features.yml"))[0] == 0
    assert run("test", "--ignore-unknown-fields", str(PROMTOOL / "rules_run_extrafields.yml"))[0] == 0


@pytest.mark.skipif(not KUBE.exists(), reason="CORPORA_DIR has no kube-prometheus")
def test_all_rules_of_kube_prometheus_load() -> None:
    code, out, _ = run("check", *map(str, sorted(KUBE.glob("*prometheusRule.yaml"))))
    assert code == 0
    assert sum(int(line.split()[1]) for line in out.splitlines() if "rules found" in line) == 234
