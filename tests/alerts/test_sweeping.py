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

from alerts import tasks
from alerts.models import Notification
from alerts.services import dispatch_due
from alerts.sweeping import Sweeper, Watch
from tests.alerts.conftest import Letterbox, channel_at, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
NEXT = "SELECT min(due_at) FROM alerts_notification WHERE state = 'due'"
PATIENCE_SECONDS = 30


def until(true: Callable[[], bool]) -> bool:
    """Wait for something; return whether it came."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends_at:
        if true():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def dispatcher(project_dir: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a real `manage.py dispatch` on the test database."""
    name = connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "dispatch"], cwd=project_dir,
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
    with dispatcher(project_dir) as first:
        fire()
        assert until(lambda: len(letterbox.got) == 1)
        first.kill()
    letterbox.hang_seconds = 0
    with dispatcher(project_dir):
        assert until(lambda: Notification.objects.filter(state="done").exists())
    row = Notification.objects.get()
    assert (row.attempts, len(letterbox.got)) == (2, 2)
    assert {headers["webhook-id"] for headers in letterbox.headers} == {row.key}


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
