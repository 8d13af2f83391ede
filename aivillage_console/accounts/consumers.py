"""The one web socket of a page: it hears that a topic changed, and fetches what changed by HTTP."""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import orjson
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import DatabaseError
from django.urls import URLPattern, path

from aivillage_console.accounts import selectors
from aivillage_console.accounts.models import User
from aivillage_console.lib import live
from aivillage_console.lib.ratelimit import Buckets, Limit

BEAT_SECONDS = 5.0
SEND_SECONDS = 10.0
MAX_MESSAGE_BYTES = 65_536
MAX_TOPICS = 50
MAX_SOCKETS_OF_USER = 10
MAX_SOCKETS = 500
SIGNED_OUT, TOO_BIG, TOO_FAST, TOO_MANY, TOO_SLOW, TRY_LATER = 4401, 1009, 4408, 4429, 4413, 1013

_open: Counter[str] = Counter()


def allowed_origins() -> list[str]:
    """Return the origins whose pages may open a socket: scheme, host and port all count."""
    public = urlsplit(settings.CONFIG.public_url)
    port = f":{public.port}" if public.port else ""
    hosts = [host for host in settings.CONFIG.allowed_hosts if host != "*"]
    return [settings.CONFIG.public_url.rstrip("/"), *(f"{public.scheme}://{host}{port}" for host in hosts)]


class ShellConsumer(AsyncWebsocketConsumer):  # type: ignore[misc] # channels has no types
    """Subscribes to topics and passes their versions on; a slow reader gets the newest version or is dropped."""

    seat = ""  # Whose seat this socket holds; empty when it holds none.

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the socket and give everything back, however it ends: not every end is a `disconnect`."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()

    async def connect(self) -> None:
        """Take the socket of a signed-in person, if it is not one too many."""
        self.user: User | None = None
        self.topics: set[str] = set()
        self.waiting: dict[str, int] = {}
        self.wake = asyncio.Event()
        self.jobs: list[asyncio.Task[None]] = []
        self.buckets = Buckets(Limit(per_second=20, burst=20))
        self.session_key = getattr(self.scope.get("session"), "session_key", None) or ""
        user = await self._session_user()
        if user is None:
            await self.close(SIGNED_OUT)
            return
        if _open[str(user.pk)] >= MAX_SOCKETS_OF_USER or _open.total() >= MAX_SOCKETS:
            await self.close(TOO_MANY)
            return
        self.user = user
        self._sit(str(user.pk))
        await self.accept()
        self.jobs = [asyncio.create_task(self._beat()), asyncio.create_task(self._pass_on())]

    async def disconnect(self, code: int) -> None:  # noqa: ARG002
        """Give everything back."""
        self._leave()
        for topic in self.topics:
            with contextlib.suppress(*live.LOST):
                await self.channel_layer.group_discard(live.group(topic), self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Read one request of the page: subscribe or unsubscribe."""
        if self.buckets.take("socket", now_seconds=time.monotonic()) > 0:
            await self.close(TOO_FAST)
            return
        raw = bytes_data if text_data is None else text_data.encode()
        if raw is None or len(raw) > MAX_MESSAGE_BYTES:
            await self.close(TOO_BIG)
            return
        try:
            asked = orjson.loads(raw)
        except orjson.JSONDecodeError:
            asked = None
        if not isinstance(asked, dict) or not isinstance(asked.get("topics"), list):
            await self._tell({"error": 'send {"action": "subscribe", "topics": [...]}'})
            return
        topics = [topic for topic in asked["topics"] if isinstance(topic, str)][:MAX_TOPICS]
        if asked.get("action") == "unsubscribe":
            await self._unsubscribe(topics)
        elif asked.get("action") == "subscribe":
            await self._subscribe(topics)
        else:
            await self._tell({"error": "action is subscribe or unsubscribe"})

    async def live_ring(self, message: dict[str, Any]) -> None:
        """Note that a topic has a newer version; several rings become one message."""
        if message["topic"] in self.topics:
            self.waiting[message["topic"]] = message["version"]
            self.wake.set()

    def _sit(self, seat: str) -> None:
        self.seat = seat
        _open[seat] += 1

    def _leave(self) -> None:
        # A refusal, a broken connection and a `disconnect` may all come: the seat is given back once.
        if self.seat:
            _open[self.seat] -= 1
            if _open[self.seat] <= 0:
                del _open[self.seat]
            self.seat, self.user = "", None
        for job in getattr(self, "jobs", ()):
            job.cancel()

    async def _subscribe(self, topics: list[str]) -> None:
        if self.user is None:
            return
        refused = [topic for topic in topics if not selectors.may_watch(self.user, topic)]
        taken = [topic for topic in topics if topic not in refused and topic not in self.topics]
        for topic in taken[: MAX_TOPICS - len(self.topics)]:
            self.topics.add(topic)
            # Without Redis the heartbeat goes on without versions, and the page polls.
            with contextlib.suppress(*live.LOST):
                await self.channel_layer.group_add(live.group(topic), self.channel_name)
        await self._tell({"versions": await asyncio.to_thread(live.versions, self.topics), "refused": refused})

    async def _unsubscribe(self, topics: list[str]) -> None:
        for topic in self.topics.intersection(topics):
            self.topics.discard(topic)
            with contextlib.suppress(*live.LOST):
                await self.channel_layer.group_discard(live.group(topic), self.channel_name)
        await self._tell({"unsubscribed": topics})

    async def _beat(self) -> None:
        # The session is read afresh at every beat: a sign-out, a new role or a disabled account ends the socket
        # within five seconds, with Redis or without; so does a database that cannot tell.
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                user = await self._session_user()
            except DatabaseError:
                await self.close(TRY_LATER)
                return
            if not self.seat:
                return
            if user is None:
                await self.close(SIGNED_OUT)
                return
            self.user = user
            await self._tell({"versions": await asyncio.to_thread(live.versions, list(self.topics))})

    async def _session_user(self) -> User | None:
        if not self.session_key:
            return None
        found: User | None = await database_sync_to_async(selectors.session_user)(self.session_key)
        return found

    async def _pass_on(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            while self.waiting:
                topic = next(iter(self.waiting))
                await self._tell({"topic": topic, "version": self.waiting.pop(topic)})

    async def _tell(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.send(text_data=orjson.dumps(message).decode())
        except TimeoutError:
            await self.close(TOO_SLOW)


websocket_urlpatterns: list[URLPattern] = [path("ws/shell", ShellConsumer.as_asgi())]
