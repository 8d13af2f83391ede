"""What Security hangs on the floors below: the whole list of its upward connections."""

from alerts.sweeping import WATCHES, Watch
from metrics.registry import record_kind_register
from security import intake, services

NEXT_EVENT = "SELECT min(due_at) FROM security_securityevent WHERE detected_at IS NULL"

record_kind_register(intake.KIND)
WATCHES.fill("detect", Watch("detect", NEXT_EVENT, services.detect_due))
