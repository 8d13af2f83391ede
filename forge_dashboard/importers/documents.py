"""What a report or a checkpoint file says, as events. There were several versions, so little is taken for given.

pipeline_report_*.json           run_summary{run_id, start_time, end_time, …}, phase_details, artifacts_produced,
                                 phase_metrics{}, warnings, todos
orchestrator_checkpoint_*.json   run_id, phase, timestamp, results{phase: result}, artifacts
"""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from forge_dashboard.catalogue import MAX_PHASE_ID, PhaseState, intake_state

MOST_PHASES = 64
MOST_ARTIFACTS = 500
LONGEST_VALUE = 4_000
Document = Mapping[str, Any]
Row = dict[str, Any]


class NotImportable(ValueError):
    """A file that is neither kind; the text says what is missing."""


def events_of(document: object, *, name: str, now: datetime) -> list[Row]:
    """Return the rows of the door that say what the file says; the same file gives the same rows."""
    if not isinstance(document, Mapping):
        raise NotImportable(f"{name} is not a JSON object")
    if isinstance(document.get("run_summary"), Mapping):
        rows = _report(document, now)
    elif "run_id" in document and isinstance(document.get("results"), Mapping):
        rows = _checkpoint(document, now)
    else:
        raise NotImportable(f"{name} has neither run_summary (a report) nor run_id and results (a checkpoint)")
    return [{**row, "event_id": _event_id(row)} for row in rows]


def _event_id(row: Row) -> str:
    return "import-" + hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _time_ms(value: object) -> int | None:
    """Return Unix milliseconds of a time as any of the versions wrote it: ISO text, or seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 < value < 1e11:
        return int(value * 1000)
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _run_id(value: object) -> str:
    text = str(value or "").strip()[:128]
    if not text:
        raise NotImportable("run_id is empty")
    if "\0" in text:
        raise NotImportable("run_id holds a NUL character")
    return text


def _report(document: Document, now: datetime) -> list[Row]:
    summary: Document = document["run_summary"]
    fixed = {"run_id": _run_id(summary.get("run_id"))}
    started = _time_ms(summary.get("start_time")) or int(now.timestamp() * 1000)
    ended = _time_ms(summary.get("end_time"))
    details = _details(document.get("phase_details"), document.get("phase_metrics"))
    rows = [
        {**fixed, "kind": "run", "state": "running", "at_ms": started,
         "data": {"phases": [name for name, _ in details], "config": _config(document)}},
    ]  # fmt: skip
    for name, result in details:
        rows += _phase(fixed, name, result, started, ended)
    rows += _artifacts(fixed, document.get("artifacts_produced"), ended or started)
    if ended is not None:
        warnings = [_text(each) for each in _listed(document.get("warnings"))[:50]]
        rows.append({**fixed, "kind": "run", "state": _run_state(summary, details), "at_ms": ended,
                     "data": {"warnings": warnings}})  # fmt: skip
    return rows


def _run_state(summary: Document, details: list[tuple[str, Document]]) -> str:
    failed = summary.get("phases_failed")
    states = {_state(result) for _, result in details}
    if (isinstance(failed, int) and failed > 0) or "failed" in states:
        return "failed"
    return "succeeded" if details else "cancelled"


def _config(document: Document) -> Row:
    config = document.get("config")
    return _bounded(config) if isinstance(config, Mapping) else {}


def _details(details: object, metrics: object) -> list[tuple[str, Document]]:
    """Return results by name; versions wrote them by name or as a list."""
    found: list[tuple[str, Document]] = []
    if isinstance(details, Mapping):
        found = [(str(name), result) for name, result in details.items() if isinstance(result, Mapping)]
    elif isinstance(details, list):
        found = [
            (str(result.get("phase_name") or result.get("phase") or ""), result)
            for result in details if isinstance(result, Mapping)
        ]  # fmt: skip
    more = metrics if isinstance(metrics, Mapping) else {}
    named = [(name.strip()[:MAX_PHASE_ID], result) for name, result in found if name.strip()][:MOST_PHASES]
    return [(name, {**result, "metrics": _merged(result.get("metrics"), more.get(name))}) for name, result in named]


def _merged(*metrics: object) -> Row:
    return {str(name): value for each in metrics if isinstance(each, Mapping) for name, value in each.items()}


def _state(result: Document) -> str:
    status = str(result.get("status") or "")
    try:
        intake_state(status, PhaseState)
    except ValueError:
        return (
            "succeeded" if result.get("success") is True else "failed" if result.get("success") is False else "pending"
        )
    return status


def _phase(fixed: Row, name: str, result: Document, started: int, ended: int | None) -> list[Row]:
    state = _state(result)
    begins = _time_ms(result.get("start_time"))
    ends = _time_ms(result.get("end_time"))
    seconds = result.get("duration_seconds")
    if begins is not None and ends is None and isinstance(seconds, int | float) and 0 <= seconds < 1e8:
        ends = begins + int(seconds * 1000)
    row = {**fixed, "kind": "phase", "phase": name}
    over = ends or ended or started
    scalars, data = _scalars(result["metrics"]), {"warnings": [_text(each) for each in _listed(result.get("warnings"))]}
    told = [{**row, "state": "running", "at_ms": begins}] if begins is not None else []
    told.append({
        **row, "state": state, "at_ms": max(over, begins or 0), "message": _text(result.get("message")),
        "error": _text(result.get("error"), 30_000), "metrics": scalars, "data": data,
    })  # fmt: skip
    return told + _artifacts(fixed, result.get("artifacts"), over, phase=name)


def _checkpoint(document: Document, now: datetime) -> list[Row]:
    fixed = {"run_id": _run_id(document.get("run_id"))}
    at = _time_ms(document.get("timestamp")) or int(now.timestamp() * 1000)
    details = _details(document["results"], None)
    rows: list[Row] = [{**fixed, "kind": "run", "state": "running", "at_ms": at}]
    for name, result in details:
        rows += _phase(fixed, name, result, at, at)
    rows += _artifacts(fixed, document.get("artifacts"), at)
    phase = str(document.get("phase") or "").strip()[:MAX_PHASE_ID]
    rows.append({**fixed, "kind": "checkpoint", "phase": phase, "at_ms": at,
                 "data": {"name": f"orchestrator checkpoint after {phase or 'start'}"}})  # fmt: skip
    return rows


def _artifacts(fixed: Row, artifacts: object, at_ms: int, phase: str = "") -> list[Row]:
    pairs: list[tuple[str, Any]] = []
    if isinstance(artifacts, Mapping):
        pairs = [(str(name), value) for name, value in artifacts.items()]
    elif isinstance(artifacts, list):
        pairs = [(_name_of(value, number), value) for number, value in enumerate(artifacts)]
    return [_artifact(fixed, name, value, at_ms, phase) for name, value in pairs[:MOST_ARTIFACTS]]


def _name_of(value: object, number: int) -> str:
    if isinstance(value, Mapping):
        return str(value.get("name") or value.get("artifact_type") or f"artifact {number + 1}")
    return _text(value)


def _artifact(fixed: Row, name: str, value: object, at_ms: int, phase: str) -> Row:
    data: Row = {"name": name.strip()[:300] or "artifact"}
    if isinstance(value, Mapping):
        data |= {"type": _text(value.get("artifact_type") or value.get("type"), 100),
                 "sha256": _text(value.get("checksum") or value.get("sha256"), 64),
                 "url": _text(value.get("path") or value.get("url"), 2_000),
                 "metadata": _bounded(value.get("metadata"))}  # fmt: skip
        size, phase = value.get("size_bytes"), _text(value.get("phase_type"), MAX_PHASE_ID) or phase
        if isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= 2**53:
            data["size_bytes"] = size
        at_ms = _time_ms(value.get("timestamp")) or at_ms
    elif isinstance(value, str):
        data["url"] = value[:2_000]
    return {**fixed, "kind": "artifact", "phase": phase, "at_ms": at_ms, "data": data}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value] if value else []


def _text(value: object, limit: int = LONGEST_VALUE) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)
    return text.replace("\0", "\ufffd")[:limit]


def _scalars(metrics: Document) -> Row:
    """Return metrics as the door takes them; nested ones are flattened one level, longer ones left out."""
    found: Row = {}
    for name, value in metrics.items():
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        for part, each in parts:
            key = f"{name}.{part}" if part else name
            if isinstance(each, str | int | float | bool) and 0 < len(key) <= 100 and "\0" not in key:
                found[key] = each if not isinstance(each, str) else each[:200]
    return dict(list(found.items())[:200])


def _bounded(value: object) -> Row:
    if not isinstance(value, Mapping):
        return {}
    kept = {str(name)[:100]: each for name, each in list(value.items())[:100]}
    return kept if len(json.dumps(kept, default=str)) <= 12_000 else {"left_out": "more than 12 kB"}
