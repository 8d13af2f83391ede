"""The phases, their states and their gates, as Agent Forge knows them: pure tables and the arithmetic over them."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_PHASE_ID = 64
SMALLEST_COMPRESSION = 2.0
TARGET_SUCCESS_RATE = (0.55, 0.75)
Scalar = float | int | str | bool


class RunState(StrEnum):
    """Where a run stands; "stalled" is told from its silence and stored nowhere."""

    QUEUED = "queued"  # Announced, nothing done yet.
    RUNNING = "running"  # At work.
    PAUSED = "paused"  # Stopped by somebody, may go on.
    SUCCEEDED = "succeeded"  # Over, as planned.
    FAILED = "failed"  # Over, with an error; what it made is kept.
    CANCELLED = "cancelled"  # Over, because somebody wanted so.


class PhaseState(StrEnum):
    """Where one phase of a run stands."""

    PENDING = "pending"  # Planned.
    QUEUED = "queued"  # Announced by its sender.
    RUNNING = "running"  # At work.
    PAUSED = "paused"  # Stopped by somebody, may go on.
    SUCCEEDED = "succeeded"  # Over, as planned.
    FAILED = "failed"  # Over, with an error.
    CANCELLED = "cancelled"  # Over, because somebody wanted so.
    SKIPPED = "skipped"  # Left out, or a stub that did nothing.


class GateState(StrEnum):
    """Where a quality gate stands."""

    PENDING = "pending"  # Planned.
    RUNNING = "running"  # Being judged.
    PASSED = "passed"  # Every metric is there and good.
    FAILED = "failed"  # A metric is missing or not good.
    BLOCKED = "blocked"  # Could not be judged.


TERMINAL = frozenset({"succeeded", "failed", "cancelled", "skipped"})
# Words senders use; the value is the state and the warning flag that comes with it.
INTAKE_STATES: dict[str, tuple[str, str]] = {
    "ready": ("pending", ""), "idle": ("pending", ""), "not_started": ("pending", ""), "planned": ("pending", ""),
    "starting": ("running", ""), "started": ("running", ""), "in_progress": ("running", ""), "active": ("running", ""),
    "resumed": ("running", ""),
    "completed": ("succeeded", ""), "complete": ("succeeded", ""), "success": ("succeeded", ""),
    "finished": ("succeeded", ""), "done": ("succeeded", ""),
    "error": ("failed", ""), "failure": ("failed", ""), "crashed": ("failed", ""),
    "canceled": ("cancelled", ""), "stopped": ("cancelled", ""), "aborted": ("cancelled", ""),
    # It did nothing, so it is no success.
    "stub_detected": ("skipped", "stub"), "stub": ("skipped", "stub"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of the pipeline."""

    id: str
    display: str
    does: str
    aliases: tuple[str, ...] = ()
    optional: bool = False


PHASES: tuple[Phase, ...] = (
    Phase("cognate", "Cognate", "pre-trains three small models", ("CognatePhase",), optional=True),
    Phase("evomerge", "EvoMerge", "merges models by evolution", ("EvoMergePhase", "evolution")),
    Phase(
        "quietstar", "Quiet-STaR", "bakes thought tokens in",
        ("QuietSTaRPhase", "quiet_star", "prompt_baking"),
    ),
    Phase(
        "bitnet", "BitNet", "quantises to 1.58 bits",
        ("BitNetCompressionPhase", "initial_compression", "quantization"),
    ),
    Phase(
        "forge_training", "Forge Training", "trains at the edge of chaos", ("ForgeTrainingPhase", "training"),
    ),
    Phase(
        "tool_persona_baking", "Tool/Persona Baking", "bakes tools and a persona in",
        ("ToolPersonaBakingPhase", "tool_baking", "tool_persona"),
    ),
    Phase("adas", "ADAS", "searches an architecture", ("ADASPhase",)),
    Phase(
        "final_compression", "Final Compression", "compresses for delivery",
        ("FinalCompressionPhase", "compression", "hypercompression"),
    ),
)  # fmt: skip
BY_ID: dict[str, Phase] = {phase.id: phase for phase in PHASES}
POSITIONS: dict[str, int] = {phase.id: place for place, phase in enumerate(PHASES)}
DEFAULT_PHASES: tuple[str, ...] = tuple(phase.id for phase in PHASES if not phase.optional)
CUSTOM_POSITION = len(PHASES)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _spellings() -> dict[str, str]:
    return {_plain(name): phase.id for phase in PHASES for name in (phase.id, phase.display, *phase.aliases)}


_SPELLINGS = _spellings()


def phase_id(name: str) -> str:
    """Return the canonical id of a phase; one nobody knows keeps its own name as a custom phase."""
    return _SPELLINGS.get(_plain(name), "") or name.strip()[:MAX_PHASE_ID]


def display(phase: str) -> str:
    """Return the name people read."""
    known = BY_ID.get(phase)
    return known.display if known else phase.replace("_", " ")


def positions(planned: Iterable[str], seen: Iterable[str]) -> dict[str, int]:
    """Return the place of each phase: as planned, then in the pipeline's order, then custom ones by name."""
    order = list(dict.fromkeys(planned))
    rest = sorted(set(seen).difference(order), key=lambda name: (POSITIONS.get(name, CUSTOM_POSITION), name))
    if not order:
        return {name: place for place, name in enumerate(rest)}
    return {name: place for place, name in enumerate([*order, *rest])}


def intake_state(word: str, allowed: type[StrEnum]) -> tuple[str, str]:
    """Return the state a sender's word means and its warning flag; raises ValueError where there is none."""
    said = word.strip().lower().replace("-", "_").replace(" ", "_")
    state, flag = INTAKE_STATES.get(said, (said, ""))
    if state not in {known.value for known in allowed}:
        raise ValueError(f"there is no state {word[:40]!r}; send {', '.join(known.value for known in allowed)}")
    return state, flag


@dataclass(frozen=True, slots=True)
class Bound:
    """What a gate asks of one metric; other names it is sent under follow."""

    metric: str
    limit: float
    at_most: bool = False
    aliases: tuple[str, ...] = ()

    def holds(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        return value <= self.limit if self.at_most else value >= self.limit

    @property
    def text(self) -> str:
        """Return the bound as people write it."""
        return f"{self.metric} {'<=' if self.at_most else '>='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Gate:
    """A quality gate; an empty phase means any."""

    id: str
    display: str
    phase: str
    bounds: tuple[Bound, ...]
    timeout_seconds: int = 300


GATES: tuple[Gate, ...] = (
    Gate("theater_elimination", "Theater Elimination", "quietstar", (
        Bound("theater_score", 0.3, at_most=True), Bound("implementation_depth", 0.7),
        Bound("reality_validation", 0.8),
    )),
    Gate("reasoning_quality", "Reasoning Quality", "quietstar", (
        Bound("reasoning_coherence", 0.75), Bound("thought_depth", 0.6), Bound("integration_quality", 0.8),
    )),
    # The old gate tested a ratio without a direction (>= 0.158); 6.3 is the same the right way up.
    Gate("compression_efficiency", "Compression Efficiency", "bitnet", (
        Bound("compression_ratio", 6.3, aliases=("ratio",)), Bound("accuracy_retention", 0.95),
        Bound("memory_reduction", 0.8),
    )),
    Gate("performance_validation", "Performance Validation", "bitnet", (
        Bound("inference_speedup", 0.3), Bound("energy_efficiency", 0.4), Bound("model_stability", 0.9),
    )),
    Gate("training_convergence", "Training Convergence", "forge_training", (
        Bound("convergence_rate", 0.8), Bound("final_accuracy", 0.9), Bound("grokfast_effectiveness", 0.15),
    )),
    Gate("nasa_pot10", "NASA POT10", "", (
        Bound("security_score", 0.95), Bound("reliability_score", 0.9), Bound("maintainability_score", 0.85),
        Bound("documentation_coverage", 0.8),
    ), timeout_seconds=600),
)  # fmt: skip
_GATE_SPELLINGS = {_plain(name): gate for gate in GATES for name in (gate.id, gate.display)}


def gate_named(name: str) -> Gate | None:
    """Return a gate by its id or display name, None for one nobody knows."""
    return _GATE_SPELLINGS.get(_plain(name))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _metric(metrics: Mapping[str, object], bound: Bound) -> object:
    return next((metrics[name] for name in (bound.metric, *bound.aliases) if name in metrics), None)


def gate_judge(gate: Gate, metrics: Mapping[str, object]) -> tuple[GateState, list[str]]:
    """Return whether a gate passes and, if not, every reason; a missing metric is one."""
    reasons: list[str] = []
    for bound in gate.bounds:
        sent = _metric(metrics, bound)
        value = _number(sent)
        if sent is None:
            reasons.append(f"{bound.metric} is missing; {bound.text} is asked")
        elif value is None:
            reasons.append(f"{bound.metric} is not a number; {bound.text} is asked")
        elif not bound.holds(value):
            reasons.append(f"{bound.metric} is {value:g}; {bound.text} is asked")
    return (GateState.FAILED if reasons else GateState.PASSED), reasons


def training_shortfalls(metrics: Mapping[str, object]) -> list[str]:
    """Return why a training did not succeed; empty when it did."""
    loss, accuracy = _number(metrics.get("final_loss")), _number(metrics.get("final_accuracy"))
    asked = (
        ("final_loss < 2", loss is not None and loss < 2.0),
        ("final_accuracy > 0.7", accuracy is not None and accuracy > 0.7),
        ("edge_in_target_zone", metrics.get("edge_in_target_zone") is True),
    )
    return [text for text, holds in asked if not holds]


def compression_ratio(metrics: Mapping[str, object]) -> float | None:
    """Return original size divided by compressed size: above 1 when it got smaller."""
    for name in ("total_compression_ratio", "compression_ratio"):
        ratio = _number(metrics.get(name))
        if ratio is not None and ratio > 0:
            return ratio
    original, compressed = (_number(metrics.get(f"{word}_size_mb")) for word in ("original", "compressed"))
    if original is None or compressed is None or compressed <= 0 or original <= 0:
        return None
    return original / compressed


def shortfalls(phase: str, metrics: Mapping[str, object]) -> list[str]:
    """Return what a phase falls short of by its own metrics; what was not sent is not judged."""
    if phase == "forge_training" and {"final_loss", "final_accuracy", "edge_in_target_zone"} <= set(metrics):
        return training_shortfalls(metrics)
    ratio = compression_ratio(metrics) if phase == "final_compression" else None
    return ["total_compression_ratio >= 2"] if ratio is not None and ratio < SMALLEST_COMPRESSION else []


def compression_ratios(phase: str, metrics: Mapping[str, object]) -> dict[str, float]:
    """Return the ratios a phase reports by compression type: bitnet, seedlm, vptq, hypercompression, total."""
    found: dict[str, float] = {}
    whole = {"bitnet": "bitnet", "final_compression": "total"}.get(phase, "")
    ratio = compression_ratio(metrics) if whole else None
    if ratio is not None:
        found[whole] = ratio
    for kind in ("seedlm", "vptq", "hypercompression"):
        part = _number(metrics.get(f"{kind}_compression_ratio", metrics.get(f"{kind}_ratio")))
        if phase == "final_compression" and part is not None and part > 0:
            found[kind] = part
    return found


def run_class(attempted: int, succeeded: int, failed: int) -> str:
    """Return the old class of a run: nothing attempted is active, never completed."""
    if attempted > 0 and attempted == succeeded:
        return "completed"
    return "failed" if failed else "active"
