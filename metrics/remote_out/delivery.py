"""One request on its way: sent, and its answer read as the protocol says who tries again and who does not."""

import http as statuses
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from aivillage_console.lib import http
from metrics.scrape.entrance import context_of, headers_of
from metrics.wire.forwarding import RemoteConfig
from metrics.wire.scraping.fields import BadConfig
from metrics.wire.write_out import headers_for

MOST_RETRY_SECONDS = 600.0
REASON_BYTES = 300
WRITTEN = tuple(f"x-prometheus-remote-write-{kind}-written" for kind in ("samples", "histograms", "exemplars"))


class Fate(StrEnum):
    """What to do with a request after it was tried."""

    TAKEN = "taken"
    AGAIN = "again"
    REFUSED = "refused"
    OTHER_VERSION = "other version"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try."""

    fate: Fate
    reason: str = ""
    status: str = ""
    wait_seconds: float = 0.0


def retry_after_seconds(text: str, *, now: datetime) -> float:
    """Return what a Retry-After header asks for, within bounds; 0 where it says nothing that can be read."""
    try:
        seconds = float(text) if text.isdigit() else (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), MOST_RETRY_SECONDS)


def outcome_of(reply: http.Reply, *, version: int, now: datetime) -> Outcome:
    """Judge an answer."""
    status, text = reply.status, reply.body[:REASON_BYTES].decode(errors="replace").replace("\0", "").strip()
    reason = f"HTTP status {status}" + (f": {text}" if text else "")
    told = any(name in reply.headers for name in WRITTEN)
    if 200 <= status < 300:
        # Who speaks version 2 says what was written; who does not has understood nothing of it.
        return Outcome(Fate.TAKEN) if version == 1 or told else Outcome(Fate.OTHER_VERSION, reason, str(status))
    if status == statuses.HTTPStatus.UNSUPPORTED_MEDIA_TYPE and version == 2:
        return Outcome(Fate.OTHER_VERSION, reason, str(status))
    if status >= 500 or status == statuses.HTTPStatus.TOO_MANY_REQUESTS:
        wait = retry_after_seconds(reply.headers.get("retry-after", ""), now=now)
        return Outcome(Fate.AGAIN, reason, str(status), wait)
    return Outcome(Fate.REFUSED, reason, str(status))


class Wire:
    """How one destination is reached."""

    def __init__(self, config: RemoteConfig) -> None:
        """Take the configuration; nothing is read or sent yet."""
        self._config = config
        self._context: ssl.SSLContext | None = None

    def _headers(self, version: int) -> Mapping[str, str]:
        return {**dict(self._config.headers), **headers_of(self._config.access), **headers_for(version)}

    def _tls(self) -> ssl.SSLContext | None:
        if self._context is None and self._config.url.startswith("https:"):
            self._context = context_of(self._config.access.tls)
        return self._context

    def send(self, body: bytes, version: int, *, now: datetime) -> Outcome:
        """Send a request once; what never arrived, and what the guard keeps in, is tried again."""
        try:
            reply = http.post(
                self._config.url, body=body, headers=self._headers(version), context=self._tls(),
                server_name=self._config.access.tls.server_name, total_seconds=self._config.timeout_ms / 1000,
            )  # fmt: skip
        except (http.Refused, http.Unreachable, http.CutOff, BadConfig) as error:
            return Outcome(Fate.AGAIN, str(error)[:REASON_BYTES], type(error).__name__)
        return outcome_of(reply, version=version, now=now.astimezone(UTC))
