"""Rings Celery: "work may be due". A lost ring costs latency and nothing else, for sweepers take what nobody took."""

import functools
import time
from collections.abc import Mapping
from typing import Literal

import redis
import structlog
from celery import Celery
from django.conf import settings
from kombu.exceptions import OperationalError

from aivillage_console.lib import aftercommit
from aivillage_console.lib.pacing import Paced

Kind = Literal["evaluate", "escalate", "dispatch", "sync", "detect", "check", "backfill"]
# By name, for a bell may know nothing of the floors above it: the task of each kind, and the queue it waits in.
TASKS: Mapping[Kind, tuple[str, str]] = {
    "evaluate": ("alerts.tasks.evaluate", "evaluate"),
    "escalate": ("alerts.tasks.escalate", "escalate"),
    "dispatch": ("alerts.tasks.dispatch", "dispatch"),
    "sync": ("alerts.tasks.sync", "sync"),
    "detect": ("security.tasks.detect", "detect"),
    "check": ("health.tasks.check", "sync"),
    "backfill": ("alerts.tasks.backfill", "maintain"),
}
SILENT_SECONDS = 10.0
TIMEOUT_SECONDS = 1.0
ASKING_SECONDS = 0.5
PACE_SECONDS = 0.05
log = structlog.get_logger(__name__)


class _Silence:
    """Until when the broker is left alone after an error, so that a dead one slows no commit."""

    until = 0.0
    asked_first = False  # Whether the last ring was lost, so that the broker has to answer before the next.


@functools.cache
def _broker() -> Celery:
    # An application of its own: the roof's may not be imported from here, and only the broker's address is needed.
    app = Celery("doorbell", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    # A broker that hangs must hold up no commit for longer than this.
    app.conf.broker_transport_options = {
        **app.conf.broker_transport_options,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
    }
    return app


def _answers() -> bool:
    """Tell whether the broker is back: to ring one that hangs waits out one time limit after another, four in all."""
    url, limit = settings.CELERY_BROKER_URL, ASKING_SECONDS
    try:
        with redis.Redis.from_url(url, socket_timeout=limit, socket_connect_timeout=limit) as client:
            client.ping()
    except (redis.RedisError, OSError):
        return False
    return True


def _silent(kind: Kind, error: str) -> bool:
    _Silence.until, _Silence.asked_first = time.monotonic() + SILENT_SECONDS, True
    log.warning("doorbell.silent", kind=kind, error=error)
    return False


def ring(kind: Kind) -> None:
    """Send the task of that kind once the transaction is committed; a transaction rings each kind once."""
    aftercommit.gather(f"doorbell:{kind}", kind, _paced[kind])


def ring_now(kind: Kind) -> bool:
    """Send the task at once; return whether the broker took it."""
    if not settings.CONFIG.celery_enabled or time.monotonic() < _Silence.until:
        return False
    if _Silence.asked_first and not _answers():
        return _silent(kind, "does not answer yet")
    try:
        task, queue = TASKS[kind]
        _broker().send_task(task, queue=queue, expires=10, retry=False, ignore_result=True)
    except (OperationalError, redis.RedisError, OSError) as error:
        return _silent(kind, str(error))
    _Silence.asked_first = False
    return True


# A hundred decisions a second need not ring a hundred times: the task takes all that is due.
_paced = {
    kind: Paced(lambda _, kind=kind: ring_now(kind), every_seconds=PACE_SECONDS)  # type: ignore[misc]
    for kind in TASKS
}
