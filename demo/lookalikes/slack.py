"""Slack as a sender of messages meets it: the Web API of a bot, and incoming webhooks, with their limits.

Errors of the Web API are HTTP 200 with `ok: false`; too much is HTTP 429 with Retry-After.
"""

import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.lookalikes.web import Allowance, Reply, Request, WebLookAlike, json_reply

TOKEN = "xoxb-look-alike"  # noqa: S105 (opens nothing)
WEBHOOK = "/services/T0LOOK/B0ALIKE/opensnothing"
TEXT_CHARACTERS = 40_000
BLOCKS = 50
ALL_BLOCKS_CHARACTERS = 13_200
LIMITS = {"header": 150, "section": 3000, "field": 2000, "button": 75, "url": 3000}


@dataclass
class Message:
    """One message in a channel, as people see it now."""

    channel: str
    ts: str
    shown: dict[str, Any]
    thread_ts: str = ""
    at: float = 0.0
    edits: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text that notifications show."""
        return str(self.shown.get("text", ""))

    @property
    def words(self) -> str:
        """Return everything that can be read in it."""
        return json.dumps([self.shown.get("text"), self.shown.get("blocks"), self.shown.get("attachments")])


class SlackServer(WebLookAlike):
    """One workspace with a few channels, one bot and one incoming webhook."""

    def __init__(
        self, *, channels: Iterable[str] = ("alerts",), token: str = TOKEN, per_second: float = 1.0, burst: float = 4,
        history_scope: bool = True, port: int = 0,
    ) -> None:  # fmt: skip
        """Prepare a workspace; `per_second` is what one channel takes of new messages."""
        super().__init__(port=port)
        self.token = token
        self.channels = {name: f"C0{name.upper()[:9]}" for name in channels}
        self.messages: list[Message] = []
        self.history_scope = history_scope
        self.error_next: list[str] = []
        self._per_second, self._burst = per_second, burst
        self._posting: dict[str, Allowance] = {}
        self._numbers = itertools.count(1)
        self._tier_3 = Allowance(50 / 60, 50)

    @property
    def webhook_url(self) -> str:
        """Return the address of the incoming webhook, which posts to the first channel."""
        return self.url + WEBHOOK

    @property
    def posts(self) -> list[Message]:
        """Return the messages that stand in a channel, without those in threads."""
        return [message for message in self.messages if not message.thread_ts]

    def replies(self, message: Message) -> list[Message]:
        """Return what stands in the thread of a message."""
        return [each for each in self.messages if each.thread_ts == message.ts]

    def answer(self, request: Request) -> Reply:
        """Answer as Slack does."""
        if request.path.startswith("/services/"):
            return self._hooked(request)
        method = request.path.removeprefix("/api/").strip("/")
        act = {
            "auth.test": self._auth_test, "chat.postMessage": self._post, "chat.update": self._update,
            "conversations.history": self._history, "conversations.replies": self._thread,
        }.get(method)  # fmt: skip
        if act is None:
            return _no("unknown_method")
        if self.error_next:
            return _no(self.error_next.pop(0))
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self.token:
            return _no("invalid_auth" if given else "not_authed")
        try:
            arguments = request.json() if request.method == "POST" else dict(request.query)
        except ValueError:
            return _no("invalid_json")
        return act(arguments if isinstance(arguments, dict) else {}, request.at)

    def _auth_test(self, _arguments: Mapping[str, Any], _now: float) -> Reply:
        return json_reply(200, {"ok": True, "team": "Look-alike", "user": "console", "bot_id": "B0ALIKE"})

    def _channel(self, name: object) -> str:
        wanted = str(name or "").removeprefix("#")
        return self.channels.get(wanted) or (wanted if wanted in self.channels.values() else "")

    def _limited(self, allowance: Allowance, now: float) -> Reply | None:
        wait = allowance.take(now)
        if not wait:
            return None
        self.violations += 1
        return json_reply(429, {"ok": False, "error": "ratelimited"}, Retry_After=str(int(wait) + 1))

    def _room_in(self, channel: str, now: float) -> Reply | None:
        allowance = self._posting.setdefault(channel, Allowance(self._per_second, self._burst))
        return self._limited(allowance, now)

    def _post(self, arguments: dict[str, Any], now: float) -> Reply:
        channel = self._channel(arguments.get("channel"))
        if not channel:
            return _no("channel_not_found")
        if full := self._room_in(channel, now):
            return full
        if wrong := problem_of(arguments):
            return _no(wrong)
        thread = str(arguments.get("thread_ts") or "")
        if thread and self._found(channel, thread) is None:
            return _no("thread_not_found")
        message = self._stored(channel, arguments, now, thread)
        return json_reply(200, {"ok": True, "channel": channel, "ts": message.ts, "message": {"ts": message.ts}})

    def _stored(self, channel: str, shown: dict[str, Any], now: float, thread: str) -> Message:
        ts = f"{int(now)}.{next(self._numbers):06d}"
        message = Message(channel, ts, dict(shown), thread, now)
        self.messages.append(message)
        return message

    def _found(self, channel: str, ts: str) -> Message | None:
        return next((each for each in self.messages if (each.channel, each.ts) == (channel, ts)), None)

    def _update(self, arguments: dict[str, Any], now: float) -> Reply:
        if full := self._limited(self._tier_3, now):
            return full
        channel = str(arguments.get("channel") or "")
        # Unlike chat.postMessage, this takes the id of a channel and no name.
        if channel not in self.channels.values():
            return _no("channel_not_found")
        message = self._found(channel, str(arguments.get("ts")))
        if message is None:
            return _no("message_not_found")
        if wrong := problem_of(arguments):
            return _no(wrong)
        message.edits.append(message.shown)
        message.shown = dict(arguments)
        return json_reply(200, {"ok": True, "channel": channel, "ts": message.ts, "text": message.text})

    def _history(self, arguments: Mapping[str, Any], _now: float) -> Reply:
        return self._listed(arguments, "")

    def _thread(self, arguments: Mapping[str, Any], _now: float) -> Reply:
        return self._listed(arguments, str(arguments.get("ts") or ""))

    def _listed(self, arguments: Mapping[str, Any], thread: str) -> Reply:
        if not self.history_scope:
            return json_reply(200, {"ok": False, "error": "missing_scope", "needed": "channels:history"})
        channel = self._channel(arguments.get("channel"))
        if channel != arguments.get("channel"):
            return _no("channel_not_found")
        oldest = float(arguments.get("oldest") or 0)
        found = [
            {"ts": each.ts, "text": each.text, "metadata": each.shown.get("metadata", {})}
            for each in self.messages
            if each.channel == channel and each.thread_ts == thread and float(each.ts) >= oldest
        ]
        # The newest come first in a channel, the oldest in a thread.
        found = found if thread else found[::-1]
        return json_reply(200, {"ok": True, "messages": found[: int(arguments.get("limit") or 100)], "has_more": False})

    def _hooked(self, request: Request) -> Reply:
        if request.path != WEBHOOK:
            return Reply(404, b"no_service")
        channel = next(iter(self.channels.values()))
        if full := self._room_in(channel, request.at):
            return full
        try:
            shown = request.json()
        except ValueError:
            return Reply(400, b"invalid_payload")
        wrong = problem_of(shown) if isinstance(shown, dict) else "invalid_payload"
        if wrong:
            return Reply(400, wrong.encode())
        self._stored(channel, shown, request.at, "")
        return Reply(200, b"ok")


def _no(error: str) -> Reply:
    return json_reply(200, {"ok": False, "error": error})


def problem_of(message: Mapping[str, Any]) -> str:
    """Return the error Slack answers to a message, or an empty text."""
    attached = [block for each in message.get("attachments") or [] for block in each.get("blocks") or []]
    blocks = [*(message.get("blocks") or []), *attached]
    if not message.get("text") and not blocks:
        return "no_text"
    if len(str(message.get("text") or "")) > TEXT_CHARACTERS:
        return "msg_too_long"
    if len(message.get("blocks") or []) > BLOCKS or len(attached) > BLOCKS or any(map(_bad, blocks)):
        return "invalid_blocks"
    read = sum(len(text) for block in blocks for text in _texts(block))
    return "msg_blocks_too_long" if read > ALL_BLOCKS_CHARACTERS else ""


def _texts(found: object) -> list[str]:
    if isinstance(found, dict):
        own = [found["text"]] if isinstance(found.get("text"), str) else []
        return own + [text for value in found.values() for text in _texts(value)]
    return [text for each in found for text in _texts(each)] if isinstance(found, list) else []


def _long(found: object, limit: int) -> bool:
    text = found.get("text") if isinstance(found, dict) else None
    return not isinstance(text, str) or not 0 < len(text) <= limit


def _bad(block: object) -> bool:
    if not isinstance(block, dict):
        return True
    judge = {"header": _bad_header, "section": _bad_section, "actions": _bad_actions, "context": _bad_context}
    if block.get("type") == "divider":
        return False
    return block.get("type") not in judge or judge[str(block["type"])](block)


def _bad_header(block: Mapping[str, Any]) -> bool:
    text = block.get("text")
    return _long(text, LIMITS["header"]) or not isinstance(text, dict) or text.get("type") != "plain_text"


def _bad_section(block: Mapping[str, Any]) -> bool:
    fields = block.get("fields") or []
    if "text" not in block and not fields:
        return True
    if "text" in block and _long(block["text"], LIMITS["section"]):
        return True
    return len(fields) > 10 or any(_long(each, LIMITS["field"]) for each in fields)


def _bad_actions(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements") or []
    named = [each.get("action_id") for each in elements if each.get("action_id")]
    return (
        not 0 < len(elements) <= 25
        or len(named) != len(set(named))
        or any(_long(each.get("text"), LIMITS["button"]) for each in elements)
        or any(len(each.get("url") or "") > LIMITS["url"] for each in elements)
    )


def _bad_context(block: Mapping[str, Any]) -> bool:
    elements = block.get("elements") or []
    return not 0 < len(elements) <= 10 or any(_long(each, LIMITS["section"]) for each in elements)
