"""`manage.py dispatch`: rings for escalation and messages out and in, sweeps what nobody took, asks and audits."""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand

from alerts import services
from alerts.services import pace
from alerts.sweeping import Chore, Sweeper, Watch

AUDIT_SECONDS = 30
MAINTAIN_SECONDS = 10
RETAIN_SECONDS = 3600
RECONCILE_SECONDS = 5
UNQUIET_SECONDS = 1
LIFECYCLE_SECONDS = 1
INCIDENTS_SECONDS = 3
HANDOVER_SECONDS = 5
COVERED_SECONDS = 60
CONTEXT_SECONDS = 2
# Messages to an open channel only: those that wait for a breaker or a token would keep the loop awake.
NEXT_NOTIFICATION = f"""
SELECT min(greatest(n.due_at, c.breaker_until, {pace.next_token_sql("c")})) FROM alerts_notification n
JOIN alerts_channel c ON c.id = n.channel_id AND c.enabled WHERE n.state = 'due'
"""  # noqa: S608 (put together from the table of channel types, nothing from outside)
NEXT_ESCALATION = "SELECT min(due_at) FROM alerts_escalation WHERE state = 'active'"
NEXT_WEBHOOK = "SELECT min(due_at) FROM alerts_webhookin WHERE state = 'due'"
# The first of each integration: the others wait for it.
NEXT_MESSAGE = """
SELECT min(m.due_at) FROM alerts_inboundmessage m WHERE m.state = 'due' AND NOT EXISTS (
SELECT 1 FROM alerts_inboundmessage e WHERE e.integration_id = m.integration_id AND e.state = 'due' AND e.id < m.id)
"""


def _audit(now: datetime) -> None:
    services.audit_and_repair(now=now)


def _time_out(now: datetime) -> None:
    services.resolve_timed_out(now=now)


def _retain(now: datetime) -> None:
    services.retain(now=now)


def _live_on(now: datetime) -> None:
    services.lifecycle_due(now=now)


def _unquiet(now: datetime) -> None:
    services.unquiet_due(now=now)


def _context(now: datetime) -> None:
    services.context_due(now=now)


def _hand_over(now: datetime) -> None:
    services.handovers_due(now=now)


def _look_at_silences(now: datetime) -> None:
    services.silences_look(now=now)


def _incidents(now: datetime) -> None:
    services.incidents_upkeep(now=now)


def _reconcile(now: datetime) -> None:
    services.reconcile_in_background(now)


class Command(BaseCommand):
    """The net under the Celery workers for escalation, delivery and what receivers send back."""

    help = "Rings for due escalation steps and messages, out and in, and takes what nobody took."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Run until stopped."""
        watches = [
            Watch("escalate", NEXT_ESCALATION, services.escalate_due),
            Watch("dispatch", NEXT_NOTIFICATION, services.dispatch_due),
            Watch("sync", NEXT_WEBHOOK, services.sync_due),
            Watch("sync", NEXT_MESSAGE, services.inbound_due),
        ]
        chores = [
            Chore(RECONCILE_SECONDS, _reconcile), Chore(AUDIT_SECONDS, _audit), Chore(MAINTAIN_SECONDS, _time_out),
            Chore(RETAIN_SECONDS, _retain), Chore(UNQUIET_SECONDS, _unquiet), Chore(INCIDENTS_SECONDS, _incidents),
            Chore(LIFECYCLE_SECONDS, _live_on), Chore(HANDOVER_SECONDS, _hand_over),
            Chore(COVERED_SECONDS, _look_at_silences), Chore(CONTEXT_SECONDS, _context),
        ]  # fmt: skip
        Sweeper(watches, chores).run()
