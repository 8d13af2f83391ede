"""`manage.py inbound try`, and mappings as people write them."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from alerts.engine.inbound import lines

LINES = """
# what stands where
name = alert.title | 'none'
labels.host = where["host"]
values.status.rot = firing
status = state
"""


def tried(tmp_path: Path, payload: Any, *arguments: str) -> str:
    file = tmp_path / "payload.json"
    file.write_text(payload if isinstance(payload, str) else json.dumps(payload))
    out = io.StringIO()
    call_command("inbound", "try", str(file), *arguments, stdout=out)
    return out.getvalue()


def test_it_prints_the_alert_of_a_payload(tmp_path: Path) -> None:
    said = tried(tmp_path, {"title": "Disk full", "severity": "P1", "host": "a"})
    assert [
        line in said for line in ("  name: Disk full", "  severity: critical (received as P1)", "  label host: a")
    ] == [True] * 3
    pushed = tried(tmp_path, {"push_data": {"tag": "1"}, "repository": {"repo_name": "a/b"}}, "--as", "registry")
    assert "  kind: image" in pushed
    assert "nothing comes of it" in tried(tmp_path, {"ruleName": "x", "state": "pending"}, "--as", "grafana")
    assert "problem: not a message of Jenkins" in tried(tmp_path, {"title": "x"}, "--as", "jenkins")
    assert "change\n" in tried(tmp_path, {"title": "x"}, "--changes")


def test_it_prints_json_and_takes_a_mapping(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping"
    mapping.write_text(LINES)
    payload = {"alert": {"title": "T"}, "where": {"host": "a"}, "state": "rot"}
    found = json.loads(tried(tmp_path, payload, "--json", "--mapping", str(mapping)))
    (told,) = found["alerts"]
    assert (told["name"], told["status"], told["labels"]["host"]) == ("T", "firing", "a")


@pytest.mark.parametrize(("payload", "word"), [("{", "not JSON"), ("[]", "empty")])
def test_it_says_why_nothing_comes_of_it(tmp_path: Path, payload: str, word: str) -> None:
    with pytest.raises(CommandError, match=word):
        tried(tmp_path, payload)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("inbound", "try", str(tmp_path / "gone"))


def test_a_file_of_samples_is_judged_by_provider(tmp_path: Path) -> None:
    file = tmp_path / "samples.json"
    file.write_text(json.dumps({"x_provider": {"A": {"title": "t", "host": "h"}, "B": {"state": "ok"}}}))
    out = io.StringIO()
    call_command("inbound", "corpus", str(file), stdout=out)
    said = out.getvalue().splitlines()
    assert (said[0], said[-1]) == ("x_provider (as generic): passed 1 of 2", "passed 1 of 2")
    file.write_text("[]")
    with pytest.raises(CommandError, match="by provider"):
        call_command("inbound", "corpus", str(file))


def test_a_mapping_is_written_in_lines_and_back() -> None:
    mapping = lines.mapping_of(LINES)
    assert mapping == {
        "name": "alert.title | 'none'",
        "labels": {"host": 'where["host"]'},
        "values": {"status": {"rot": "firing"}},
        "status": "state",
    }
    assert lines.mapping_of(lines.text_of(mapping)) == mapping


@pytest.mark.parametrize(
    "text", ["name", "name =", "= x", "name = a\nname = b", "labels = a\nlabels.b = c", "x" * 20_001]
)
def test_a_bad_line_is_named(text: str) -> None:
    with pytest.raises(lines.BadLine, match="at most" if len(text) > 100 else "Line"):
        lines.mapping_of(text)


def test_a_bad_mapping_is_refused(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping"
    for text, word in (("nmae = x", "nmae"), ("name", "Line 1"), ('{"name": 7}', "name")):
        mapping.write_text(text)
        with pytest.raises(CommandError, match=word):
            tried(tmp_path, {"title": "x"}, "--mapping", str(mapping))
