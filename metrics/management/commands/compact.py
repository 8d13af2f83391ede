"""`manage.py compact`: the one writer of group blocks, with partitions, retention, pushed groups and remote write."""

import argparse
import signal
import threading
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, connection

from aivillage_console.lib import clock
from metrics import services
from metrics.models import HeadBlock
from metrics.remote_out.queue import queue_trim
from metrics.remote_out.sender import Senders
from metrics.store.compaction import compactor_lock

POLL_SECONDS = 5.0
EVERY = timedelta(seconds=60)
BACKLOG_BLOCKS = 500
CARE_EVERY = timedelta(hours=1)
SWEEP_EVERY = timedelta(minutes=5)


class Command(BaseCommand):
    """Compact every minute, or sooner when the head grows."""

    help = "Pack head blocks into group blocks, make and drop day partitions."

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stopping = threading.Event()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add `--once`."""
        parser.add_argument("--once", action="store_true", help="Do one pass and end.")

    def handle(self, *_args: Any, once: bool = False, **_options: Any) -> None:
        """Hold the lock for as long as the process lives; wait for it while another has it."""
        if once:
            self._once()
            return
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        signal.signal(signal.SIGINT, lambda *_: self.stopping.set())
        while not self.stopping.is_set():
            try:
                self._hold()
            except (OperationalError, InterfaceError) as error:
                self.stderr.write(f"compactor: the database is away ({error.__class__.__name__}), trying again")
                connection.close()
            self.stopping.wait(POLL_SECONDS)

    def _once(self) -> None:
        with compactor_lock() as held:
            if not held:
                self.stdout.write("another compactor is running")
                return
            now = clock.now()
            self._care(now)
            run = services.compaction_run(now=now)
            services.series_sweep(now=now)
            services.figures_keep(now=now)
            queue_trim(now=now)
        self.stdout.write(f"{run.head_blocks} head blocks, {run.samples} samples -> {run.group_blocks} group blocks")

    def _hold(self) -> None:
        with compactor_lock() as held, ExitStack() as stack:
            senders = stack.enter_context(Senders()) if held else None
            compacted_at = cared_at = repeated_at = swept_at = count_at = None
            repeat = timedelta(seconds=settings.CONFIG.push_repeat_seconds)
            while senders is not None and not self.stopping.is_set():
                now = clock.now()
                senders.look()
                if cared_at is None or now - cared_at >= CARE_EVERY:
                    self._care(now)
                    cared_at = now
                if repeated_at is None or now - repeated_at >= repeat:
                    services.pushed_groups_repeat()
                    repeated_at = now
                if compacted_at is None or now - compacted_at >= EVERY or self._backlog():
                    services.compaction_run(now=now)
                    queue_trim(now=now)
                    compacted_at = now
                if swept_at is None or now - swept_at >= SWEEP_EVERY:
                    services.series_sweep(now=now)
                    swept_at = now
                if count_at is None or now >= count_at:
                    count_at = services.figures_keep(now=now)
                self.stopping.wait(POLL_SECONDS)

    def _backlog(self) -> bool:
        return HeadBlock.objects.order_by()[:BACKLOG_BLOCKS].count() >= BACKLOG_BLOCKS

    def _care(self, now: datetime) -> None:
        services.partitions_prepare(now=now)
        services.retention_apply(now=now)
