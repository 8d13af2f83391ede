"""Sends one webhook."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from aivillage_console.lib import http, signing
from alerts.channels.message import ChannelError, Letter, Sent
from alerts.engine.retry import Verdict, verdict_of

EXCERPT_CHARACTERS = 4096


def send(letter: Letter) -> Sent:
    """POST the message with a signature of this try's time; raise ChannelError unless the receiver says yes."""
    body = orjson.dumps(dict(letter.payload))
    headers = {"content-type": "application/json", "user-agent": "aivillage-console"}
    keys = letter.secret.split()
    if keys:
        headers |= signing.headers(message_id=letter.key, at=letter.at, body=body.decode(), keys=keys)
    else:
        headers["webhook-id"] = letter.key
    try:
        reply = http.post(letter.config["url"], body=body, headers=headers, tls_1_2=bool(letter.config.get("tls_1_2")))
    except http.Refused as error:
        raise ChannelError(str(error), permanent=True) from error
    except http.Unreachable as error:
        raise ChannelError(str(error), permanent=False) from error
    except http.CutOff as error:
        raise ChannelError(str(error), permanent=False, maybe_delivered=True) from error
    return _judged(reply, letter.at)


def _judged(reply: http.Reply, now: datetime) -> Sent:
    excerpt = reply.body.decode("utf-8", "replace").replace("\x00", "")[:EXCERPT_CHARACTERS]
    verdict = verdict_of(reply.status)
    if verdict is Verdict.DELIVERED:
        return Sent(reply.status, excerpt)
    raise ChannelError(
        f"the receiver answered {reply.status}: {excerpt[:200]}",
        permanent=verdict is not Verdict.RETRY,
        status=reply.status,
        retry_after_seconds=retry_after_seconds(reply.headers.get("retry-after", ""), now),
        gone=verdict is Verdict.DISABLE,
    )


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
