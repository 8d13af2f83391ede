"""Figures about pipelines, as the catalogue of metrics names them; told once a transition, whatever is sent again."""

from prometheus_client import Counter, Gauge, Histogram

from forge_dashboard.catalogue import BY_ID

PHASES = Counter("agent_forge_phases_total", "Finished phases by outcome.", ["phase", "status", "model_size"])
PHASE_SECONDS = Histogram(
    "agent_forge_phase_duration_seconds", "How long phases took.", ["phase", "model_size"],
    buckets=(60, 300, 600, 1800, 3600, 7200, 14400),
)  # fmt: skip
COMPRESSION = Gauge(
    "model_compression_ratio", "Original size divided by compressed size.", ["model", "compression_type"],
    multiprocess_mode="mostrecent",
)  # fmt: skip

MOST_VALUES = 100
OTHER = "other"


class _Bounded:
    """Values of a label: names people make up must not become series without end."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}

    def value(self, label: str, text: str) -> str:
        """Return the text, or "other" once too many different ones were seen."""
        known = self._seen.setdefault(label, set())
        if text in known or len(known) < MOST_VALUES:
            known.add(text)
            return text
        return OTHER


_bounded = _Bounded()


def phase_ended(phase: str, status: str, model_size: str) -> None:
    """Count a finished phase."""
    name = phase if phase in BY_ID else _bounded.value("phase", phase)
    PHASES.labels(name, status, _bounded.value("model_size", model_size)).inc()


def phase_took(phase: str, model_size: str, seconds: float) -> None:
    """Count how long a phase took."""
    name = phase if phase in BY_ID else _bounded.value("phase", phase)
    PHASE_SECONDS.labels(name, _bounded.value("model_size", model_size)).observe(seconds)


def compressed(model: str, kind: str, ratio: float) -> None:
    """Tell by how much a model was compressed."""
    COMPRESSION.labels(_bounded.value("model", model), kind).set(ratio)
