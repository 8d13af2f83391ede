"""Loopback receivers of webhooks that fail and hang as told, and keep what they took."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bench.harness import free_port

HANG_SECONDS = 15.0
REASONS = {200: "OK", 500: "Internal Server Error"}


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request that arrived whole; `answer` is 200, 500, or 0 for one that was left hanging."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes
    answer: int

    @property
    def key(self) -> str:
        """The message's idempotency key."""
        return self.headers.get("webhook-id", "")

    @property
    def payload(self) -> dict[str, Any]:
        """The message."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Receivers:
    """One listening port; each path is a receiver of its own."""

    port: int
    fail: float = 0.0
    hang: float = 0.0
    receipts: list[Receipt] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(7))

    def url(self, name: str) -> str:
        """Return the address of one receiver."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def of(self, name: str) -> list[Receipt]:
        """Return what one receiver took."""
        return [receipt for receipt in list(self.receipts) if receipt.path == f"/{name}" and receipt.answer != 500]

    async def attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(OSError, asyncio.IncompleteReadError, ConnectionError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        answer = self._answer()
        self.receipts.append(Receipt(time.time(), head[0].split(" ")[1], headers, body, answer))
        if not answer:
            await asyncio.sleep(HANG_SECONDS)
            return False
        writer.write(f"HTTP/1.1 {answer} {REASONS[answer]}\r\nContent-Length: 2\r\n\r\nok".encode())
        await writer.drain()
        return True

    def _answer(self) -> int:
        throw = self.dice.random()
        if throw < self.hang:
            return 0
        return 500 if throw < self.hang + self.fail else 200


@contextmanager
def receiving(*, fail: float = 0.0, hang: float = 0.0) -> Iterator[Receivers]:
    """Run receivers in a thread."""
    receivers = Receivers(free_port(), fail, hang)
    loop = asyncio.new_event_loop()
    listening = threading.Event()
    stopping = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(receivers.attend, "127.0.0.1", receivers.port, backlog=512)
        listening.set()
        await stopping.wait()
        server.close()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    listening.wait()
    try:
        yield receivers
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(5)
        loop.close()
