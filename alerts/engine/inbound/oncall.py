"""OnCall's formatted webhook: every field may be missing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alerts.engine.inbound import guessing, words
from alerts.engine.inbound.told import (
    LONGEST_KEY,
    LONGEST_NAME,
    Hints,
    Reading,
    Status,
    Unreadable,
    text_of,
    texts_of,
    url_of,
)

STATES = {"alerting": Status.FIRING, "ok": Status.RESOLVED}


def read(payload: Any, hints: Hints) -> Reading:
    """Return the one alert of a message; what it says beside the format is read like any payload."""
    if not isinstance(payload, Mapping) or not payload:
        raise Unreadable("The message is no JSON object with one of alert_uid, title, state, message.")
    guessed = guessing.guessed(payload, hints)
    title, message = text_of(payload.get("title")), text_of(payload.get("message"))
    key = text_of(payload.get("alert_uid"), LONGEST_KEY)
    state = text_of(payload.get("state")).lower()
    told = replace(
        guessed, name=(title or message.partition("\n")[0] or guessed.name)[:LONGEST_NAME], key=key or guessed.key,
        status=STATES.get(state) or words.status_in(state) or Status.FIRING,
        annotations=texts_of({
            "summary": title or guessed.name, "description": message, "image_url": url_of(payload.get("image_url")),
        }),
        url=url_of(payload.get("link_to_upstream_details")) or guessed.url,
        labels={name: value for name, value in guessed.labels.items() if name not in ("alert_uid", "image_url")},
    )  # fmt: skip
    return Reading(alerts=(told,), reader="oncall")
