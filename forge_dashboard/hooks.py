"""What Agent Forge hangs on the floors below: the whole list of its upward connections."""

from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.shipped import SHIPPED_GROUPS
from forge_dashboard import asked, shipped
from forge_dashboard.intake import EventRow, write_events
from metrics.registry import RecordKind, record_kind_register

record_kind_register(RecordKind(slug="pipeline-events", scope="ingest:pipelines", schema=EventRow, write=write_events))
ASKED_KINDS.fill("phase_failed", asked.PHASE_FAILED)
ASKED_KINDS.fill("run_stalled", asked.RUN_STALLED)
SHIPPED_GROUPS.fill("forge", shipped.GROUP)
