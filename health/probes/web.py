"""HTTP: a page answers with the status, and perhaps the text, that it should."""

from collections.abc import Mapping
from typing import Any

from aivillage_console.lib import http
from health.probes.addresses import hint, unknown_keys
from health.probes.results import Probe, Question, Result, Unanswered, healthy, unhealthy

KEYS = frozenset({"url", "expect_status", "expect_text"})


def problems(config: Mapping[str, Any], _has_secret: bool) -> dict[str, str]:
    """Return what is wrong with the settings."""
    found = unknown_keys(config, KEYS)
    try:
        http.check_url(str(config.get("url", "")))
    except http.Refused as refusal:
        found["url"] = str(refusal)
    status = config.get("expect_status")
    if status is not None and not (isinstance(status, int) and 100 <= status <= 599):
        found["expect_status"] = "must be a status from 100 to 599, or left out for any below 400"
    text = config.get("expect_text", "")
    if not isinstance(text, str) or len(text) > 200:
        found["expect_text"] = "must be a text of at most 200 characters"
    return found


def ask(question: Question) -> Result:
    """Send one GET; a secret travels as a bearer token."""
    url, expected = str(question.config.get("url", "")), question.config.get("expect_status")
    headers = {"authorization": f"Bearer {question.secret}"} if question.secret else {}
    try:
        reply = http.get(url, headers=headers, total_seconds=question.timeout_seconds)
    except http.Refused as refusal:
        raise Unanswered(hint(refusal, url)) from refusal
    except (http.Unreachable, http.CutOff) as error:
        raise Unanswered(str(error)) from error
    if reply.status != expected if expected else reply.status >= 400:
        return unhealthy(f"answered {reply.status}, expected {expected or 'a status below 400'}")
    text = str(question.config.get("expect_text", ""))
    if text and text.encode() not in reply.body:
        return unhealthy(
            f"answered {reply.status}, but its first {http.BODY_BYTES} bytes do not hold the expected text"
        )
    return healthy(f"answered {reply.status}")


HTTP = Probe("HTTP", KEYS, problems, ask)
