"""Takes in what senders say about pipelines: the record kind `pipeline-events`."""

from forge_dashboard.intake.rows import EventRow
from forge_dashboard.intake.writing import write_events

__all__ = ["EventRow", "write_events"]
