"""Jobs and a time the tests share."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.heartbeats import door
from alerts.models import CronJob, Rule, RuleGroup
from alerts.services.heartbeats import Keyed, job_save

ACTOR = Actor.system("test")


@pytest.fixture(autouse=True)
def _full_buckets() -> None:
    door.ADDRESSES.clear()
    door.JOBS.clear()


@pytest.fixture
def job() -> Callable[..., Keyed]:
    """Return a maker of jobs."""

    def make(name: str = "backup", **fields: Any) -> Keyed:
        values = {"period_seconds": 60, "grace_seconds": 30, **fields}
        return job_save(CronJob(name=name, **values), actor=ACTOR, now=clock.now())

    return make


@pytest.fixture
def rule() -> Rule:
    """Return a rule about all jobs, in a group of its own."""
    group = RuleGroup.objects.create(name="beats", interval_seconds=10, due_at=clock.now())
    return Rule.objects.create(
        group=group, name="JobDown", kind="heartbeat", spec={}, severity="high", cooldown_seconds=0
    )


def at(moment: datetime) -> Callable[[], datetime]:
    """Return a clock that stands still."""
    return lambda: moment
