"""Which alerts an incident speaks for."""

from alerts.engine.correlation import IncidentState
from alerts.models import Alert, IncidentMember


def listed_in(alert: Alert) -> int | None:
    """Return the open incident that keeps an alert from being told, None where none does."""
    rows = IncidentMember.objects.filter(
        alert=alert, current=True, listed=True, incident__state=IncidentState.OPEN.value
    )
    return rows.values_list("incident_id", flat=True).first()
