"""Files that pipelines left behind become runs, once however often they are imported."""

import json
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.accounts.services import Actor
from forge_dashboard.asked import phases_failed
from forge_dashboard.importers import NotImportable, events_of, import_document
from forge_dashboard.models import Artifact, Checkpoint, PhaseRun, PipelineEvent, Run

pytestmark = pytest.mark.django_db
ACTOR = Actor.system("test")


def report(now: datetime) -> dict[str, Any]:
    start = now - timedelta(days=30)

    def at(minutes: int) -> str:
        return (start + timedelta(minutes=minutes)).isoformat()

    return {
        "run_summary": {"run_id": "pipe-7", "start_time": at(0), "end_time": at(90), "phases_failed": 1},
        "phase_details": {
            "EvoMergePhase": {
                "status": "completed", "success": True, "start_time": at(0), "end_time": at(45),
                "metrics": {"final_fitness": 0.91, "fitness_scores": {"code": 0.8, "math": 0.7}, "history": [1, 2]},
                "artifacts": {"merge_recipe": {"artifact_type": "recipe", "size_bytes": 812, "checksum": "ab" * 32}},
            },
            "quiet_star": {"status": "stub_detected", "message": "does nothing"},
            "BitNetCompressionPhase": {
                "success": False, "start_time": at(50), "duration_seconds": 600, "error": "ValueError: shape",
                "warnings": ["slow"],
            },
        },
        "phase_metrics": {"BitNetCompressionPhase": {"compression_ratio": 7.5}},
        "artifacts_produced": ["/models/final.bin"], "warnings": ["one gate was skipped"],
    }  # fmt: skip


def checkpoint(now: datetime) -> dict[str, Any]:
    return {
        "run_id": "pipe-7", "phase": "evolution", "timestamp": (now - timedelta(days=30)).timestamp(),
        "results": {"evomerge": {"status": "success", "duration_seconds": 5.0, "metrics": {}}}, "artifacts": {},
    }  # fmt: skip


def test_a_report_becomes_a_run(now: datetime) -> None:
    done = import_document(report(now), name="pipeline_report_7.json", actor=ACTOR, now=now)
    assert (done.external_id, done.refused) == ("pipe-7", [])
    run = Run.objects.get()
    assert run.pk == done.run_id
    assert (run.state, run.duration_seconds, run.warnings) == ("failed", 5400.0, ["one gate was skipped"])
    phases = {row.phase: row for row in run.phases.all()}
    assert [row.phase for row in run.phases.all()] == ["evomerge", "quietstar", "bitnet"]
    assert phases["evomerge"].duration_seconds == 2700.0
    assert phases["evomerge"].metrics == {
        "final_fitness": 0.91, "fitness_scores.code": 0.8, "fitness_scores.math": 0.7,
    }  # fmt: skip
    assert (phases["quietstar"].state, phases["quietstar"].warnings) == ("skipped", ["stub"])
    bitnet = phases["bitnet"]
    assert (bitnet.state, bitnet.error, bitnet.warnings) == ("failed", "ValueError: shape", ["slow"])
    assert (bitnet.duration_seconds, bitnet.metrics) == (600.0, {"compression_ratio": 7.5})
    assert set(Artifact.objects.values_list("name", "type")) == {("merge_recipe", "recipe"), ("/models/final.bin", "")}


def test_importing_again_changes_nothing_and_nobody_is_alerted(now: datetime) -> None:
    import_document(report(now), name="a", actor=ACTOR, now=now)
    count, version = PipelineEvent.objects.count(), Run.objects.get().version
    import_document(report(now), name="a", actor=ACTOR, now=now)
    assert (PipelineEvent.objects.count(), Run.objects.get().version) == (count, version)
    assert phases_failed({}, 3600, now) == []
    assert AuditEntry.objects.filter(action="run.import").count() == 2


def test_a_checkpoint_becomes_a_place_to_go_on_from(now: datetime) -> None:
    import_document(checkpoint(now), name="orchestrator_checkpoint_1.json", actor=ACTOR, now=now)
    assert PhaseRun.objects.get().state == "succeeded"
    assert Checkpoint.objects.get().phase == "evomerge"
    assert Run.objects.get().state == "running"


def test_a_report_says_the_same_before_and_after_its_checkpoint(now: datetime) -> None:
    for document in (report(now), checkpoint(now)):
        import_document(document, name="a", actor=ACTOR, now=now)
    assert (Run.objects.get().state, Run.objects.get().phases.count()) == ("failed", 3)


@pytest.mark.parametrize(
    "document",
    [[], None, "x", {}, {"run_summary": {}}, {"run_id": "", "results": {}}, {"run_id": "a", "results": []}],
)
def test_what_is_neither_is_refused_with_what_is_missing(document: object, now: datetime) -> None:
    with pytest.raises(NotImportable, match="run_"):
        events_of(document, name="run_.json", now=now)


@pytest.mark.parametrize(
    "odd",
    [
        {"phase_details": [{"phase_name": "bitnet", "success": True}, 7, {}], "phase_metrics": []},
        {"phase_details": {"a\0b": {"status": 5}, "": {}, "bitnet": None}, "artifacts_produced": {"x": 3, "y": None}},
        {"run_summary": {"run_id": 7, "start_time": "soon", "end_time": 1e300, "phases_failed": "many"}},
        {
            "phase_details": {f"p{n}": {"metrics": {"m": float("nan")}} for n in range(100)},
            "config": {"x": [1] * 9_999},
        },
    ],
)
def test_odd_files_are_taken_as_far_as_they_go(odd: dict[str, Any], now: datetime) -> None:
    done = import_document({**report(now), **odd}, name="a", actor=ACTOR, now=now)
    assert done.events > 0
    assert Run.objects.count() == 1


def test_the_command_imports_what_it_can(now: datetime, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(json.dumps(report(now)))
    (tmp_path / "bad.json").write_text("{")
    said, complained = StringIO(), StringIO()
    files = [str(tmp_path / name) for name in ("good.json", "bad.json", "none.json")]
    with pytest.raises(CommandError, match="2 of 3"):
        call_command("import_pipeline", *files, stdout=said, stderr=complained)
    assert "run pipe-7" in said.getvalue()
    assert "it is no JSON" in complained.getvalue()
    assert Run.objects.get().source.name == "pipeline-import"
