"""Rings Celery: "work may be due". A lost ring costs latency and nothing else, for sweepers take what nobody took."""

import functools
import time
from typing import Literal

import structlog
from celery import Celery
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

Kind = Literal["evaluate", "escalate", "dispatch"]
SILENT_SECONDS = 5.0
log = structlog.get_logger(__name__)


class _Silence:
    """Until when the broker is left alone after an error, so that a dead one slows no commit."""

    until = 0.0


@functools.cache
def _broker() -> Celery:
    # An application of its own: the roof's may not be imported from here, and only the broker's address is needed.
    app = Celery("doorbell", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    return app


def ring(kind: Kind) -> None:
    """Send the task of that kind once the transaction is committed."""
    transaction.on_commit(functools.partial(ring_now, kind), robust=True)


def ring_now(kind: Kind) -> bool:
    """Send the task at once; return whether the broker took it."""
    if not settings.CONFIG.celery_enabled or time.monotonic() < _Silence.until:
        return False
    try:
        _broker().send_task(f"alerts.tasks.{kind}", queue=kind, expires=10, retry=False, ignore_result=True)
    except (OperationalError, RedisError, OSError) as error:
        _Silence.until = time.monotonic() + SILENT_SECONDS
        log.warning("doorbell.silent", kind=kind, error=str(error))
        return False
    return True
