"""Rings the pages' web sockets: a topic and its version, never data.

Losing Redis costs latency and nothing else: a page that missed a ring sees the newer version in the next heartbeat,
or finds itself stale and asks by HTTP.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence

import redis
import structlog
from channels.layers import get_channel_layer
from django.conf import settings

from aivillage_console.lib import aftercommit
from aivillage_console.lib.pacing import Paced

log = structlog.get_logger(__name__)
LOST = (redis.RedisError, OSError, asyncio.TimeoutError)
KEPT_SECONDS = 86_400
TIMEOUT_SECONDS = 1.0
SILENT_SECONDS = 5.0
PACE_SECONDS = 0.1
# What the layer's `group_send` publishes to. Through it each ring would begin an event loop and connect to Redis anew,
# which cost a fifth of a small intake request.
GROUPS = "asgi__group__"


class _Versions:
    """The counters in Redis, connected on first use."""

    client: redis.Redis | None = None
    silent_until = 0.0  # A Redis that hangs is left alone for a while, so that it slows no commit.

    def connection(self) -> redis.Redis:
        if self.client is None:
            url = settings.CACHES["default"]["LOCATION"]
            self.client = redis.Redis.from_url(
                url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS
            )
        return self.client


_versions = _Versions()


def group(topic: str) -> str:
    """Return the channel layer's name of a topic; it allows no colon."""
    return "live." + topic.replace(":", ".")


def versions(topics: Iterable[str]) -> dict[str, int]:
    """Return the current version of each topic; empty when Redis is away."""
    names = list(topics)
    if not names:
        return {}
    try:
        found = _versions.connection().mget([f"live:{name}" for name in names])
    except LOST:
        return {}
    return {name: int(value or 0) for name, value in zip(names, found, strict=True)}


def _send(topics: Sequence[str]) -> None:
    if time.monotonic() < _versions.silent_until:
        return
    try:
        with _versions.connection().pipeline(transaction=False) as pipe:
            for topic in topics:
                pipe.incr(f"live:{topic}")
                pipe.expire(f"live:{topic}", KEPT_SECONDS)
            counted = pipe.execute()[::2]
            for topic, version in zip(topics, counted, strict=True):
                pipe.publish(GROUPS + group(topic), _message(topic, version))
            pipe.execute()
    except LOST as error:
        _versions.silent_until = time.monotonic() + SILENT_SECONDS
        log.warning("live_ring_lost", topics=len(topics), error=type(error).__name__)


def _message(topic: str, version: int) -> bytes:
    packed: bytes = get_channel_layer().serialize({"type": "live.ring", "topic": topic, "version": version})
    return packed


_paced = Paced(_send, every_seconds=PACE_SECONDS)


def ring(topic: str) -> None:
    """Tell every page that watches this topic, once the transaction has committed; a transaction tells each once."""
    aftercommit.gather("live", topic, _paced)
