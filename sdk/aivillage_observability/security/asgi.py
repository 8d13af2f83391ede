"""The middleware for ASGI applications."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aivillage_observability.security.block_list import BlockList
from aivillage_observability.security.events import SecurityEvents
from aivillage_observability.security.inspection import Seen
from aivillage_observability.security.watch import REFUSAL_HEADERS, Watch

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class SecurityMiddleware:
    """Stands in front of an ASGI application; options are those of `WatchOptions`.

    A blocked address or user gets 403, or a refused handshake. Bodies pass through as they come: a bounded copy is
    looked at later, in another thread.
    """

    def __init__(self, app: App, *, events: SecurityEvents, blocks: BlockList | None = None, **options: object) -> None:
        self._app = app
        self.watch = Watch(events, blocks, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        call = _Call(self.watch, scope, receive, send)
        if scope["type"] not in {"http", "websocket"} or not call.begin():
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await (_turn_away(receive, send) if call.refused() else self._app(scope, receive, send))
        else:
            await self._serve(call, scope)

    async def _serve(self, call: "_Call", scope: Scope) -> None:
        if call.wants_body_first():
            await call.read_first()
        if call.refused():
            await _forbid(call.send_on)
            return
        try:
            await self._app(scope, call.receive, call.send)
        except BaseException as error:
            call.finish(500, error)
            raise


class _Call:
    """One HTTP request: hands messages on and keeps what the watch needs of them."""

    def __init__(self, watch: Watch, scope: Scope, receive: Receive, send: Send) -> None:
        self._watch = watch
        self._scope = scope
        self._receive_on = receive
        self.send_on = send
        self._ahead: list[Message] = []
        self._seen: Seen | None = None
        self._finished = False

    def begin(self) -> bool:
        """Read the head of the request; false where it is not watched."""
        with self._watch.guarded():
            seen, forwarded = self._read_head()
            peer = (self._scope.get("client") or ("",))[0]
            self._seen = seen
            return self._watch.begin(seen, str(peer), forwarded)
        return False

    def wants_body_first(self) -> bool:
        """Return whether to read the body before the application runs."""
        with self._watch.guarded():
            return self._seen is not None and self._watch.wants_body_first(self._seen)
        return False

    async def read_first(self) -> None:
        """Read the body, and keep its messages for the application."""
        size = 0
        while size <= self._watch.options.body_bytes:
            message = await self._receive_on()
            self._ahead.append(message)
            self._keep(message)
            size += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return

    def refused(self) -> bool:
        """Return whether the request must not reach the application."""
        with self._watch.guarded():
            return self._seen is not None and self._watch.refuses(self._seen)
        return False

    async def receive(self) -> Message:
        """Hand the application its next message."""
        if self._ahead:
            return self._ahead.pop(0)
        message = await self._receive_on()
        self._keep(message)
        return message

    async def send(self, message: Message) -> None:
        """Hand on what the application answers."""
        if message["type"] == "http.response.start":
            self.finish(int(message["status"]), None)
        await self.send_on(message)

    def finish(self, status: int, error: BaseException | None) -> None:
        """Tell the watch how the request ended, once."""
        if self._finished:
            return
        self._finished = True
        with self._watch.guarded():
            seen = self._seen
            if seen is not None and (error is None or isinstance(error, Exception)):
                seen.user_id = seen.user_id or self._user()
                self._watch.finish(seen, status, error)

    def _keep(self, message: Message) -> None:
        seen = self._seen
        room = self._watch.options.body_bytes - len(seen.body) if seen is not None and seen.readable else 0
        if seen is not None and room > 0 and message["type"] == "http.request":
            seen.body += message.get("body", b"")[:room]

    def _user(self) -> str:
        asked = self._watch.options.user_of
        return str(asked(self._scope) or "") if asked is not None else ""

    def _read_head(self) -> tuple[Seen, str]:
        headers: dict[str, str] = {}
        for name, value in self._scope.get("headers", ()):
            text = value.decode("latin-1")
            key = name.decode("latin-1").lower()
            # Several X-Forwarded-For are one list.
            headers[key] = f"{headers[key]},{text}" if key in headers else text
        size = headers.get("content-length", "")
        seen = Seen(
            method=str(self._scope.get("method", "GET")),
            path=str(self._scope.get("path", "")),
            query=bytes(self._scope.get("query_string", b"")).decode("latin-1"),
            address="",
            user_id=headers.get(self._watch.options.user_header.lower(), "") if self._watch.options.user_header else "",
            user_agent=headers.get("user-agent", ""),
            content_type=headers.get("content-type", ""),
            content_bytes=int(size) if size.isdecimal() else None,
        )
        seen.user_id = seen.user_id or self._user()
        return seen, headers.get("x-forwarded-for", "")


async def _forbid(send: Send) -> None:
    body = Watch.refusal()
    headers = [(name.lower().encode(), value.encode()) for name, value in REFUSAL_HEADERS]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _turn_away(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})
