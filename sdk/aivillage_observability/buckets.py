"""Upper bounds raw observations are folded into, by metric name. Pure.

The named sets are those of the platform's metric catalogue: a duration of 1.2 ms and a phase of two hours cannot
share one set of boundaries.
"""

from bisect import bisect_left

Bounds = tuple[float, ...]

SUB_MILLISECOND: Bounds = (0.0002, 0.0005, 0.00075, 0.001, 0.0012, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.05, 0.1, 0.5)
HTTP: Bounds = (0.005, 0.01, 0.025, 0.05, 0.075, 0.085, 0.1, 0.125, 0.15, 0.25, 0.5, 1.0, 2.5)
PIPELINE: Bounds = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0)
PHASE: Bounds = (60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0)
SECONDS: Bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
MILLISECONDS: Bounds = (
    0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 60000.0,
)  # fmt: skip
BYTES: Bounds = tuple(float(4**power) for power in range(3, 16))
MEGABYTES: Bounds = (-100.0, -10.0, -1.0, 0.0, 0.1, 1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0)
GENERIC: Bounds = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 1000.0)

BY_NAME: dict[str, Bounds] = {
    "agent_forge_phase_duration_seconds": PHASE,
    "phase_duration_seconds": PHASE,
    "agent_forge_request_duration_seconds": PIPELINE,
    "hyperrag_query_duration_seconds": SUB_MILLISECOND,
    "http_request_duration_seconds": HTTP,
    "gateway_request_duration_seconds": HTTP,
    "rag_query_latency_seconds": (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0),
    "gw_latency_seconds": (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
    "twin_chat_latency_seconds": (0.1, 0.3, 0.5, 1.0, 2.0, 5.0),
    "explain_latency_seconds": (0.1, 0.3, 0.5, 1.0, 2.0, 5.0),
    "resource_allocation_duration_seconds": (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0),
    "fog_placement_latency_ms": (10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0),
    "security_detection_duration_seconds": (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0),
    "codomyrmex_analysis_duration_seconds": (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0),
}

BY_SUFFIX: tuple[tuple[str, Bounds], ...] = (
    ("_ms", MILLISECONDS),
    ("_seconds", SECONDS),
    ("_bytes", BYTES),
    ("_mb", MEGABYTES),
)


def bounds_for(name: str) -> Bounds:
    """Return the upper bounds for a metric: its own, else those of its unit."""
    known = BY_NAME.get(name)
    if known is not None:
        return known
    return next((bounds for suffix, bounds in BY_SUFFIX if name.endswith(suffix)), GENERIC)


class Folded:
    """Raw observations folded into counts per bucket, their sum and their number, since the process began."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation; a value on a bound belongs to the bucket below, as `le` says."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, int]]:
        """Return (`le`, observations at or below it) for every bound and +Inf."""
        names = [*(repr(float(bound)) for bound in self.bounds), "+Inf"]
        running = 0
        rows = []
        for name, count in zip(names, self.counts, strict=True):
            running += count
            rows.append((name, running))
        return rows
