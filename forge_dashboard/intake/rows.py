"""One row of the door, checked and put into the catalogue's words."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from forge_dashboard.catalogue import GateState, PhaseState, RunState, gate_named, intake_state, phase_id
from forge_dashboard.reducer import Event

DAY_MS = 86_400_000
OLDEST_MS = 7 * DAY_MS
NEWEST_MS = 10 * 60_000
MAX_DATA_BYTES = 16_384
MAX_CONFIG_BYTES = 65_536
MAX_TEXT_CHARS = 8_000
MAX_ERROR_CHARS = 32_000
MAX_METRICS = 200
MAX_NAME_CHARS = 100
MAX_STEP = 2**53
MAX_PLANNED = 64
THINGS = frozenset({"artifact", "gate", "checkpoint"})
LONGEST = {
    "name": 200, "model": 200, "model_size": 32, "owner": 200, "wandb_url": 1_000, "parent": 128,
}  # fmt: skip
LEVELS = {
    "": "info", "debug": "debug", "info": "info", "notice": "info", "warning": "warning", "warn": "warning",
    "error": "error", "critical": "error", "fatal": "error",
}  # fmt: skip
MetricValue = float | int | str | bool


class EventRow(msgspec.Struct, forbid_unknown_fields=True):
    """One event as a sender says it."""

    event_id: str
    run_id: str
    kind: Literal["run", "phase", "progress", "metrics", "log", "artifact", "gate", "checkpoint"]
    at_ms: int | None = None
    phase: str = ""
    state: str = ""
    progress: float | None = None
    step: int | None = None
    total_steps: int | None = None
    message: str = ""
    level: str = ""
    metrics: dict[str, MetricValue] = {}
    error: str = ""
    data: dict[str, Any] = {}


class BadRow(ValueError):
    """A row that cannot be kept; the text says what to do."""


def clean(value: Any) -> Any:
    """Return a value as PostgreSQL can hold it: no NUL, no number beyond 64 bits, none that is not finite."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {clean(name): clean(each) for name, each in value.items()}
    if isinstance(value, list):
        return [clean(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return _as_float(value)
    return value


def _as_float(value: int) -> float | str:
    try:
        return float(value)
    except OverflowError:
        return f"{'-' if value < 0 else ''}more than a double can hold"


def shortened(text: str, limit: int) -> str:
    """Return text within its limit; of a long one the beginning and the end, which says what happened."""
    plain = text.replace("\0", "\ufffd")
    if len(plain) <= limit:
        return plain
    head = limit // 4
    mark = f"\n… {len(plain) - limit} characters left out …\n"
    return plain[:head] + mark + plain[len(plain) - limit + head :]


def _name(kind: str, text: str, longest: int) -> str:
    if not 1 <= len(text) <= longest:
        raise BadRow(f"{kind} must have 1 to {longest} characters, not {len(text)}")
    if "\0" in text:
        raise BadRow(f"{kind} holds a NUL character")
    return text


def _time_ms(row: EventRow, now_ms: int, *, backfill: bool) -> int:
    if row.at_ms is None:
        return now_ms
    oldest = 0 if backfill else now_ms - OLDEST_MS
    if not oldest <= row.at_ms <= now_ms + NEWEST_MS:
        raise BadRow(
            "at_ms is outside the window of this door: at most 7 days ago and 10 minutes ahead, in milliseconds"
        )
    return row.at_ms


def _state(row: EventRow) -> tuple[str, str]:
    words = {"run": RunState, "phase": PhaseState, "progress": PhaseState, "gate": GateState}
    if not row.state or row.kind not in words:
        return "", ""
    if row.kind == "gate":
        state = {"pass": "passed", "succeeded": "passed", "fail": "failed"}.get(row.state.lower(), row.state.lower())
        if state not in {known.value for known in GateState}:
            raise BadRow(f"there is no gate state {row.state[:40]!r}; send passed, failed, blocked, pending or running")
        return state, ""
    try:
        state, flag = intake_state(row.state, words[row.kind])
    except ValueError as error:
        raise BadRow(str(error)) from None
    # A progress event says "running" each time: as a word about the state that would be hundreds of the same.
    return ("", "") if row.kind == "progress" and state == "running" else (state, flag)


def _count(kind: str, value: int | None) -> int | None:
    if value is not None and not 0 <= value <= MAX_STEP:
        raise BadRow(f"{kind} must be 0 to 2^53, not {str(value)[:30]}")
    return value


def _share(value: float | None) -> float | None:
    if value is not None and not 0 <= value <= 1:
        raise BadRow(f"progress is a share between 0 and 1, not {value:g}")
    return value


def _metrics(row: EventRow) -> dict[str, MetricValue]:
    if len(row.metrics) > MAX_METRICS:
        raise BadRow(f"{len(row.metrics)} metrics in one event, at most {MAX_METRICS} are taken: send them in several")
    found: dict[str, MetricValue] = {}
    for name, value in row.metrics.items():
        shown = clean(value)
        _name("the name of a metric", name, MAX_NAME_CHARS)
        found[name] = shown[:200] if isinstance(shown, str) else shown
    return found


def _data(row: EventRow) -> dict[str, Any]:
    data: dict[str, Any] = clean(row.data)
    longest = MAX_CONFIG_BYTES if row.kind == "run" else MAX_DATA_BYTES
    size = len(msgspec.json.encode(data)) if data else 0
    if size > longest:
        raise BadRow(
            f"data has {size} bytes as JSON, at most {longest} are taken: keep the rest where it is and send a url"
        )
    if row.kind == "run":
        return _run_data(data)
    return _thing_data(row, data) if row.kind in THINGS else data


def _thing_data(row: EventRow, data: dict[str, Any]) -> dict[str, Any]:
    name = data.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadRow(f"an event of kind {row.kind} needs data.name")
    found = {**data, "name": name.strip()[:300]}
    if row.kind == "gate":
        found["name"] = name.strip()[:MAX_NAME_CHARS]
        if gate_named(name) is None and not row.state:
            raise BadRow(f"the gate {name[:40]!r} is none of the catalogue, so it needs its state: passed or failed")
        return found
    for field, longest in {"type": 100, "url": 2_000, "sha256": 64}.items():
        text = found.get(field) or ""
        if not isinstance(text, str) or len(text) > longest:
            raise BadRow(f"data.{field} must be a text of at most {longest} characters")
        found[field] = text
    size = found.get("size_bytes")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_STEP):
        raise BadRow("data.size_bytes must be a number from 0 to 2^53")
    return found


def _run_data(data: dict[str, Any]) -> dict[str, Any]:
    found = dict(data)
    for name, longest in LONGEST.items():
        if name in found:
            found[name] = str(found[name])[:longest] if isinstance(found[name], str | int | float) else ""
    if found.get("wandb_url") and not found["wandb_url"].startswith(("https://", "http://")):
        raise BadRow("data.wandb_url must begin with https:// or http://")
    if not isinstance(found.get("config", {}), dict):
        raise BadRow("data.config must be an object")
    tags = found.get("tags", [])
    found["tags"] = [str(tag)[:60] for tag in tags[:30]] if isinstance(tags, list) else []
    found["phases"] = _planned(found.get("phases", []))
    interval = found.get("reporting_interval_seconds")
    if interval is not None and (isinstance(interval, bool) or not isinstance(interval, int | float) or interval <= 0):
        raise BadRow("data.reporting_interval_seconds must be a number above 0")
    if interval is not None:
        found["reporting_interval_seconds"] = min(float(interval), 86_400.0)
    return found


def _planned(phases: object) -> list[str]:
    if not isinstance(phases, list) or any(not isinstance(name, str) or not name.strip() for name in phases):
        raise BadRow("data.phases must be a list of names of phases, in order")
    planned = list(dict.fromkeys(phase_id(name) for name in phases))
    if len(planned) > MAX_PLANNED:
        raise BadRow(f"{len(planned)} phases are planned, at most {MAX_PLANNED} are taken")
    return planned


def _phase(row: EventRow) -> str:
    if row.kind == "run":
        return ""
    if row.kind in ("phase", "progress") and not row.phase.strip():
        raise BadRow(f"an event of kind {row.kind} needs its phase")
    if "\0" in row.phase:
        raise BadRow("phase holds a NUL character")
    return phase_id(row.phase) if row.phase.strip() else ""


def checked(row: EventRow, now_ms: int, *, backfill: bool) -> Event:
    """Return the event a row means; raises BadRow."""
    _name("event_id", row.event_id, 64)
    _name("run_id", row.run_id, 128)
    level = LEVELS.get(row.level.lower())
    if level is None:
        raise BadRow(f"there is no level {row.level[:40]!r}; send debug, info, warning or error")
    state, flag = _state(row)
    at_ms = _time_ms(row, now_ms, backfill=backfill)
    return Event(
        event_id=row.event_id, at_ms=at_ms, received_ms=min(at_ms, now_ms) if backfill else now_ms, kind=row.kind,
        phase=_phase(row), state=state, flag=flag, progress=_share(row.progress), step=_count("step", row.step),
        total_steps=_count("total_steps", row.total_steps), message=shortened(row.message, MAX_TEXT_CHARS),
        level=level, metrics=_metrics(row), error=shortened(row.error, MAX_ERROR_CHARS), data=_data(row),
    )  # fmt: skip


def points(event: Event) -> Mapping[str, float]:
    """Return the numbers of an event, which become points of curves."""
    if event.kind not in ("metrics", "progress", "phase", "run"):
        return {}
    numbers = {
        name: float(value) for name, value in event.metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }  # fmt: skip
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
