"""The command that runs timelines and tables."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.alerts.alertmanager.timelines import RECEIVER, alert, push, want


def _timeline(**fields: object) -> dict[str, object]:
    config = "route: {receiver: default, group_wait: 1s}\n" + RECEIVER
    steps = [push(1, alert("a", 1)), want(2, 2.2, alert("a", 1))]
    return {
        "test": "one",
        "config": config,
        "webhooks": [["co", "webhook"]],
        "tolerance_s": 0.1,
        "steps": steps,
        **fields,
    }


def test_every_corpus_is_met(corpora_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = corpora_dir / "alertmanager-testdata"
    if not folder.is_dir():
        pytest.skip("the corpora are absent")
    call_command("amtest", str(folder))
    _, passed, _, total = capsys.readouterr().out.splitlines()[-1].split()
    assert passed == total
    assert int(total) >= 300


def test_what_is_missed_is_counted_named_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "timelines.json", tmp_path / "cases.json"
    missed = _timeline(test="two", steps=[push(1, alert("a", 1)), want(5, 5.2, alert("a", 1))])
    path.write_text(json.dumps([_timeline(), missed]))
    with pytest.raises(SystemExit):
        call_command("amtest", str(path), "--json", str(out), "--failures")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{path}: 1 of 2"
    assert printed[1].startswith("  two: co between 5 and 5.2: 0 of 0")
    assert printed[-1] == "passed 1 of 2"
    assert [case["ok"] for case in json.loads(out.read_text())] == [True, False]


def test_a_path_that_is_not_there_is_refused_and_a_file_of_another_form_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError):
        call_command("amtest", str(tmp_path / "none"))
    (tmp_path / "other.json").write_text("[1]")
    call_command("amtest", str(tmp_path))
    printed = capsys.readouterr()
    assert printed.out == "passed 0 of 0\n"
    assert "no table of a known form" in printed.err
