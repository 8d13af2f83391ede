"""One channel everybody is told by, alerts and silences."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.episodes import Seen
from alerts.models import Alert, Channel, Silence
from alerts.pipeline import Observation
from alerts.services import observe
from alerts.services.silencing import Ask, silence_make
from tests.alerts.conftest import channel_at, policy_with

ADA = Actor(kind="user", id="1", label="ada@example.org", role="responder")


@pytest.fixture
def channel(transactional_db: None, letterbox: Any) -> Channel:
    """Return a webhook that hears of every alert."""
    made = channel_at(letterbox.url)
    policy_with((0, []), name="everyone", is_default=True)
    return made


@pytest.fixture
def firing(db: None) -> Callable[..., Alert]:
    """Return a maker of alerts that fire."""

    def make(name: str = "DiskFull", severity: str = "high", **labels: str) -> Alert:
        seen = Observation(name=name, labels=labels, seen=Seen.FIRING, severity=severity)
        observe(seen, now=clock.now())
        return Alert.objects.order_by("-id").get(name=name, labels=labels)

    return make


def silenced(matchers: str = 'alertname="DiskFull"', *, minutes: float = 60, **fields: Any) -> Silence:
    """Make a silence as a person does."""
    now = clock.now()
    asked = Ask(matchers=matchers, ends_at=now + timedelta(minutes=minutes), reason="new disks", **fields)
    return silence_make(asked, actor=ADA, now=now)
