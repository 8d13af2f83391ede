"""How a channel calls over HTTP: within one total time, every failure told as what it means for the message."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from aivillage_console.lib import http
from alerts.channels.message import ChannelError

EXCERPT_CHARACTERS = 4096


@dataclass(slots=True)
class Caller:
    """The calls of one try; together they take no longer than `total_seconds`."""

    total_seconds: float
    tls_1_2: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def left_seconds(self) -> float:
        """Return how much of the total time is left."""
        return self.began + self.total_seconds - time.monotonic()

    def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        body_bytes: int = http.BODY_BYTES,
    ) -> http.Reply:
        """Send one request and return the answer, whatever its status; raise ChannelError where there is none."""
        left = self.left_seconds()
        if left <= 0:
            raise ChannelError("no time was left for the next request", permanent=False)
        try:
            return http.request(
                method, url, body=body, headers={**self.headers, **(headers or {})}, tls_1_2=self.tls_1_2,
                total_seconds=min(left, http.TOTAL_SECONDS), body_bytes=body_bytes,
            )  # fmt: skip
        except http.Refused as error:
            raise ChannelError(str(error), permanent=True) from error
        except http.Unreachable as error:
            raise ChannelError(str(error), permanent=False) from error
        except http.CutOff as error:
            raise ChannelError(str(error), permanent=False, maybe_delivered=method != "GET") from error


def excerpt_of(reply: http.Reply) -> str:
    """Return the start of an answer as text a database takes."""
    return reply.body.decode("utf-8", "replace").replace("\x00", "")[:EXCERPT_CHARACTERS]


def retry_after_seconds(text: str, now: datetime) -> float | None:
    """Return the wait a Retry-After header asks for, in seconds or as a date."""
    if text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def url_problem(url: object) -> str:
    """Return what is wrong with the form of an address, as a sentence; an empty text means it may be called."""
    if not isinstance(url, str) or not url:
        return "An address that begins with https:// belongs here."
    try:
        http.check_url(url)
    except http.Refused as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}."
    return ""
