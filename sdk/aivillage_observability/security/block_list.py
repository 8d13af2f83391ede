"""`BlockList`: who must stay out, asked of the console off the request path and kept while it is away."""

import http.client
import json
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any

from aivillage_observability.observability import DEFAULT_URL
from aivillage_observability.security.addresses import Network, canonical, inside, networks
from aivillage_observability.transport import Address

log = logging.getLogger("aivillage_observability")

PATH = "/api/console/v1/blocks/active/"
POLL_SECONDS = 5.0
REPLY_BYTES = 16 * 1024 * 1024

_started: "weakref.WeakSet[BlockList]" = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class Blocks:
    """One state of the list. Networks are kept by length, so a look-up costs one step a length, not one a network."""

    addresses: Mapping[str, float] = field(default_factory=dict)
    users: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[tuple[int, int], Mapping[int, float]] = field(default_factory=dict)
    allowed: tuple[Network, ...] = ()
    allowed_users: frozenset[str] = frozenset()

    def blocks_address(self, address: str, now_seconds: float) -> bool:
        """Return whether a canonical address is blocked now; an allowed one never is."""
        if not address or (not self.addresses and not self.ranges):
            return False
        until = self.addresses.get(address, 0.0)
        found = until > now_seconds or self._in_range(address, now_seconds)
        return found and not inside(address, self.allowed)

    def blocks_user(self, user_id: str, now_seconds: float) -> bool:
        """Return whether a user is blocked now; an allowed one never is."""
        return self.users.get(user_id, 0.0) > now_seconds and user_id not in self.allowed_users

    def _in_range(self, address: str, now_seconds: float) -> bool:
        if not self.ranges:
            return False
        parsed = ip_address(address)
        number, bits = int(parsed), parsed.max_prefixlen
        for (version, length), starts in self.ranges.items():
            if version == parsed.version and starts.get(number >> (bits - length), 0.0) > now_seconds:
                return True
        return False


def blocks_of(document: Mapping[str, Any]) -> Blocks:
    """Read the console's answer; an entry that cannot be read is left out, the others count."""
    addresses: dict[str, float] = {}
    users: dict[str, float] = {}
    ranges: dict[tuple[int, int], dict[int, float]] = {}
    for entry in document.get("blocks", ()):
        scope, value = str(entry.get("scope", "")), str(entry.get("value", ""))
        until = _until(entry.get("expires_at"))
        if scope == "user" and value:
            users[value] = max(until, users.get(value, 0.0))
        elif scope == "ip" and canonical(value):
            addresses[canonical(value)] = until
        elif scope == "cidr":
            _add_range(ranges, value, until)
    return Blocks(
        addresses, users, ranges,
        networks(str(value) for value in document.get("allowed", ())),
        frozenset(str(value) for value in document.get("allowed_users", ())),
    )  # fmt: skip


def _add_range(ranges: dict[tuple[int, int], dict[int, float]], value: str, until: float) -> None:
    try:
        network = ip_network(value, strict=False)
    except ValueError:
        return
    start = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
    ranges.setdefault((network.version, network.prefixlen), {})[start] = until


def _until(text: object) -> float:
    if isinstance(text, int | float):
        return float(text)
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


class BlockList:
    """The console's block list, asked for every few seconds; the last one holds while the console is away.

    Each entry ends by its own time whether or not the console can be asked. The token needs the scope `blocks`.
    """

    def __init__(
        self,
        *,
        console_url: str | None = None,
        token: str | None = None,
        enforcer: str = "",
        poll_interval: float = POLL_SECONDS,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._address = Address(console_url or os.environ.get("AIVILLAGE_CONSOLE_URL", DEFAULT_URL))
        self._headers = {
            "Authorization": f"Bearer {token or os.environ.get('AIVILLAGE_CONSOLE_TOKEN', '')}",
            "Accept": "application/json",
            "User-Agent": "aivillage-observability",
            **({"X-Enforcer": enforcer} if enforcer else {}),
        }
        self._poll_interval_seconds = poll_interval
        self._now_seconds = now_seconds
        self._etag = ""
        self._told = False
        self.blocks = Blocks()
        self.asked = 0
        self.refreshed_at_seconds = 0.0
        self._running = False
        self._prepare()

    def blocked(self, address: str = "", user_id: str = "") -> bool:
        """Return whether an address or a user must stay out now. Reads memory only."""
        now = self._now_seconds()
        blocks = self.blocks
        return blocks.blocks_address(address, now) or (bool(user_id) and blocks.blocks_user(user_id, now))

    def refresh(self) -> bool:
        """Ask once; return whether the console answered with a list or that the last one still holds."""
        self.asked += 1
        connection = self._address.connect()
        try:
            etag = {"If-None-Match": self._etag} if self._etag else {}
            connection.request("GET", self._address.path + PATH, headers={**self._headers, **etag})
            response = connection.getresponse()
            body = response.read(REPLY_BYTES)
            return self._take(response.status, response.getheader("ETag") or "", body)
        except (OSError, http.client.HTTPException, ValueError, AttributeError, TypeError) as error:
            return self._tell(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def start(self) -> None:
        """Begin to ask in the background; calling it twice changes nothing."""
        if self._running:
            return
        self._running = True
        self._thread.start()
        _started.add(self)

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Stop asking; the last list still answers."""
        if not self._running:
            return
        self._running = False
        _started.discard(self)
        self._stopping.set()
        self._thread.join(timeout_seconds)

    def restart_in_child(self) -> None:
        """Begin anew after a fork: the thread belongs to the parent."""
        self._prepare()
        self.start()

    def _prepare(self) -> None:
        self._running = False
        self._stopping = threading.Event()
        self._thread: threading.Thread = threading.Thread(
            target=self._ask_forever, name="aivillage-blocks", daemon=True
        )

    def _ask_forever(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            self._stopping.wait(self._poll_interval_seconds)

    def _take(self, status: int, etag: str, body: bytes) -> bool:
        if status == http.client.OK:
            self.blocks = blocks_of(json.loads(body))
            self._etag = etag
        elif status != http.client.NOT_MODIFIED:
            return self._tell(f"the console answered {status}")
        self.refreshed_at_seconds = self._now_seconds()
        self._told = False
        return True

    def _tell(self, trouble: str) -> bool:
        if not self._told:
            self._told = True
            log.warning("the block list cannot be asked for, the last one holds: %s", trouble)
        return False


def _restart_after_fork() -> None:
    for blocks in list(_started):
        _started.discard(blocks)
        blocks.restart_in_child()


os.register_at_fork(after_in_child=_restart_after_fork)
