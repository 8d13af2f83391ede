"""Rings Celery: "work may be due". A lost ring costs latency and nothing else, for sweepers take what nobody took."""

import functools
import time
from typing import Literal, get_args

import structlog
from celery import Celery
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from aivillage_console.lib import aftercommit
from aivillage_console.lib.pacing import Paced

Kind = Literal["evaluate", "escalate", "dispatch"]
SILENT_SECONDS = 10.0
TIMEOUT_SECONDS = 1.0
PACE_SECONDS = 0.05
log = structlog.get_logger(__name__)


class _Silence:
    """Until when the broker is left alone after an error, so that a dead one slows no commit."""

    until = 0.0


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


def ring(kind: Kind) -> None:
    """Send the task of that kind once the transaction is committed; a transaction rings each kind once."""
    aftercommit.gather(f"doorbell:{kind}", kind, _paced[kind])


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


# A hundred decisions a second need not ring a hundred times: the task takes all that is due.
_paced = {
    kind: Paced(lambda _, kind=kind: ring_now(kind), every_seconds=PACE_SECONDS)  # type: ignore[misc]
    for kind in get_args(Kind)
}
