"""With Celery and Redis off the sweepers alone deliver; with the sweepers off, the tasks do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from alerts import tasks
from alerts.models import Notification, Rule, RuleGroup
from alerts.services import dispatch_due
from alerts.sweeping import Sweeper, Watch
from metrics.ingest.rows import MetricRow
from metrics.services import partitions_prepare, samples_append
from tests.alerts.conftest import Letterbox, channel_at, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
NEXT = "SELECT min(due_at) FROM alerts_notification WHERE state = 'due'"
PATIENCE_SECONDS = 40
FOR_SECONDS = 15


def until(true: Callable[[], bool]) -> bool:
    """Wait for something; return whether it came."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends_at:
        if true():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def role(project_dir: Path, command: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real process of the console on the test database."""
    name = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    process = subprocess.Popen(
        [sys.executable, "manage.py", command], cwd=project_dir,
        env={**os.environ, "DATABASE_URL": url, "CELERY_ENABLED": "false", "OUTBOUND_ALLOWED": "127.0.0.0/8:*",
             "STORM_CONTROL_ENABLED": "false", **env},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(timeout=20)


def test_the_dispatcher_alone_delivers_and_another_finishes_what_a_killed_one_began(
    letterbox: Letterbox, project_dir: Path
) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    letterbox.hang_seconds = 3
    with role(project_dir, "dispatch") as first:
        fire()
        assert until(lambda: len(letterbox.got) == 1)
        first.kill()
    letterbox.hang_seconds = 0
    with role(project_dir, "dispatch"):
        assert until(lambda: Notification.objects.filter(state="done").exists())
    row = Notification.objects.get()
    assert (row.attempts, len(letterbox.got)) == (2, 2)
    assert {headers["webhook-id"] for headers in letterbox.headers} == {row.key}


def test_a_killed_dispatcher_whose_message_had_arrived_sends_it_again_under_the_same_key(
    letterbox: Letterbox, project_dir: Path
) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    running: list[subprocess.Popen[bytes]] = []
    # Dies with the answer on its way: delivered, and not yet written down.
    letterbox.before_answer = lambda: running.pop().kill() if running else None
    with role(project_dir, "dispatch") as first:
        running.append(first)
        fire()
        assert until(lambda: first.poll() is not None)
    with role(project_dir, "dispatch"):
        assert until(lambda: Notification.objects.filter(state="done").exists())
    assert len(letterbox.got) == 2
    assert len({headers["webhook-id"] for headers in letterbox.headers}) == 1


def test_a_killed_evaluator_leaves_the_timer_of_a_rule_to_the_next(project_dir: Path) -> None:
    now = clock.now()
    partitions_prepare(now=now)
    source = Source.objects.create(name="test", service="test", created_at=now)
    row = MetricRow(name="heat", type="gauge", value=91.0, labels={}, timestamp_ms=round(now.timestamp() * 1000))
    assert samples_append([row], source=source, now=now) == []
    group = RuleGroup.objects.create(name="g", interval_seconds=1, due_at=now)
    rule = Rule.objects.create(group=group, name="Hot", spec={"expr": "heat > 80"}, for_seconds=FOR_SECONDS)
    with role(project_dir, "evaluate") as first:
        assert until(rule.states.exists)
        first.kill()
    began = rule.states.get().active_at
    with role(project_dir, "evaluate"):
        assert until(lambda: rule.states.filter(fired_at__isnull=False).exists())
    state = rule.states.get()
    assert state.active_at == began
    assert state.fired_at is not None
    assert began is not None
    assert FOR_SECONDS <= (state.fired_at - began).total_seconds() <= FOR_SECONDS + group.interval_seconds


def test_a_round_sweeps_only_when_the_sweepers_are_on(letterbox: Letterbox, settings: Any) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    fire()
    sweeper = Sweeper([Watch("dispatch", NEXT, dispatch_due)])
    settings.CONFIG = replace(settings.CONFIG, sweepers_enabled=False)
    sweeper.round()
    assert letterbox.got == []
    settings.CONFIG = replace(settings.CONFIG, sweepers_enabled=True)
    sweeper.round()
    assert letterbox.kinds == ["fire"]


def test_the_tasks_alone_deliver(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    fire()
    tasks.evaluate()
    tasks.escalate()
    tasks.dispatch()
    tasks.maintain()
    assert letterbox.kinds == ["fire"]
