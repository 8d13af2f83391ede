"""Our own scripts on native histograms, in the language of Prometheus' engine tests."""

from pathlib import Path

import pytest

from metrics.promql.scripts.holding import MemoryShelf
from metrics.promql.scripts.running import run_script

SCRIPTS = sorted((Path(__file__).parents[2] / "promql").glob("native_*.test"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_case_of_the_script_holds(path):
    cases = list(run_script(path.read_text(), MemoryShelf()))
    assert cases
    assert [(case.line, case.query, case.message) for case in cases if not case.ok] == []


def test_the_scripts_are_there():
    assert len(SCRIPTS) >= 3
