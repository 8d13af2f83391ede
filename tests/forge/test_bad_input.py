"""Pipeline events and the import over HTTP: hostile words are taken by row or not at all, and come out harmless."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts import services as accounts
from aivillage_console.accounts.models import User
from aivillage_console.lib import clock
from forge_dashboard.models import PipelineEvent, Run
from tests.forge.conftest import told
from tests.markup import acting

URL = "/api/v1/ingest/pipeline-events"
IMPORT = "/api/console/v1/runs/import/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def sender() -> Client:
    """Return a client with the token of a source."""
    source, actor = accounts.source_named("trainer"), accounts.Actor.system("test")
    _, plain = accounts.token_issue(
        name="t", kind="ingest", scopes=["ingest:pipelines"], source=source, actor=actor, now=clock.now()
    )
    return Client(headers={"authorization": f"Bearer {plain}"})


@pytest.fixture
def editor() -> Client:
    """Return the browser of somebody who may import."""
    client = Client(raise_request_exception=False)
    user = User.objects.create_user("ed@example.org", None, role="editor")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def send(client: Client, *rows: Any, batch: str = "b1") -> Any:
    return client.post(URL, json.dumps({"batch_id": batch, "rows": rows}), content_type="application/json")


def row(event_id: str = "bad", kind: str = "log", **more: Any) -> dict[str, Any]:
    return {**told(kind, event_id), **more}


BAD: dict[str, tuple[Any, str]] = {
    "no object": ("x", "Expected `object`"),
    "no run": ({"event_id": "1", "kind": "log"}, "missing required field `run_id`"),
    "unknown kind": (row(kind="note"), "Invalid enum value"),
    "unknown field": (row(text="x"), "unknown field `text`"),
    "half a pair": (row(message="\ud800"), "not Unicode"),
    "half a pair in data": (row(data={"a": ["\udc00"]}), "not Unicode"),
    "run_id of NUL": (row(run_id="\0"), "NUL"),
    "phase of NUL": (row(phase="\0"), "NUL"),
    "an old event": (row(at_ms=1), "window"),
    "of the year 9999": (row(at_ms=253402300799000), "window"),
    "beyond 64 bits": (row(at_ms=2**70), "window"),
    "beyond a double": (row(at_ms=-(10**400)), "window"),
    "a step beyond 64 bits": (row(kind="progress", phase="adas", step=10**400), "step must be"),
    "progress below zero": (row(kind="progress", phase="adas", progress=-1e308), "share between 0 and 1"),
    "metrics of lists": (row(kind="metrics", metrics={"a": []}), "Expected"),
    "a metric of nothing": (row(kind="metrics", metrics={"a": None}), "Expected"),
    "a size beyond 64 bits": (row(kind="artifact", data={"name": "a", "size_bytes": 2**70}), "size_bytes"),
    "an address that runs": (row(kind="run", data={"wandb_url": "javascript:alert(1)"}), "wandb_url"),
    "data of a list": (row(data=[]), "Expected `object`"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_bad_row_is_told_and_the_good_one_beside_it_kept(sender: Client, bad: Any, reason: str) -> None:
    answer = send(sender, bad, row("good", message="kept"))
    assert answer.status_code == 200, answer.content
    (refused,) = answer.json()["rejected"]
    assert (refused["row"], reason in refused["reason"]) == (0, True), refused
    assert PipelineEvent.objects.get().event_id == "good"


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"in": found}
    return found


def test_depth_nodes_and_rows_of_a_batch_are_bounded(sender: Client) -> None:
    deep, wide = send(sender, row(data=nested(40))), send(sender, row(data={"a": [0] * 200_001}))
    many = send(sender, *([7] * 50_001))
    assert [(one.status_code, "at most" in one.json()["detail"]) for one in (deep, wide, many)] == [(413, True)] * 3
    assert not Run.objects.exists()


def test_twenty_thousand_rows_in_one_batch_are_taken(sender: Client, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(60):
        answer = send(sender, *(row(str(n), message="x") for n in range(20_000)))
    assert (answer.status_code, answer.json()["accepted"]) == (200, 20_000)


def summary(**more: Any) -> dict[str, Any]:
    return {"run_summary": {"run_id": "old", "start_time": "2026-11-01T10:00:00", **more}}


IMPORTS: dict[str, Any] = {
    "nothing": {},
    "a list": [],
    "a text": "x",
    "null": None,
    "summary of a list": {"run_summary": []},
    "run of a list": summary(run_id=[1]),
    "run of NUL": summary(run_id="\0"),
    "run of nothing": summary(run_id=""),
    "a long run": summary(run_id="x" * 9_000),
    "a time of words": summary(start_time="yesterday"),
    "the year 1": summary(start_time="0001-01-01T00:00:00+14:00"),
    "the year 9999": summary(start_time="9999-12-31T23:59:59-14:00"),
    "a time of 1e308": summary(start_time=1e308),
    "before time": summary(start_time=-1),
    "failed of a list": summary(phases_failed=[]),
    "details of text": {**summary(), "phase_details": "x"},
    "phases of anything": {**summary(), "phase_details": {"": {}, "\0": {}, "a": 1, "b": {"status": {}, "metrics": 7}}},
    "a thousand phases": {**summary(), "phase_details": {f"p{n}": {"status": "completed"} for n in range(1_000)}},
    "metrics of anything": {**summary(), "phase_details": [{"phase": "adas", "metrics": {"\0": 1, "n": {"a": []}}}]},
    "artifacts of anything": {**summary(), "artifacts_produced": [7, None, {}, {"name": []}, {"path": "\0"}, "\0"]},
    "artifacts of text": {**summary(), "artifacts_produced": "x" * 9_000},
    "warnings of anything": {**summary(end_time="2026-11-01T11:00:00"), "warnings": [None, {}, "\0" * 9_000, [[[]]]]},
    "config of 100 kB": {**summary(), "config": {"a": "x" * 100_000}},
    "config of NUL": {**summary(), "config": {"\0": "\0"}},
    "a checkpoint of anything": {"run_id": "c", "phase": 7, "timestamp": {}, "results": {"a": 1}, "artifacts": 5},
    "results of a list": {"run_id": "c", "results": []},
    "large numbers": {**summary(), "config": {"n": 2**63, "m": 1e308}},
    "a long duration": {**summary(), "phase_details": {"adas": {"duration_seconds": 1e308, "start_time": 1e308}}},
    "duration below zero": {**summary(), "phase_details": {"adas": {"duration_seconds": -1e308, "duration": "x"}}},
}


@pytest.mark.parametrize("document", IMPORTS.values(), ids=IMPORTS)
def test_no_document_breaks_the_import(editor: Client, document: Any) -> None:
    answer = editor.post(IMPORT, json.dumps(document), content_type="application/json")
    assert answer.status_code in (200, 400), answer.content
    if answer.status_code == 400:
        assert answer.json()["errors"][0]["detail"]
    for run in Run.objects.all():
        assert editor.get(f"/forge/runs/{run.pk}/").status_code == 200


def test_naughty_strings_come_out_of_the_pages_as_text(sender: Client, editor: Client, corpora_dir: Path) -> None:
    naughty = [text for text in json.loads((corpora_dir / "naughty-strings/blns.json").read_text()) if text.strip()]
    script, image = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
    marked = [script, image, "=cmd|' /C calc'!A0", "${{7*7}}"]
    about = {"name": image, "tags": marked, "model": script, "owner": image, "config": dict.fromkeys(marked, "<b>")}
    rows = [row("run", "run", state="running", data=about)]
    for n, text in enumerate([*marked, *naughty]):
        rows.append(row(f"l{n}", message=text, phase=text[:60], level="error"))
        rows.append(row(f"a{n}", "artifact", data={"name": text, "type": text[:90], "url": f"javascript:{text}"[:900]}))
        rows.append(row(f"g{n}", "gate", state="failed", message=text, data={"name": text}))
    rows.append(row("end", "phase", phase=script, state="failed", error=image * 20, message=script))
    assert send(sender, *rows).status_code == 200
    run = Run.objects.get()
    tabs = ("overview", "metrics", "logs", "config", "artifacts")
    for path in ("/forge/", *(f"/forge/runs/{run.pk}/?tab={tab}" for tab in tabs)):
        page = editor.get(path)
        assert (path, page.status_code, acting(page.content.decode())) == (path, 200, [])
