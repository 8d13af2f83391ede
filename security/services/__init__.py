"""What changes Security: the entrance for doors, tasks and hooks."""

from security.services.blocks import (
    allow_add,
    allow_remove,
    block_add,
    block_extend,
    block_lift,
    note_expired,
)
from security.services.detect import detect_due, look_at, pulse, sweep_due
from security.services.targets import dangers, spelled
from security.services.upkeep import pulled, retain, upkeep

__all__ = [
    "allow_add",
    "allow_remove",
    "block_add",
    "block_extend",
    "block_lift",
    "dangers",
    "detect_due",
    "look_at",
    "note_expired",
    "pulled",
    "pulse",
    "retain",
    "spelled",
    "sweep_due",
    "upkeep",
]
