"""The middleware for WSGI applications, Django's among them."""

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from aivillage_observability.security.block_list import BlockList
from aivillage_observability.security.events import SecurityEvents
from aivillage_observability.security.inspection import Seen
from aivillage_observability.security.watch import REFUSAL_HEADERS, Watch

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class SecurityMiddleware:
    """Stands in front of a WSGI application; options are those of `WatchOptions`.

    A blocked address or user gets 403. What the application reads of the body is copied as it is read, to a bound, and
    looked at later, in another thread.
    """

    def __init__(self, app: App, *, events: SecurityEvents, blocks: BlockList | None = None, **options: object) -> None:
        self._app = app
        self.watch = Watch(events, blocks, **options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        call = _Call(self.watch, environ, start_response)
        if not call.begin():
            return self._app(environ, start_response)
        call.take_body()
        if call.refused():
            return _forbid(start_response)
        try:
            answer = self._app(environ, call.start_response)
        except BaseException as error:
            call.finish(500, error)
            raise
        if call.status:
            call.finish(call.status)
            return answer
        # A generator answers when it is first asked for a piece.
        return _Late(answer, call)


class _Call:
    """One request: what the watch needs of it."""

    def __init__(self, watch: Watch, environ: Environ, start_response: StartResponse) -> None:
        self._watch = watch
        self._environ = environ
        self._start_on = start_response
        self._seen: Seen | None = None
        self._finished = False
        self.status = 0

    def begin(self) -> bool:
        """Read the head of the request; false where it is not watched."""
        environ = self._environ
        with self._watch.guarded():
            self._seen = self._read_head()
            peer, forwarded = str(environ.get("REMOTE_ADDR", "")), str(environ.get("HTTP_X_FORWARDED_FOR", ""))
            return self._watch.begin(self._seen, peer, forwarded)
        return False

    def take_body(self) -> None:
        """Read the body now where a refusal may depend on it, else copy it while the application reads."""
        seen, stream = self._seen, self._environ.get("wsgi.input")
        if seen is None or stream is None or not seen.readable:
            return
        if self._wants_body_first(seen):
            seen.body = stream.read(seen.content_bytes or 0)
            self._environ["wsgi.input"] = io.BytesIO(seen.body)
        else:
            self._environ["wsgi.input"] = _Copied(stream, seen, self._watch.options.body_bytes)

    def refused(self) -> bool:
        """Return whether the request must not reach the application."""
        with self._watch.guarded():
            return self._seen is not None and self._watch.refuses(self._seen)
        return False

    def start_response(self, status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        """Hand on the application's answer and remember its status."""
        with self._watch.guarded():
            self.status = int(status[:3])
        return self._start_on(status, headers, *error)

    def finish(self, status: int, error: BaseException | None = None) -> None:
        """Tell the watch how the request ended, once."""
        if self._finished:
            return
        self._finished = True
        with self._watch.guarded():
            seen = self._seen
            if seen is not None and (error is None or isinstance(error, Exception)):
                seen.user_id = seen.user_id or self._user()
                self._watch.finish(seen, status, error)

    def _wants_body_first(self, seen: Seen) -> bool:
        with self._watch.guarded():
            return self._watch.wants_body_first(seen)
        return False

    def _user(self) -> str:
        asked = self._watch.options.user_of
        return str((asked(self._environ) if asked is not None else self._environ.get("REMOTE_USER")) or "")

    def _read_head(self) -> Seen:
        environ = self._environ
        size = str(environ.get("CONTENT_LENGTH") or "")
        header = self._watch.options.user_header.upper().replace("-", "_")
        # A WSGI server hands the bytes of the path over as latin-1.
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1", "replace")
        return Seen(
            method=str(environ.get("REQUEST_METHOD", "GET")),
            path=path.decode("utf-8", "replace"),
            query=str(environ.get("QUERY_STRING", "")),
            address="",
            user_id=str(environ.get(f"HTTP_{header}", "") if header else "") or self._user(),
            user_agent=str(environ.get("HTTP_USER_AGENT", "")),
            content_type=str(environ.get("CONTENT_TYPE", "")),
            content_bytes=int(size) if size.isdecimal() else None,
        )


class _Copied:
    """A body that is copied, to a bound, while the application reads it."""

    def __init__(self, stream: Any, seen: Seen, most_bytes: int) -> None:
        self._stream = stream
        self._seen = seen
        self._most_bytes = most_bytes

    def read(self, *size: int) -> bytes:
        """Read as the application asks."""
        return self._copy(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        """Read a line."""
        return self._copy(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """Read all lines."""
        return [self._copy(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return (self._copy(line) for line in self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _copy(self, piece: bytes) -> bytes:
        room = self._most_bytes - len(self._seen.body)
        if room > 0:
            self._seen.body += piece[:room]
        return piece


class _Late:
    """An answer whose status is known only once its first piece is asked for."""

    def __init__(self, answer: Iterable[bytes], call: _Call) -> None:
        self._answer = answer
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._answer:
                self._call.finish(self._call.status)
                yield piece
        except BaseException as error:
            self._call.finish(500, error)
            raise
        self._call.finish(self._call.status)

    def close(self) -> None:
        """Close the application's answer, as servers must."""
        close = getattr(self._answer, "close", None)
        if close is not None:
            close()


def _forbid(start_response: StartResponse) -> Iterable[bytes]:
    body = Watch.refusal()
    start_response("403 Forbidden", [*REFUSAL_HEADERS, ("Content-Length", str(len(body)))])
    return [body]
