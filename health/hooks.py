"""What Health hangs on the floors below: the whole list of its upward connections."""

from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.shipped import SHIPPED_GROUPS, Shipped, ShippedGroup
from alerts.sweeping import WATCHES, Watch
from health.asked import COMPONENT
from health.intake.rows import HEALTH_RESULTS
from health.probes.own import register_own
from health.services import check_due
from metrics.registry import record_kind_register

# Where nothing was ever seeded the first sweep does it; afterwards an empty table means that nothing is due.
NEXT_CHECK = """
SELECT coalesce((SELECT min(due_at) FROM health_check WHERE enabled AND kind <> 'reported'),
                (SELECT console_now() WHERE NOT EXISTS (SELECT 1 FROM health_pulse WHERE name = 'seed')))
"""
UNHEALTHY = Shipped(
    name="component_unhealthy", kind="component", spec={"status": "unhealthy", "components": []}, severity="high",
    for_seconds=30, cooldown_seconds=300, labels={"category": "reliability"},
    summary="{{ $labels.component }} is unhealthy",
    description="The health score of {{ $labels.component }} is {{ $value }} of 100: 30 or less.",
    runbook="Open Health, look at the inputs of the score and at what the failing checks say; run them again.",
)  # fmt: skip

register_own()
record_kind_register(HEALTH_RESULTS)
WATCHES.fill("check", Watch("check", NEXT_CHECK, check_due))
ASKED_KINDS.fill("component", COMPONENT)
SHIPPED_GROUPS.fill("health", ShippedGroup(name="health", interval_seconds=10, rules=(UNHEALTHY,)))
