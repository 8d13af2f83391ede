"""Sends to Slack: posts an alert's message once, then keeps it up to date and says in its thread what changed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from aivillage_console.lib import http
from alerts.channels.calling import Caller, excerpt_of, retry_after_seconds
from alerts.channels.message import ChannelError, Known, Letter, Sent
from alerts.channels.slack.blocks import escaped, fallback_of, message_of
from alerts.channels.slack.form import API_URL, is_webhook
from alerts.channels.telling import moment_of, story_of
from alerts.engine.retry import Verdict, verdict_of

TOTAL_SECONDS = 8.0
REPLY_CHARACTERS = 1500
# A message older than the episode by more than the clocks may differ belongs to an earlier one.
SKEW = timedelta(minutes=5)
EVENT = "aivillage_console_alert"
RETRIED = frozenset({
    "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
    "accesslimited",
})  # fmt: skip
GONE = frozenset({"account_inactive", "token_revoked", "app_uninstalled"})
LOST = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})


class _No(ChannelError):
    """Slack said no, with the word for it."""

    def __init__(self, error: str) -> None:
        super().__init__(
            f"Slack answered {error}", permanent=error not in RETRIED, status=200, gone=error in GONE,
            limited=error.startswith(("ratelimited", "rate_limited")),
        )  # fmt: skip
        self.error = error


def send(letter: Letter) -> Sent:
    """Tell one message; raise ChannelError unless Slack takes it."""
    if not letter.secret:
        raise ChannelError("no bot token and no webhook is set: an admin enters one", permanent=True)
    caller = Caller(TOTAL_SECONDS, tls_1_2=bool(letter.config.get("tls_1_2")), headers={
        "content-type": "application/json; charset=utf-8", "user-agent": "aivillage-console",
    })  # fmt: skip
    if is_webhook(letter.secret):
        return _hooked(caller, letter)
    bot = _Bot(caller, letter)
    root = bot.root()
    if root is None:
        return bot.begin()
    try:
        return bot.go_on(root)
    except _No as no:
        if no.error not in LOST:
            raise
        return bot.post()


def _answered(reply: http.Reply, letter: Letter) -> http.Reply:
    verdict = verdict_of(reply.status)
    if verdict is Verdict.DELIVERED:
        return reply
    limited = reply.status == 429
    raise ChannelError(
        f"Slack answered {reply.status}: {excerpt_of(reply)[:200]}", permanent=verdict is not Verdict.RETRY,
        status=reply.status, gone=verdict is Verdict.DISABLE, limited=limited,
        retry_after_seconds=retry_after_seconds(reply.headers.get("retry-after", ""), letter.at),
    )  # fmt: skip


def _hooked(caller: Caller, letter: Letter) -> Sent:
    if letter.kind == "update":
        return Sent(None, "an incoming webhook cannot change its message, so who has the alert is not told")
    body = orjson.dumps(message_of(story_of(letter), letter))
    reply = _answered(caller.call("POST", letter.secret, body=body), letter)
    return Sent(reply.status, excerpt_of(reply))


class _Bot:
    """One try of a bot."""

    def __init__(self, caller: Caller, letter: Letter) -> None:
        self._caller, self._letter, self._story = caller, letter, story_of(letter)
        self._api = str(letter.config.get("api_url") or API_URL).rstrip("/")
        self._channel = str(letter.config.get("channel") or "")
        self._looked = False

    def _call(self, method: str, arguments: Mapping[str, Any], *, read: bool = False) -> dict[str, Any]:
        bearer = {"authorization": f"Bearer {self._letter.secret}"}
        url = f"{self._api}/{method}"
        if read:
            reply = self._caller.call("GET", f"{url}?{urlencode(arguments)}", headers=bearer, body_bytes=2_000_000)
        else:
            reply = self._caller.call("POST", url, body=orjson.dumps(arguments), headers=bearer)
        _answered(reply, self._letter)
        try:
            found = orjson.loads(reply.body)
        except orjson.JSONDecodeError as error:
            raise ChannelError("Slack answered no JSON", permanent=False, maybe_delivered=not read) from error
        if not isinstance(found, dict) or not found.get("ok"):
            raise _No(str(found.get("error") or "unknown_error") if isinstance(found, dict) else "unknown_error")
        return found

    def root(self) -> tuple[str, str] | None:
        """Return channel and ts of the episode's message, by what is stored, else by what stands in the channel."""
        began = moment_of(self._letter.payload.get("started_at"))
        for known in reversed(self._letter.known):
            channel, _, ts = known.external_id.rpartition(":")
            if channel and _number(ts) and (began is None or _number(ts) >= (began - SKEW).timestamp()):
                return channel, ts
        return self._found() if self._letter.maybe_there and self._letter.payload.get("fingerprint") else None

    def _found(self) -> tuple[str, str] | None:
        """Look through the channel for a message whose answer was lost; needs its id and the scope to read."""
        began = moment_of(self._letter.facts.get("first_owed_at")) or self._letter.at
        asked = {"channel": self._channel, "oldest": f"{(began - SKEW).timestamp():.6f}", "limit": 200,
                 "include_all_metadata": "true"}  # fmt: skip
        try:
            listed = self._call("conversations.history", asked, read=True)
        except _No:
            return None
        self._looked = True
        named = self._named()
        mine = [each for each in listed.get("messages", []) if _payload(each).get("alert") == named]
        return (self._channel, str(mine[-1]["ts"])) if mine else None

    def _named(self) -> str:
        return f"{self._letter.payload.get('fingerprint', '')}:{self._letter.payload.get('episode', 0)}"

    def _metadata(self) -> dict[str, Any]:
        return {"event_type": EVENT, "event_payload": {"alert": self._named(), "key": self._letter.key}}

    def begin(self) -> Sent:
        """Post the message of an episode; news of one that never began here is told to nobody."""
        if self._letter.kind == "update" or (self._letter.follows and self._looked):
            return Sent(200, "its beginning never reached this channel")
        return self.post()

    def post(self) -> Sent:
        """Post a new message."""
        shown = message_of(self._story, self._letter)
        found = self._call("chat.postMessage", {
            "channel": self._channel, **shown, "metadata": self._metadata(), "unfurl_links": False,
        })  # fmt: skip
        return self._sent(str(found.get("channel") or self._channel), str(found.get("ts") or ""))

    def _sent(self, channel: str, ts: str) -> Sent:
        page = f"https://slack.com/app_redirect?{urlencode({'channel': channel, 'message_ts': ts})}"
        return Sent(200, f"{channel}:{ts}", external_id=f"{channel}:{ts}" if ts else "", url=page)

    def go_on(self, root: tuple[str, str]) -> Sent:
        """Bring the message up to date, and say in its thread what changed."""
        channel, ts = root
        sent = self._sent(channel, ts)
        metadata = {"event_type": EVENT, "event_payload": {"alert": self._named()}}
        shown = message_of(self._story, self._letter)
        try:
            self._call("chat.update", {"channel": channel, "ts": ts, **shown, "metadata": metadata})
            quietly = bool(self._letter.payload.get("in_place"))
            if not quietly and (self._letter.attempt == 1 or not self._said(channel, ts)):
                self._reply(channel, ts)
        except ChannelError as error:
            error.made = Known(sent.external_id, sent.url)
            raise
        return sent

    def _said(self, channel: str, ts: str) -> bool:
        """Say whether an earlier try of this message is in the thread or is the message itself."""
        try:
            listed = self._call(
                "conversations.replies", {"channel": channel, "ts": ts, "limit": 200, "include_all_metadata": "true"},
                read=True,
            )  # fmt: skip
        except _No:
            return self._letter.kind == "fire" and not self._letter.facts.get("repeat_no")
        keys = [_payload(each).get("key") for each in listed.get("messages", [])]
        return self._letter.key in keys or (self._letter.kind == "fire" and not self._letter.facts.get("repeat_no"))

    def _reply(self, channel: str, ts: str) -> None:
        again = self._letter.kind == "fire" and bool(self._letter.facts.get("repeat_no"))
        said = f"{fallback_of(self._story)}\n{escaped(self._letter.url, REPLY_CHARACTERS)}"
        self._call("chat.postMessage", {
            "channel": channel, "thread_ts": ts, "text": said, "reply_broadcast": again,
            "metadata": self._metadata(), "unfurl_links": False,
        })  # fmt: skip


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = message.get("metadata") or {}
    found = metadata.get("event_payload") if metadata.get("event_type") == EVENT else None
    return found if isinstance(found, dict) else {}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
