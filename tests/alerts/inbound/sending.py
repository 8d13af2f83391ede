"""Integrations and calls of the doors' tests."""

import json
from typing import Any

from django.test import Client

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.models import Alert, InboundMessage, Integration
from alerts.services import inbound_due, integration_save
from alerts.services.integrations import Issued

SYSTEM = Actor.system("test")


def issued(tool: str, name: str = "", *, secret: str | None = None, **facts: Any) -> Issued:
    """Return a stored integration with its token."""
    return integration_save(
        Integration(tool=tool, name=name or tool, **facts), actor=SYSTEM, now=clock.now(), secret=secret
    )  # fmt: skip


def post(path: str, body: Any, *, content_type: str = "application/json", **headers: str) -> Any:
    """Send a body as a tool does."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client().post(path, data=data, content_type=content_type, headers=headers)


def dealt() -> str:
    """Have everything dealt with; return what came of the last message."""
    assert inbound_due(hand="celery") is False
    return InboundMessage.objects.order_by("-id")[0].outcome


def alert() -> Alert:
    """Return the one alert there is."""
    return Alert.objects.get()
