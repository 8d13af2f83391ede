"""What changes Health: the entrance for doors and tasks."""

from health.services.discovery import discover
from health.services.registry import (
    Invalid,
    Outdated,
    check_save,
    component_save,
    configured_delete,
)
from health.services.run_checks import NotPossible, check_due, check_run_now
from health.services.seed import ensure_own

__all__ = [
    "Invalid",
    "NotPossible",
    "Outdated",
    "check_due",
    "check_run_now",
    "check_save",
    "component_save",
    "configured_delete",
    "discover",
    "ensure_own",
]
