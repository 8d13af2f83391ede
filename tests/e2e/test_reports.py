"""Heartbeats and test runs in a real browser: accessible and fit for a phone."""

import json
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.heartbeats.standing import PingKind
from alerts.engine.testruns.reading import read_report
from alerts.models import Canary, CronJob
from alerts.services.heartbeats import Report, job_save, ping_keep
from alerts.services.testruns import Sent, canary_save, run_keep

pytestmark = pytest.mark.browser
ACTOR = Actor.system("test")


@pytest.fixture
def paths(transactional_db: None) -> list[str]:
    """Return the pages about a job that failed and a suite with a low module, a flaky test and a canary."""
    now = clock.now()
    job = job_save(CronJob(name="backup", cron="30 3 * * *", longest_run_seconds=60), actor=ACTOR, now=now)
    for minute, kind in ((9, PingKind.START), (8, PingKind.SUCCESS), (7, PingKind.LOG), (6, PingKind.FAIL)):
        ping_keep(job.key, Report(kind=kind, body=b"disk full\n" * 40), now=now - timedelta(minutes=minute))
    job_save(CronJob(name="a job with a rather long name that has never run", period_seconds=60), actor=ACTOR, now=now)
    canary_save(Canary(name="BitNet quantisation", path="tests/test_bit.py"), actor=ACTOR, now=now)
    for minute in range(12):
        tests = [
            {"nodeid": "tests/integration/test_a.py::test_wild", "outcome": "failed" if minute % 2 else "passed"},
            {"nodeid": "tests/integration/test_a.py::test_low", "outcome": "failed"},
            *({"nodeid": f"tests/unit/test_{n}.py::test_it", "outcome": "passed"} for n in range(8)),
            {"nodeid": "tests/test_bit.py::test_quantise", "outcome": "xpassed"},
        ]
        report = read_report(json.dumps({"tests": tests, "duration": 3}).encode())
        sent = Sent(suite="unit", branch="feature/" + "x" * 40 * (minute == 11), commit="abc1234")
        run, _ = run_keep(report, sent, now=now - timedelta(minutes=20 - minute))
    return [
        "/heartbeats/", f"/heartbeats/{job.job.pk}/", "/heartbeats/new/", "/test-runs/?branch=feature/",
        f"/test-runs/{run.pk}/",
    ]  # fmt: skip


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_the_pages_of_reports_are_accessible_and_never_scroll_sideways(
    open_context: Any, paths: list[str], theme: str, width: int
) -> None:
    page = open_context(theme, width).new_page()
    for path in paths:
        page.goto(path)
        page.evaluate(
            "() => document.querySelectorAll('main details:not(.menu)').forEach(each => { each.open = true })"
        )
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path} {theme} {width}: {found.generate_report()}"
        assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth"), (path, width)
