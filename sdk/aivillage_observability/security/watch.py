"""`Watch`: what both middlewares do. Decides from memory, and leaves all else to one background thread."""

import json
import logging
import os
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue

from aivillage_observability.security.addresses import client_address, networks
from aivillage_observability.security.block_list import BlockList
from aivillage_observability.security.events import SecurityEvents
from aivillage_observability.security.inspection import Seen, suspicions, user_named
from aivillage_observability.security.quiet import Quiet

log = logging.getLogger("aivillage_observability")

WAITING_MAX = 1000
COUNTS_MAX = 5000
STEP_SECONDS = 0.25
FAILED = frozenset({401, 403})
REFUSAL_HEADERS = (("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"))

Key = tuple[int, str, str, str, str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """What a host may set.

    `login_paths`: where 401 and 403 are failed log-ins and 2xx are good ones. `trusted_proxies`: peers whose
    X-Forwarded-For is believed. `user_of`: takes the scope or environ and returns the user's id. `block_at`: refuse at
    once a request that scores so much; None (the default) only reports. `skip_paths`: beginnings of paths not watched.
    """

    login_paths: Sequence[str] = ()
    trusted_proxies: Sequence[str] = ()
    user_header: str = ""
    user_fields: tuple[str, ...] = ("username", "user", "email", "login", "user_id")
    user_of: Callable[[Mapping[str, object]], str] | None = None
    report_from: float = 0.3
    block_at: float | None = None
    body_bytes: int = 32 * 1024
    skip_paths: tuple[str, ...] = ()
    count_requests: bool = True


class Watch:
    """Looks at requests for a middleware. Threads begin at the first request, so a fork before it costs nothing."""

    def __init__(self, events: SecurityEvents, blocks: BlockList | None = None, **options: object) -> None:
        self.events = events
        self.blocks = blocks
        self.options = WatchOptions(**options)  # type: ignore[arg-type]
        self.failures: Tally[str] = Tally()
        self.dropped: Tally[str] = Tally()
        self._trusted = networks(self.options.trusted_proxies)
        self._logins = frozenset(path.rstrip("/") for path in self.options.login_paths)
        self._process_id = 0
        self._starting = threading.Lock()

    def guarded(self) -> Quiet:
        """Return a block in which our own errors are counted instead of raised into the host."""
        return Quiet(self.failures)

    def begin(self, seen: Seen, peer: str, forwarded: str) -> bool:
        """Fill in the client's address and return whether the request is watched at all."""
        self._ensure_started()
        seen.address = client_address(peer, forwarded, self._trusted)
        return not (self.options.skip_paths and seen.path.startswith(self.options.skip_paths))

    def wants_body_first(self, seen: Seen) -> bool:
        """Return whether the body must be read before the application runs, to decide on a refusal."""
        size = seen.content_bytes
        if not seen.readable or size is None or size > self.options.body_bytes:
            return False
        users = self.blocks is not None and bool(self.blocks.blocks.users) and self.is_login(seen)
        return self.options.block_at is not None or users

    def is_login(self, seen: Seen) -> bool:
        """Return whether the request is a try to sign in."""
        return seen.method == "POST" and seen.path.rstrip("/") in self._logins

    def refuses(self, seen: Seen) -> bool:
        """Return whether the request must not reach the application, and report it then."""
        if self.blocks is not None and self.blocks.blocked(seen.address, seen.user_id or self._named(seen)):
            self._count(seen, blocked=True)
            return True
        if self.options.block_at is None:
            return False
        found = suspicions(seen, self.options.block_at)
        for one in found:
            self._report(seen, one.event_type, one.found.worst.value, {**one.details(seen), "refused": True})
        return bool(found)

    def finish(self, seen: Seen, status: int, error: BaseException | None = None) -> None:
        """Take note of a request whose answer is known."""
        if self.is_login(seen):
            seen.user_id = seen.user_id or self._named(seen)
            self._signed_in(seen, status, error)
        self._count(seen, blocked=False)
        try:
            self._waiting.put_nowait(seen)
        except Full:
            self.dropped["inspection_full"] += 1

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Look at what waits, deliver it, and end."""
        if self._process_id == os.getpid():
            self._stopping.set()
            self._thread.join(timeout_seconds)
            self._process_id = 0
        if self.blocks is not None:
            self.blocks.stop(timeout_seconds)
        self.events.stop(timeout_seconds)

    @staticmethod
    def refusal() -> bytes:
        """Return the body of a 403: that it is one, and nothing an attacker could learn from."""
        return json.dumps(
            {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "This request is not allowed."}
        ).encode()

    def _named(self, seen: Seen) -> str:
        return user_named(seen, self.options.user_fields) if seen.body and self.is_login(seen) else ""

    def _ensure_started(self) -> None:
        if self._process_id == os.getpid():
            return
        with self._starting:
            if self._process_id == os.getpid():
                return
            self._waiting: Queue[Seen] = Queue(WAITING_MAX)
            self._counts: Tally[Key] = Tally()
            self._counting = threading.Lock()
            self._stopping = threading.Event()
            self._thread = threading.Thread(target=self._run, name="aivillage-watch", daemon=True)
            self.events.start()
            if self.blocks is not None:
                self.blocks.start()
            self._thread.start()
            self._process_id = os.getpid()

    def _signed_in(self, seen: Seen, status: int, error: BaseException | None) -> None:
        details: dict[str, object] = {
            "endpoint": seen.endpoint, "method": seen.method, "user_agent": seen.user_agent[:300],
        }  # fmt: skip
        if error is not None:
            details |= {"error": str(error)[:300], "type": type(error).__name__}
            self._report(seen, "auth_error", None, details)
        elif status in FAILED:
            self._report(seen, "auth_failure", None, {**details, "reason": f"answered {status}", "success": False})
        elif 200 <= status < 300:
            self._report(seen, "auth_success", None, {**details, "success": True})

    def _report(self, seen: Seen, event_type: str, score: float | None, details: Mapping[str, object]) -> None:
        self.events.report(
            event_type, user_id=seen.user_id, source_ip=seen.address, threat_score=score, details=details
        )

    def _count(self, seen: Seen, *, blocked: bool) -> None:
        if not self.options.count_requests:
            return
        key = (int(time.time()), seen.user_id, seen.address, seen.endpoint, seen.method, blocked)
        with self._counting:
            if key in self._counts or len(self._counts) < COUNTS_MAX:
                self._counts[key] += 1
            else:
                self.dropped["counts_full"] += 1

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self.guarded():
                self._step()
        with self.guarded():
            self._last()

    def _step(self) -> None:
        with suppress(Empty):
            self._inspect(self._waiting.get(timeout=STEP_SECONDS))
        self._tell_counts(int(time.time()))

    def _last(self) -> None:
        for _ in range(self._waiting.qsize()):
            self._inspect(self._waiting.get_nowait())
        self._tell_counts(int(time.time()) + 1)

    def _inspect(self, seen: Seen) -> None:
        for one in suspicions(seen, self.options.report_from):
            self._report(seen, one.event_type, one.found.worst.value, one.details(seen))

    def _tell_counts(self, now_seconds: int) -> None:
        """Report the counts of seconds that are over, one row for each user, address and endpoint."""
        if not self._counts or min(self._counts)[0] >= now_seconds:
            return
        with self._counting:
            over = {key: count for key, count in self._counts.items() if key[0] < now_seconds}
            for key in over:
                del self._counts[key]
        for (second, user_id, address, endpoint, method, blocked), count in over.items():
            details: dict[str, object] = {"endpoint": endpoint, "method": method, "count": count}
            if blocked:
                details["blocked"] = True
            self.events.report("api_request", user_id=user_id, source_ip=address, details=details, at_ms=second * 1000)
