import pytest
from django.core.management import call_command

from bench.conformance import compliance_outcomes, corpora_dir, script_outcomes

CORPORA = corpora_dir()
pytestmark = pytest.mark.skipif(CORPORA is None, reason="CORPORA_DIR is not set and no corpora lie beside the project")


def test_the_engine_passes_its_share_of_the_test_scripts():
    outcomes = [
        passed
        for path in sorted((CORPORA / "promql-testdata" / "json").glob("*.json"))
        for command, passed in script_outcomes(path)
        if command["float_only"] and not command["experimental"]
    ]
    assert sum(outcomes) >= 0.98 * len(outcomes)


def test_the_engine_agrees_with_the_conformance_queries():
    outcomes = list(compliance_outcomes(CORPORA / "prom-compliance" / "promql"))
    assert sum(passed for _, passed in outcomes) >= 535
    assert all(passed for query, passed in outcomes if query["should_fail"])


@pytest.mark.django_db
@pytest.mark.parametrize("options", [[], ["--store"]], ids=["memory", "store"])
def test_every_case_of_the_scripts_passes(options, capsys):
    call_command("promqltest", str(CORPORA / "promql-testdata"), "--failures", *options)
    passed, total = capsys.readouterr().out.splitlines()[-1].removeprefix("passed ").split(" of ")
    assert int(passed) == int(total) > 500
