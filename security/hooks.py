"""What Security hangs on the floors below: the whole list of its upward connections."""

from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.shipped import SHIPPED_GROUPS
from alerts.sweeping import WATCHES, Watch
from metrics.registry import record_kind_register
from security import asked, intake, services, shipped

NEXT_EVENT = "SELECT min(due_at) FROM security_securityevent WHERE detected_at IS NULL"

record_kind_register(intake.KIND)
WATCHES.fill("detect", Watch("detect", NEXT_EVENT, services.sweep_due))
ASKED_KINDS.fill("security_event", asked.KIND)
SHIPPED_GROUPS.fill("security", shipped.GROUP)
