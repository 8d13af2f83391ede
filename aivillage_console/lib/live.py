"""Rings the pages' web sockets: a topic and its version, never data.

Losing Redis costs latency and nothing else: a page that missed a ring sees the newer version in the next heartbeat,
or finds itself stale and asks by HTTP.
"""

import asyncio
from collections.abc import Iterable

import redis
import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction

log = structlog.get_logger(__name__)
LOST = (redis.RedisError, OSError, asyncio.TimeoutError)
KEPT_SECONDS = 86_400
TIMEOUT_SECONDS = 1.0


class _Versions:
    """The counters in Redis, connected on first use."""

    client: redis.Redis | None = None

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


def _send(topic: str) -> None:
    try:
        client = _versions.connection()
        version = client.incr(f"live:{topic}")
        client.expire(f"live:{topic}", KEPT_SECONDS)
        layer = get_channel_layer()
        async_to_sync(layer.group_send)(group(topic), {"type": "live.ring", "topic": topic, "version": version})
    except LOST as error:
        log.warning("live_ring_lost", topic=topic, error=type(error).__name__)


def ring(topic: str) -> None:
    """Tell every page that watches this topic, once the transaction has committed."""
    transaction.on_commit(lambda: _send(topic))
