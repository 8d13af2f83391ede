"""Scripts of our own, a file for each part of the language, written from its documentation."""

from pathlib import Path

import pytest

from metrics.promql.scripts.holding import MemoryShelf
from metrics.promql.scripts.running import run_script

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.test"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_holds(path):
    cases = list(run_script(path.read_text(), MemoryShelf()))
    assert cases
    assert [(case.line, case.query, case.message) for case in cases if not case.ok] == []
