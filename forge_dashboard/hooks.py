"""What Agent Forge hangs on the floors below: the whole list of its upward connections."""

from forge_dashboard.intake import EventRow, write_events
from metrics.registry import RecordKind, record_kind_register

record_kind_register(RecordKind(slug="pipeline-events", scope="ingest:pipelines", schema=EventRow, write=write_events))
