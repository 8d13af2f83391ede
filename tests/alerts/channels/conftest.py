"""Channels that point at look-alikes on loopback, and the moves every channel is tried with."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aivillage_console.lib import clock
from alerts.models import Channel, Notification
from alerts.services import dispatch_due


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings: Any) -> None:
    """Admit loopback, as the demo does, by the one setting there is for it."""
    settings.CONFIG = replace(
        settings.CONFIG, outbound_allowed=["127.0.0.0/8:*"], celery_enabled=False, storm_control_enabled=False,
        public_url="https://console.example.org",
    )  # fmt: skip


@pytest.fixture(scope="session")
def naughty(corpora_dir: Path) -> list[str]:
    """The strings that have broken the most programs."""
    found: list[str] = json.loads((corpora_dir / "naughty-strings" / "blns.json").read_text())
    return found


def channel_of(kind: str, config: dict[str, Any], secret: str = "", name: str = "", **fields: Any) -> Channel:
    """Return a saved channel of a type."""
    channel = Channel(name=name or kind, type=kind, config=config, **fields)
    channel.seal(secret)
    channel.save()
    return channel


def dispatch(at: datetime | None = None) -> datetime:
    """Send what is due at a time, and return that time."""
    moment = at or clock.now()
    dispatch_due(hand="celery", read_clock=lambda: moment)
    return moment


def dispatch_later(**by: float) -> datetime:
    """Send what is due once every message that waits has become due; return that time."""
    waiting = Notification.objects.filter(state="due").order_by("-due_at").values_list("due_at", flat=True).first()
    held = Channel.objects.order_by("-tokens_at").values_list("tokens_at", flat=True)
    latest = max([clock.now(), *([waiting] if waiting else []), *[at for at in held if at]])
    return dispatch(latest + timedelta(**(by or {"seconds": 3})))


def states() -> list[str]:
    """Return the states of all messages in the order they became owed."""
    return list(Notification.objects.order_by("id").values_list("state", flat=True))
