"""Sends one webhook."""

from datetime import datetime

import orjson

from aivillage_console.lib import http, signing
from alerts.channels.calling import Caller, excerpt_of, retry_after_seconds
from alerts.channels.message import ChannelError, Letter, Sent
from alerts.engine.retry import Verdict, verdict_of


def send(letter: Letter) -> Sent:
    """POST the message with a signature of this try's time; raise ChannelError unless the receiver says yes."""
    body = orjson.dumps(dict(letter.payload))
    headers = {"content-type": "application/json", "user-agent": "aivillage-console"}
    keys = letter.secret.split()
    if keys:
        headers |= signing.headers(message_id=letter.key, at=letter.at, body=body.decode(), keys=keys)
    else:
        headers["webhook-id"] = letter.key
    seconds = min(http.TOTAL_SECONDS, letter.config.get("timeout", http.TOTAL_SECONDS))
    caller = Caller(seconds, tls_1_2=bool(letter.config.get("tls_1_2")))
    return _judged(caller.call("POST", letter.config["url"], body=body, headers=headers), letter.at)


def _judged(reply: http.Reply, now: datetime) -> Sent:
    excerpt, verdict = excerpt_of(reply), verdict_of(reply.status)
    if verdict is Verdict.DELIVERED:
        return Sent(reply.status, excerpt)
    gone = verdict is Verdict.DISABLE
    raise ChannelError(
        "the receiver answered 410 Gone" if gone else f"the receiver answered {reply.status}: {excerpt[:200]}",
        permanent=verdict is not Verdict.RETRY,
        status=reply.status,
        retry_after_seconds=retry_after_seconds(reply.headers.get("retry-after", ""), now),
        gone=gone,
    )
