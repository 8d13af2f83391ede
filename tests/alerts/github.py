"""What GitHub sends, made and sent as GitHub does."""

import hashlib
import hmac
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.test import Client

from alerts.models import Alert, InboundHook, WebhookIn
from alerts.services import sync_due
from tests.conftest import PROJECT_DIR

SECRET = "a secret only GitHub knows"
REPO, NUMBER = "Codertocat/Hello-World", 1
T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EXAMPLES = (
    Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data") / "github-webhooks" / "examples"
)


def payload(action: str, *, at: datetime = T0, login: str = "Codertocat", **more: Any) -> dict[str, Any]:
    """Return what GitHub sends, cut down to what is read."""
    issue = {"number": NUMBER, "updated_at": at.isoformat(), "html_url": "https://github.com/x"}
    return {
        "action": action, "issue": {**issue, **more.pop("issue", {})}, "repository": {"full_name": REPO},
        "sender": {"login": login}, **more,
    }  # fmt: skip


def comment(text: str, *, login: str = "Codertocat", **more: Any) -> dict[str, Any]:
    return payload("created", login=login, comment={"body": text, "user": {"login": login}}, **more)


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def post(
    hook: InboundHook | str,
    said: Any,
    event: str = "issues",
    *,
    delivery: str = "",
    body: bytes | None = None,
    content_type: str = "application/json",
    **headers: Any,
) -> Any:
    """Send a message as GitHub does."""
    body = json.dumps(said).encode() if body is None else body
    given = {
        "X-GitHub-Event": event, "X-GitHub-Delivery": delivery or str(uuid4()), "X-Hub-Signature-256": signed(body),
        **headers,
    }  # fmt: skip
    path = f"/hooks/github/{hook if isinstance(hook, str) else hook.pk}/"
    return Client().post(path, data=body, content_type=content_type, headers={k: v for k, v in given.items() if v})


def told(hook: InboundHook, said: Any, event: str = "issues", **more: Any) -> str:
    """Send a message, have it dealt with and return what came of it."""
    answer = post(hook, said, event, **more)
    assert answer.status_code == 202, answer.content
    sync_due(hand="celery")
    return WebhookIn.objects.order_by("-id")[0].outcome


def story(alert: Alert) -> list[str]:
    return [event.kind for event in alert.events.order_by("id")]


def state_of(alert: Alert) -> str:
    return Alert.objects.get(pk=alert.pk).shown_state
