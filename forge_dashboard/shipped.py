"""The rules Agent Forge ships."""

from alerts.rules.shipped import Shipped, ShippedGroup

LABELS = {"service": "agent_forge", "component": "agent_forge", "category": "reliability"}
SHARE = (
    'sum(increase(agent_forge_phases_total{status="failed"}[30m])) / sum(increase(agent_forge_phases_total[30m])) > 0.1'
)

GROUP = ShippedGroup(
    name="forge", interval_seconds=10, rules=(
        Shipped(
            name="agent_forge_phase_failed", kind="phase_failed", spec={}, severity="critical", window_seconds=3600,
            cooldown_seconds=60, labels=LABELS, summary="{{ $labels.phase }} of {{ $labels.run_name }} failed",
            description="A phase of a pipeline failed and has not begun again.",
            runbook="Read the error and the last lines; look at input data, checkpoint disk and memory; start the "
                    "phase again from its last checkpoint.",
        ),
        Shipped(
            name="agent_forge_run_stalled", kind="run_stalled", spec={}, severity="high", cooldown_seconds=600,
            labels=LABELS, summary="{{ $labels.run_name }} says nothing",
            description="A run that should be at work has sent no event for five minutes, or for ten of its intervals.",
            runbook="Is the process alive? Does it wait for a device, a disk or a lock? Can it reach the console?",
        ),
        Shipped(
            name="agent_forge_phase_failure", kind="promql", spec={"expr": SHARE}, severity="critical",
            window_seconds=1800, cooldown_seconds=3600, labels=LABELS,
            summary="The share of failed phases is {{ $value }}",
            description="More than a tenth of the phases that ended in half an hour failed; the pipeline is blocked.",
            runbook="Phase log; input data; checkpoint disk; GPU memory; restart the phase clean; versions of "
                    "dependencies.",
        ),
    ),
)  # fmt: skip
