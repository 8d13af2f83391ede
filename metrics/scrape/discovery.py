"""Where targets come from: written down, in files, from an address that lists them, from DNS."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dns.asyncresolver
import dns.exception
import orjson

from aivillage_console.lib.http import Refused, Unreachable
from aivillage_console.lib.pulling import Puller, TooMuch, addresses_of
from metrics.scrape import files
from metrics.scrape.entrance import context_of, headers_of, puller_for
from metrics.wire.scraping.configuration import load_yaml
from metrics.wire.scraping.fields import BadConfig, Fields
from metrics.wire.scraping.scrape_config import (
    DnsDiscovery,
    FileDiscovery,
    Group,
    HttpDiscovery,
    ScrapeConfig,
    check_address,
    read_group,
)

Labels = dict[str, str]
MAX_LIST_BYTES = 16 << 20
MAX_TARGETS = 20_000
LIST_SECONDS = 30.0
# How often files are looked at; reading them costs only where one was changed.
LOOK_SECONDS = 5.0


def labels_of(groups: Sequence[Group], **more: str) -> list[Labels]:
    """Return the discovered labels of every target of some groups."""
    return [{**more, **group.labels, "__address__": address} for group in groups for address in group.targets]


def groups_in(content: Any, place: str) -> list[Group]:
    """Read a list of groups, as files and HTTP lists have them; raises BadConfig."""
    if not isinstance(content, list):
        raise BadConfig(place, "a list of groups was expected")
    return list(Fields({"groups": content}, place).each("groups", read_group))


@dataclass(eq=False)
class Source:
    """One place targets come from; it keeps what it found last while it fails."""

    name: str
    refresh_seconds: float
    read: Callable[[], Awaitable[list[Labels]]]
    found: list[Labels] = field(default_factory=list)
    error: str = ""
    due_at: float = 0.0
    close: Callable[[], Awaitable[None]] | None = None

    async def refresh(self, now_seconds: float) -> bool:
        """Read again where it is time; tell whether something is another than before."""
        if now_seconds < self.due_at:
            return False
        self.due_at = now_seconds + self.refresh_seconds
        before = self.found, self.error
        try:
            found = await self.read()
            if len(found) > MAX_TARGETS:
                raise BadConfig(self.name, f"{len(found)} targets, at most {MAX_TARGETS} are taken")
            self.found, self.error = found, ""
        except (
            BadConfig,
            Refused,
            Unreachable,
            TooMuch,
            TimeoutError,
            ValueError,
            dns.exception.DNSException,
        ) as error:
            self.error = f"{self.name}: {str(error) or type(error).__name__}"[:500]
        return before != (self.found, self.error)


class _Files:
    """The files of one entry; read again when one was changed."""

    def __init__(self, entry: FileDiscovery) -> None:
        self._entry, self._read_at = entry, 0.0
        self._stamps: dict[str, float] = {}
        self._found: list[Labels] = []

    async def read(self) -> list[Labels]:
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[Labels]:
        names = [name for pattern in self._entry.files for name in files.matching(pattern)]
        stamps = {name: files.stamp(name) for name in names}
        now = time.monotonic()
        if stamps == self._stamps and now - self._read_at < self._entry.refresh_ms / 1000:
            return self._found
        found: list[Labels] = []
        for name in names:
            found += labels_of(
                groups_in(load_yaml(files.read_text(name)), name), __meta_filepath=str(files.inside(name))
            )
        self._found, self._stamps, self._read_at = found, stamps, now
        return found


class _Http:
    """An address that lists groups."""

    def __init__(self, entry: HttpDiscovery) -> None:
        self._entry = entry
        self._puller: Puller | None = None

    async def read(self) -> list[Labels]:
        entry = self._entry
        if self._puller is None:
            encrypted = entry.url.startswith("https://")
            self._puller = puller_for(entry.url, entry.access, context_of(entry.access.tls) if encrypted else None)
        headers = {
            "accept": "application/json", "x-prometheus-refresh-interval-seconds": f"{entry.refresh_ms / 1000:g}",
            **headers_of(entry.access),
        }  # fmt: skip
        async with asyncio.timeout(LIST_SECONDS):
            answer = await self._puller.get(headers, body_bytes=MAX_LIST_BYTES, follow=entry.access.follow_redirects)
        if answer.status != 200:
            raise BadConfig(entry.url, f"the list was answered with HTTP status {answer.status}")
        return labels_of(groups_in(orjson.loads(answer.body), entry.url), __meta_url=entry.url)

    async def close(self) -> None:
        if self._puller is not None:
            await self._puller.close()


class _Dns:
    """Names whose records are targets."""

    def __init__(self, entry: DnsDiscovery) -> None:
        self._entry = entry

    async def read(self) -> list[Labels]:
        return [labels for name in self._entry.names for labels in await self._one(name)]

    async def _one(self, name: str) -> list[Labels]:
        entry = self._entry
        if entry.kind in ("A", "AAAA"):
            wanted = ":" if entry.kind == "AAAA" else "."
            found = [address for address in await addresses_of(name, entry.port) if wanted in address]
            hosts = [(f"[{address}]" if ":" in address else address, entry.port, "") for address in found]
        else:
            answer = await dns.asyncresolver.resolve(name, entry.kind, lifetime=10.0, raise_on_no_answer=False)
            hosts = [_record(entry, record) for record in answer.rrset or ()]
        return [
            {
                "__address__": check_address(f"{host}:{port}", name),
                "__meta_dns_name": name,
                **({f"__meta_dns_{entry.kind.lower()}_record_target": target} if target else {}),
                **({"__meta_dns_srv_record_port": str(port)} if entry.kind == "SRV" else {}),
            }
            for host, port, target in hosts
        ]


def _record(entry: DnsDiscovery, record: Any) -> tuple[str, int, str]:
    target = {"SRV": "target", "MX": "exchange", "NS": "target"}[entry.kind]
    name = str(getattr(record, target))
    return name.rstrip("."), record.port if entry.kind == "SRV" else entry.port, name


def _listing(entry: HttpDiscovery) -> Source:
    listing = _Http(entry)
    return Source("http_sd_configs", entry.refresh_ms / 1000, listing.read, close=listing.close)


def sources_of(config: ScrapeConfig) -> list[Source]:
    """Return the places the targets of a pool come from."""

    async def written() -> list[Labels]:
        return labels_of(config.static)

    written_down = [Source("static_configs", 3600.0, written)] if config.static else []
    return [
        *written_down,
        *(
            Source("file_sd_configs", min(LOOK_SECONDS, one.refresh_ms / 1000), _Files(one).read)
            for one in config.files
        ),
        *(_listing(one) for one in config.http),
        *(Source("dns_sd_configs", one.refresh_ms / 1000, _Dns(one).read) for one in config.dns),
    ]
