"""Rings the pages' web sockets: a topic and its version, never data.

Losing Redis costs latency and nothing else: a page that missed a ring sees the newer version in the next heartbeat,
or finds itself stale and asks by HTTP.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence

import redis
import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

from aivillage_console.lib import aftercommit
from aivillage_console.lib.pacing import Paced

log = structlog.get_logger(__name__)
LOST = (redis.RedisError, OSError, asyncio.TimeoutError)
KEPT_SECONDS = 86_400
TIMEOUT_SECONDS = 1.0
SILENT_SECONDS = 5.0
PACE_SECONDS = 0.05


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
        async_to_sync(_tell)(dict(zip(topics, counted, strict=True)))
    except LOST as error:
        _versions.silent_until = time.monotonic() + SILENT_SECONDS
        log.warning("live_ring_lost", topics=len(topics), error=type(error).__name__)


async def _tell(rung: Mapping[str, int]) -> None:
    layer = get_channel_layer()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        for topic, version in rung.items():
            await layer.group_send(group(topic), {"type": "live.ring", "topic": topic, "version": version})


_paced = Paced(_send, every_seconds=PACE_SECONDS)


def ring(topic: str) -> None:
    """Tell every page that watches this topic, once the transaction has committed; a transaction tells each once."""
    aftercommit.gather("live", topic, _paced)
