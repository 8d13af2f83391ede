"""PromQL conformance: pass rates per file over the test corpora, as found under CORPORA_DIR."""

import gzip
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Report, report_from_arguments
from metrics.promql.engine import evaluate
from metrics.promql.memory import MemorySource
from metrics.promql.types import STALE_NAN, QueryError, QueryResult, SeriesColumns

TESTDATA_TOLERANCE = 1e-6
COMPLIANCE_TOLERANCE = 1e-5
SPECIAL: dict[str, float] = {"stale": STALE_NAN, "NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}
Answer = dict[frozenset[tuple[str, str]], dict[int, float]]


def corpora_dir() -> Path | None:
    """Return where the corpora are, or None where there are none."""
    configured = os.environ.get("CORPORA_DIR")
    path = Path(configured) if configured else Path(__file__).parents[2] / "shared" / "data"
    return path if path.is_dir() else None


def number_of(point: str | float) -> float:
    """Read a point of the corpora."""
    return SPECIAL[point] if isinstance(point, str) else float(point)


def columns_from(series: dict[frozenset[tuple[str, str]], dict[int, float]]) -> SeriesColumns:
    """Build columns from samples by label set."""
    rows = [sorted(samples.items()) for samples in series.values()]
    sizes = [0, *(len(row) for row in rows)]
    return SeriesColumns(
        [dict(labels) for labels in series],
        np.cumsum(sizes).astype(np.int64),
        np.array([at for row in rows for at, _ in row], dtype=np.int64),
        np.array([value for row in rows for _, value in row], dtype=np.float64),
    )


def answer_of(result: QueryResult) -> Answer:
    """Return an answer as samples by label set."""
    if result.range_vector is not None:
        held = result.range_vector
        spans = [slice(int(a), int(b)) for a, b in zip(held.offsets[:-1], held.offsets[1:], strict=True)]
        return {
            frozenset(labels.items()): dict(
                zip(held.timestamps_ms[span].tolist(), held.values[span].tolist(), strict=True)
            )
            for labels, span in zip(held.labels, spans, strict=True)
        }
    times = result.timestamps_ms
    return {
        frozenset(labels.items()): dict(zip(times[here].tolist(), values[here].tolist(), strict=True))
        for labels, values, here in zip(result.labels, result.values, result.present, strict=True)
    }


def close(a: float, b: float, tolerance: float) -> bool:
    """Compare two values; NaN equals NaN."""
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    if a == b:
        return True
    if math.isinf(a) or math.isinf(b):
        return False
    return abs(a - b) / (abs(a) + abs(b)) < tolerance


def same(got: Answer, wanted: Answer, tolerance: float) -> bool:
    """Compare two answers: the same series, the same instants, values within the tolerance."""
    return got.keys() == wanted.keys() and all(
        got[labels].keys() == samples.keys()
        and all(close(got[labels][at], value, tolerance) for at, value in samples.items())
        for labels, samples in wanted.items()
    )


def _load(series: dict[Any, dict[int, float]], command: dict[str, Any]) -> None:
    for one in command["series"]:
        held = series.setdefault(frozenset(one["labels"].items()), {})
        for place, point in enumerate(one["points"]):
            if point is None or isinstance(point, dict):
                continue
            held[round(place * command["step"] * 1000)] = number_of(point)


def _wanted(command: dict[str, Any], start_ms: int, step_ms: int) -> Answer:
    wanted: Answer = {}
    for one in command["result"]:
        points = {
            start_ms + place * step_ms: number_of(point)
            for place, point in enumerate(one["points"])
            if point is not None and not isinstance(point, dict)
        }
        wanted[frozenset(one["labels"].items())] = points
    return wanted


def _holds(command: dict[str, Any], source: MemorySource) -> bool:
    seconds = [command["at"]] * 2 if command["kind"] == "instant" else [command["start"], command["end"]]
    start_ms, end_ms = (round(value * 1000) for value in seconds)
    step_ms = round((command.get("step") or 0.001) * 1000)
    try:
        result = evaluate(command["query"], start_ms=start_ms, end_ms=end_ms, step_ms=step_ms, source=source)
    except QueryError as problem:
        return bool(command["expect"].get("fail")) and problem.kind != "unsupported"
    histograms = any(isinstance(point, dict) for one in command["result"] for point in one["points"])
    if command["expect"].get("fail") or histograms:
        return False
    if command.get("string") is not None:
        return result.string_value == str(command["string"])
    if command.get("scalar") is not None:
        value = number_of(command["scalar"])
        return result.type == "scalar" and close(float(result.values[0, 0]), value, TESTDATA_TOLERANCE)
    return _same_series(command, result, start_ms, step_ms)


def _same_series(command: dict[str, Any], result: QueryResult, start_ms: int, step_ms: int) -> bool:
    if command.get("range_vector"):
        window = command["range_vector"]
        start_ms, step_ms = round(window["start"] * 1000), round(window["step"] * 1000)
    if not same(answer_of(result), _wanted(command, start_ms, step_ms), TESTDATA_TOLERANCE):
        return False
    if command["expect"].get("ordered"):
        return result.labels == [one["labels"] for one in command["result"]]
    return True


def script_outcomes(path: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """Run one file of the engine's test scripts; yields each evaluation and whether it passed."""
    series: dict[frozenset[tuple[str, str]], dict[int, float]] = {}
    source = MemorySource(columns_from(series))
    for command in json.loads(path.read_text()):
        if command["cmd"] == "eval":
            yield command, _holds(command, source)
            continue
        if command["cmd"] == "clear":
            series.clear()
        else:
            _load(series, command)
        source = MemorySource(columns_from(series))


def compliance_outcomes(folder: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """Run the conformance queries over their data set; yields each query and whether it passed."""
    series = {}
    with gzip.open(folder / "golden-dataset.jsonl.gz", "rt") as lines:
        for line in lines:
            one = json.loads(line)
            series[frozenset(one["labels"].items())] = {
                at: STALE_NAN if value == "stale" else value for at, value in one["samples"]
            }
    source = MemorySource(columns_from(series))
    with gzip.open(folder / "golden-results.jsonl.gz", "rt") as lines:
        for line in lines:
            query = json.loads(line)
            yield query, _complies(query, source)


def _complies(query: dict[str, Any], source: MemorySource) -> bool:
    start_ms, end_ms, step_ms = (round(query[name] * 1000) for name in ("start", "end", "step"))
    try:
        result = evaluate(query["query"], start_ms=start_ms, end_ms=end_ms, step_ms=step_ms, source=source)
    except QueryError as problem:
        return bool(query["should_fail"]) and problem.kind != "unsupported"
    wanted = {
        frozenset(one["metric"].items()): {round(at * 1000): float(text) for at, text in one["values"]}
        for one in query["result"] or []
    }
    return not query["should_fail"] and same(answer_of(result), wanted, COMPLIANCE_TOLERANCE)


def _count_script(path: Path, report: Report) -> dict[str, list[int]]:
    counts = {"core": [0, 0], "floats": [0, 0], "all": [0, 0]}
    for command, passed in script_outcomes(path):
        core = command["float_only"] and not command["experimental"]
        for name, applies in (("core", core), ("floats", command["float_only"]), ("all", True)):
            counts[name][0] += passed and applies
            counts[name][1] += applies
        if core and not passed:
            report.note(f"failed: {path.name}:{command['line']} {command['query']}")
    return counts


def measure_scripts(folder: Path, report: Report) -> None:
    """Count passes of the engine's test scripts per file: core (floats, nothing experimental), floats, all."""
    totals = {"core": [0, 0], "floats": [0, 0], "all": [0, 0]}
    for path in sorted(folder.glob("*.json")):
        counts = _count_script(path, report)
        for name, (passed, tried) in counts.items():
            totals[name] = [totals[name][0] + passed, totals[name][1] + tried]
        report.figure(path.stem, ", ".join(f"{name} {got}/{of}" for name, (got, of) in counts.items()))
    for name, (passed, tried) in totals.items():
        report.figure(f"{name} evaluations passed", passed, f"of {tried}")


def measure_compliance(folder: Path, report: Report) -> None:
    """Count the conformance queries answered as recorded."""
    outcomes = list(compliance_outcomes(folder))
    for query, passed in outcomes:
        if not passed:
            report.note(f"failed: prom-compliance {query['query']}")
    report.figure("conformance queries passed", sum(passed for _, passed in outcomes), f"of {len(outcomes)}")


def main() -> None:
    """Run whatever lies under CORPORA_DIR; `--quick` is the same run, which takes seconds."""
    report = report_from_arguments("conformance", __doc__ or "")
    corpora = corpora_dir()
    if corpora is None:
        report.figure("skipped", "CORPORA_DIR is not set and no corpora lie beside the project")
        report.finish()
        return
    measure_scripts(corpora / "promql-testdata" / "json", report)
    folder = corpora / "prom-compliance" / "promql"
    if folder.is_dir():
        measure_compliance(folder, report)
    report.note(
        "of the same scripts and queries: Prometheus 2.42 passes 345 core evaluations, VictoriaMetrics 1.79 403"
    )
    report.finish()


if __name__ == "__main__":
    main()
