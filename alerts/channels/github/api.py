"""One conversation with GitHub about the issues of a repository: within a total time, at GitHub's pace."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from aivillage_console.lib import http
from alerts.channels.calling import Caller, excerpt_of, retry_after_seconds
from alerts.channels.github.form import API_URL
from alerts.channels.github.pacing import paced
from alerts.channels.message import ChannelError
from alerts.engine.retry import Verdict, verdict_of

PAGE_BYTES = 8_000_000
NOT_MODIFIED = 304
LIMITED_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 3600.0


class No(ChannelError):
    """GitHub said no; `status` says how."""


class Api:
    """The calls of one try."""

    def __init__(self, config: Mapping[str, Any], secret: str, *, at: datetime, total_seconds: float) -> None:
        """Prepare; the first call starts no clock, making this does."""
        self._at = at
        self.repo = str(config["repo"])
        api = str(config.get("api_url") or API_URL).rstrip("/")
        self._issues = f"{api}/repos/{self.repo}/issues"
        self._caller = Caller(total_seconds, tls_1_2=bool(config.get("tls_1_2")), headers={
            "authorization": f"Bearer {secret}", "accept": "application/vnd.github+json",
            "x-github-api-version": "2022-11-28", "user-agent": "aivillage-console",
        })  # fmt: skip

    def call(self, method: str, path: str, wanted: Mapping[str, Any] | None = None) -> Any:
        """Return what GitHub answers below the repository's issues; raise ChannelError where it does not say yes."""
        body = orjson.dumps(wanted) if wanted is not None else b""
        headers = {"content-type": "application/json"} if wanted is not None else {}
        return self._said(method, self._reply(method, path, body, headers))

    def changed(self, path: str, etag: str) -> tuple[Any, str]:
        """Return what is below the repository's issues and its ETag; None where it is as it was under this ETag."""
        reply = self._reply("GET", path, b"", {"if-none-match": etag} if etag else {})
        if reply.status == NOT_MODIFIED and etag:
            return None, etag
        return self._said("GET", reply), reply.headers.get("etag", "")

    def _reply(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> http.Reply:
        with paced(self._caller.left_seconds()):
            return self._caller.call(method, f"{self._issues}{path}", body=body, headers=headers, body_bytes=PAGE_BYTES)

    def _said(self, method: str, reply: http.Reply) -> Any:
        if verdict_of(reply.status) is not Verdict.DELIVERED:
            raise refusal(reply, self._at)
        try:
            return orjson.loads(reply.body or b"null")
        except orjson.JSONDecodeError as error:
            raise ChannelError("GitHub answered no JSON", permanent=False, maybe_delivered=method != "GET") from error


def refusal(reply: http.Reply, at: datetime) -> ChannelError:
    """Return what a status means: GitHub says both "you may not" and "not so fast" with 403."""
    said = excerpt_of(reply)
    pause = _pause(reply, said, at)
    verdict = verdict_of(reply.status)
    return No(
        f"GitHub answered {reply.status}: {said[:300]}",
        permanent=pause is None and verdict is not Verdict.RETRY, status=reply.status,
        # Issues are switched off for the repository; of one issue that is gone the caller opens another.
        gone=reply.status == 410, limited=pause is not None, retry_after_seconds=pause,
    )  # fmt: skip


def _pause(reply: http.Reply, said: str, at: datetime) -> float | None:
    """Return how long GitHub wants to be left alone; None where the refusal has another reason."""
    if reply.status not in (403, 429):
        return None
    asked = retry_after_seconds(reply.headers.get("retry-after", ""), at)
    if asked is not None:
        return min(asked, LONGEST_PAUSE_SECONDS)
    reset = reply.headers.get("x-ratelimit-reset", "")
    if reply.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return min(max(1.0, float(reset) - at.timestamp()), LONGEST_PAUSE_SECONDS)
    limited = reply.status == 429 or "rate limit" in said.lower() or "abuse" in said.lower()
    return LIMITED_SECONDS if limited else None
