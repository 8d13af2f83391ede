"""What changes alerts: the entrance for doors, tasks and the apps above."""

from alerts.services.actions import (
    StaleVersion,
    alert_acknowledge,
    alert_assign,
    alert_note,
    alert_reopen,
    alert_resolve,
    alert_snooze,
    alert_thumb,
    alert_unacknowledge,
    alert_unsnooze,
)
from alerts.services.audit import audit_and_repair
from alerts.services.backfill import backfill_cancel, backfill_due, backfill_order
from alerts.services.channels import channel_test, notification_replay
from alerts.services.context import context_due
from alerts.services.decide import observe
from alerts.services.defaults import ensure_defaults
from alerts.services.dispatch import dispatch_due
from alerts.services.escalate import escalate_due
from alerts.services.evaluate import evaluate_due
from alerts.services.handover import handovers_due, silences_look
from alerts.services.hurrying import hurry
from alerts.services.inbound import Delivery, Kept, webhook_keep
from alerts.services.incident_upkeep import incidents_upkeep
from alerts.services.incidents import (
    StaleIncident,
    incident_acknowledge,
    incident_add,
    incident_assign,
    incident_make,
    incident_merge,
    incident_note,
    incident_remove,
    incident_rename,
    incident_resolve,
    incident_split,
)
from alerts.services.intake import Incoming, alerts_intake, resolve_timed_out
from alerts.services.integrations import Issued, integration_of, integration_rotate, integration_save
from alerts.services.lifecycle import lifecycle_due
from alerts.services.messages import Message, hints_of, inbound_due, message_keep, reading_of
from alerts.services.noise import NOTHING, noise_of
from alerts.services.reconcile import reconcile_due, reconcile_in_background
from alerts.services.response_times import response_times
from alerts.services.retention import retain
from alerts.services.rule_files import rule_files_export, rule_files_import
from alerts.services.sync import sync_due
from alerts.services.unquieting import BadSilence, NoSilence, Wanted, silence_expire, silence_save, unquiet_due
from alerts.services.why import why_told

__all__ = [
    "NOTHING",
    "BadSilence",
    "Delivery",
    "Incoming",
    "Issued",
    "Kept",
    "Message",
    "NoSilence",
    "StaleIncident",
    "StaleVersion",
    "Wanted",
    "alert_acknowledge",
    "alert_assign",
    "alert_note",
    "alert_reopen",
    "alert_resolve",
    "alert_snooze",
    "alert_thumb",
    "alert_unacknowledge",
    "alert_unsnooze",
    "alerts_intake",
    "audit_and_repair",
    "backfill_cancel",
    "backfill_due",
    "backfill_order",
    "channel_test",
    "context_due",
    "dispatch_due",
    "ensure_defaults",
    "escalate_due",
    "evaluate_due",
    "handovers_due",
    "hints_of",
    "hurry",
    "inbound_due",
    "incident_acknowledge",
    "incident_add",
    "incident_assign",
    "incident_make",
    "incident_merge",
    "incident_note",
    "incident_remove",
    "incident_rename",
    "incident_resolve",
    "incident_split",
    "incidents_upkeep",
    "integration_of",
    "integration_rotate",
    "integration_save",
    "lifecycle_due",
    "message_keep",
    "noise_of",
    "notification_replay",
    "observe",
    "reading_of",
    "reconcile_due",
    "reconcile_in_background",
    "resolve_timed_out",
    "response_times",
    "retain",
    "rule_files_export",
    "rule_files_import",
    "silence_expire",
    "silence_save",
    "silences_look",
    "sync_due",
    "unquiet_due",
    "webhook_keep",
    "why_told",
]
