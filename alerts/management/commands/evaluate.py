"""`manage.py evaluate`: rings for rule groups whose grid time has come, and sweeps what nobody took."""

from typing import Any

from django.core.management.base import BaseCommand

from aivillage_console.lib import clock
from alerts import services
from alerts.services.backtests import backtests_due
from alerts.sweeping import WATCHES, Sweeper, Watch

NEXT_BACKFILL = "SELECT min(due_at) FROM alerts_recordingbackfill WHERE state = 'due'"
NEXT_BACKTEST = "SELECT min(due_at) FROM alerts_backtestrun WHERE state = 'due'"
NEXT_GROUP = "SELECT min(due_at) FROM alerts_rulegroup WHERE enabled"


class Command(BaseCommand):
    """The net under the Celery workers for rule evaluation."""

    help = "Rings for due rule groups, and evaluates what nobody took."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Put the defaults in place, then run until stopped."""
        services.ensure_defaults(now=clock.now())
        own = [
            Watch("evaluate", NEXT_GROUP, services.evaluate_due),
            Watch("backfill", NEXT_BACKFILL, services.backfill_due),
            Watch("backfill", NEXT_BACKTEST, backtests_due),
        ]
        Sweeper([*own, *(watch for _, watch in WATCHES.filled())]).run()
