"""What a phase tells while it works: the SDK's calls, thinned to a few steps a second, and files with their hash."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aivillage_observability.pipeline import PipelinePhase

EVERY_SECONDS = 0.15
Figure = float | str | bool


@dataclass(slots=True)
class PhaseReport:
    """What one phase says."""

    told: PipelinePhase
    phase: str
    folder: Path
    clock: Callable[[], float]
    last_told_at: float = 0.0
    artifacts: int = 0

    def step(self, number: int, total: int, *, message: str = "", **metrics: float) -> None:
        """Tell how far the phase is, and what it measures there; most calls are left out, never the last."""
        now = self.clock()
        if now - self.last_told_at < EVERY_SECONDS and number < total:
            return
        self.last_told_at = now
        self.told.progress(number, total_steps=total, message=message)
        if metrics:
            self.metrics(metrics, step=number)

    def metrics(self, values: Mapping[str, Figure], step: int | None = None) -> None:
        """Tell measured values; with a step they are points of a curve."""
        self.told.metrics(_rounded(values), step=step)

    def log(self, message: str, level: str = "info") -> None:
        """Tell a line."""
        self.told.log(message, level)

    def artifact(self, kind: str, name: str, content: bytes | object, **metadata: object) -> Path:
        """Write a file of the run and tell its size and hash."""
        data = content if isinstance(content, bytes) else json.dumps(content, indent=1).encode()
        path = self.folder / self.phase / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        self.told.artifact(
            name, kind=kind, url=path.as_uri(), size_bytes=len(data), sha256=digest, metadata=metadata
        )  # fmt: skip
        self.artifacts += 1
        return path

    def checkpoint(self, name: str, data: bytes, step: int) -> None:
        """Write a state to go on from."""
        path = self.artifact("checkpoint", name, data)
        self.told.checkpoint(name, path.as_uri(), step=step)

    def gate(self, name: str, **metrics: float) -> None:
        """Hand the measured values of a quality gate to the console, which judges."""
        self.told.gate(name, _rounded(metrics))


def _rounded(values: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return numbers with six significant digits, anything else as it is."""
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in values.items()}
