"""What the demo says, and how it judges what the console found."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from demo import __main__ as command
from demo.attacker import Attack, attacks
from demo.door import Away, Console, Refusal
from demo.narration import Narrator
from demo.verdict import Row, Verdict
from tests.demo.console import FakeConsole


def attack(number: int = 0) -> Attack:
    made = attacks(0)[number]
    made.statuses = Counter({401: 10, 403: 5})
    return made


def finding(band: str, score: float, delay_ms: int = 200) -> dict[str, Any]:
    found_at = f"2026-11-21T08:00:00.{delay_ms:03d}000+00:00"
    return {"band": band, "score": score, "at": "2026-11-21T08:00:00+00:00", "found_at": found_at}


def test_an_attack_is_found_when_its_band_is_as_bad_as_expected() -> None:
    assert Row(attack(), [finding("high", 0.7), finding("critical", 1.0)]).found
    assert not Row(attack(), [finding("high", 0.7)]).found
    assert Row(attack(1), [finding("high", 0.7)]).found


def test_an_attack_of_many_addresses_is_judged_as_a_whole() -> None:
    part = {**finding("medium", 0.6, 120), "attack_score": 0.9}
    row = Row(attack(4), [part])
    assert (row.band, row.found, row.delay_ms) == ("critical", True, pytest.approx(120))
    assert Verdict([row], []).counted("critical") == 1


def test_an_attack_without_findings_is_missed() -> None:
    verdict = Verdict([Row(attack(), [])], [])
    assert verdict.missed == ["brute force"]
    assert "MISSED" in verdict.table()[1]
    assert "Missed: brute force" in verdict.summary()


def test_the_table_counts_what_was_sent_and_what_was_blocked() -> None:
    shown = Verdict([Row(attack(), [finding("critical", 1.0, 250), finding("critical", 0.95, 40)])], []).table()[1]
    assert shown[:4] == ["brute force", "15", "5", "2"]
    assert shown[-1] == "40 ms"


def test_the_delay_counts_only_findings_people_are_told_of() -> None:
    assert Row(attack(), [finding("medium", 0.5, 10), finding("high", 0.8, 300)]).delay_ms == pytest.approx(300)


def test_lines_are_printed_and_kept_for_setup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ticks = iter([0.0, 65.0, 65.0])
    narrator = Narrator("http://console/", tmp_path / "progress.json", clock=lambda: next(ticks))
    narrator.say("Look here.", "/forge/")
    narrator.end("done")
    assert capsys.readouterr().out == " 1:05  Look here.  http://console/forge/\n"
    assert json.loads((tmp_path / "progress.json").read_text()) == {
        "state": "done", "lines": [{"at": "1:05", "text": "Look here.", "page": "/forge/"}],
    }  # fmt: skip


def test_the_kept_lines_are_bounded(tmp_path: Path) -> None:
    narrator = Narrator("http://console", tmp_path / "progress.json")
    for number in range(300):
        narrator.say(str(number))
    assert [narrator.lines[0]["text"], narrator.lines[-1]["text"]] == ["100", "299"]


def test_runs_are_counted_from_nought_whatever_the_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "runs"
    assert [command._number(file) for _ in range(3)] == [0, 1, 2]
    file.write_text("not a number")
    assert command._number(file) == 0


def test_a_console_that_is_away_is_told_from_one_that_refuses() -> None:
    with pytest.raises(Away, match="does not answer"):
        Console("http://127.0.0.1:9", "x").get("alerts")
    with FakeConsole() as console:
        assert Console(console.url, "x").get("blocks/active")["version"] == 1
        with pytest.raises(Refusal, match="501"):
            Console(console.url, "x").delete("channels/1")
