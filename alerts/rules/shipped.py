"""The rules the console ships: those whose metrics its collector or the console itself emits.

An app above ships rules of its own as a group with its own interval, from its `hooks.py`:

    SHIPPED_GROUPS.fill("security", ShippedGroup(name="security", interval_seconds=5, rules=(Shipped(…), …)))

Each rule is created once, also on installations that already have others; what people changed or deleted stays so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aivillage_console.lib.registry import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """One default rule."""

    name: str
    kind: str
    spec: dict[str, Any]
    severity: str
    summary: str
    description: str
    runbook: str
    labels: dict[str, str]
    window_seconds: int = 300
    cooldown_seconds: int = 600
    for_seconds: int = 0
    keep_firing_for_seconds: int = 0
    extra: dict[str, str] = field(default_factory=dict)


def _above(path: str, threshold: float, denominator: str = "") -> dict[str, Any]:
    spec = {"metric_path": path, "condition": "greater_than", "threshold": threshold}
    return {**spec, "denominator_path": denominator} if denominator else spec


SHIPPED: Sequence[Shipped] = (
    Shipped(
        name="high_cpu_usage", kind="threshold", spec=_above("cpu_usage_percent", 80), severity="medium",
        window_seconds=300, cooldown_seconds=600, labels={"component": "system", "category": "performance"},
        summary="CPU use of {{ $labels.host }} is {{ printf `%.4g` $value }} %",
        description="The CPU was busier than 80 % on average over five minutes; services slow down.",
        runbook="Look at the top processes and the latest deploys; look for busy loops; profile; scale out.",
    ),
    Shipped(
        name="critical_memory_usage", kind="threshold", spec=_above("memory_usage_percent", 90), severity="critical",
        window_seconds=60, cooldown_seconds=300, labels={"component": "system", "category": "performance"},
        summary="Memory use of {{ $labels.host }} is {{ printf `%.4g` $value }} %",
        description="More than 90 % of the memory is in use; the kernel will soon kill a process.",
        runbook="Find the largest processes; suspect a leak in the last change; shrink caches; raise the limit.",
    ),
    Shipped(
        name="disk_space_low", kind="threshold", spec=_above("disk_usage_percent.last", 90), severity="critical",
        window_seconds=60, cooldown_seconds=1800, for_seconds=60,
        labels={"component": "infrastructure", "category": "reliability"},
        summary="{{ $labels.mount }} of {{ $labels.host }} is {{ printf `%.4g` $value }} % full",
        description="A file system is more than 90 % full; writes will fail when it is full.",
        runbook="Find the largest directories; drop old logs and data past its retention; grow the volume.",
    ),
    Shipped(
        name="slow_response_times", kind="threshold", spec=_above("response_time_ms.p95", 2000), severity="high",
        window_seconds=600, cooldown_seconds=1800, labels={"component": "api-gateway", "category": "performance"},
        summary="95 % of answers of {{ $labels.endpoint }} take up to {{ printf `%.4g` $value }} ms",
        description="The 95th percentile is above two seconds; users wait.",
        runbook="Find the slow endpoint and its slowest trace; look at its query plan and the cache hit rate.",
    ),
    Shipped(
        name="high_error_rate", kind="threshold",
        spec=_above("errors_total.rate", 0.05, "http_requests_total.rate"), severity="high",
        window_seconds=300, cooldown_seconds=900, labels={"component": "api-gateway", "category": "reliability"},
        summary="The share of failed requests is {{ printf `%.4g` $value }}",
        description="More than 5 % of the requests fail.",
        runbook="Look for a new error pattern in the logs; look at the last deploy and at the health of dependencies.",
    ),
    Shipped(
        name="console_rule_group_late", kind="promql", severity="high", for_seconds=120,
        spec={"expr": "sum by (group) (rate(console_rule_evaluation_lag_seconds_sum[5m])) "
                      "/ sum by (group) (rate(console_rule_evaluation_lag_seconds_count[5m])) > 30"},
        labels={"component": "console", "category": "reliability"},
        summary="Rule group {{ $labels.group }} is evaluated {{ printf `%.4g` $value }} s late",
        description="Rules are evaluated long after their time; alerts come late.",
        runbook="Look at the worker's and the evaluator's log, at slow rules, and at the load of PostgreSQL.",
    ),
    Shipped(
        name="console_escalation_overdue", kind="promql", severity="critical",
        spec={"expr": "max(console_escalation_overdue) > 0"},
        labels={"component": "console", "category": "reliability"},
        summary="{{ printf `%.4g` $value }} escalation steps are overdue",
        description="Steps of policies are more than 30 seconds late.",
        runbook="Is the dispatcher running? Look at its log and at the queue escalate.",
    ),
)  # fmt: skip
GROUP = "defaults"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedGroup:
    """Default rules that are evaluated together, on a grid of their own."""

    name: str
    rules: Sequence[Shipped]
    interval_seconds: int = 60


SHIPPED_GROUPS: Registry[ShippedGroup] = Registry(
    "shipped rules", ("security", "forge", "health", "heartbeats", "test-runs")
)
