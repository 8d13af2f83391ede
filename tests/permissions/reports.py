"""One job that reports in, one test run and one canary, and who may do what with them."""

from typing import Any

from aivillage_console.lib import clock
from alerts.models import Canary, CronJob, Ping, TestRun, TestSuite

API = "/api/console/v1/"


def cron_job() -> CronJob:
    """Return the job there is, or make it with a report."""
    found = CronJob.objects.first()
    if found is None:
        found = CronJob.objects.create(name="backup", key_sha256="0" * 64, key_hint="abcd", pings=1)
        Ping.objects.create(job=found, number=1, at=clock.now(), kind="success")
    return found


def a_test_run() -> TestRun:
    """Return the run there is, or make it."""
    now = clock.now()
    suite, _ = TestSuite.objects.get_or_create(name="unit", branch="main", defaults={"last_run_at": now})
    facts = {"total": 1, "passed": 1, "failed": 0, "skipped": 0, "errors": 0, "success_rate": 100.0}
    return suite.runs.first() or suite.runs.create(at=now, received_at=now, form="junit", **facts)


def canary() -> Canary:
    """Return the canary there is, or make it."""
    return Canary.objects.first() or Canary.objects.create(name="BitNet", path="tests/test_bitnet.py")


def nouns() -> dict[str, Any]:
    """Return what the paths about reports speak of."""
    job = cron_job()
    return {
        "/canaries/": canary(), "/test-runs/": a_test_run(), "/cron-jobs/": job, "/heartbeats/": job, "/ping/": job,
    }  # fmt: skip


BODIES: dict[str, dict[str, Any]] = {
    "cron-jobs/": {"name": "other", "period_seconds": 60, "grace_seconds": 60},
    "cron-jobs/<pk>/": {"grace_seconds": 90},
    "canaries/": {"name": "other", "path": "tests/test_a.py"}, "canaries/<pk>/": {"reason": "known"},
}  # fmt: skip


def expected() -> dict[tuple[str, str], tuple[str, set[str]]]:
    """Return the rows of the table."""
    read, people = ("01111", {"read"}), ("01111", set[str]())
    editors, responders = ("00011", set[str]()), ("00111", set[str]())
    rows: dict[tuple[str, str], tuple[str, set[str]]] = {
        ("POST", "/api/v1/ingest/test-runs"): ("00000", {"ingest:tests"})
    }
    # Whoever knows the key of a job may report for it, and do nothing else.
    for tail in ("", "/", "/<str:action>"):
        for verb in ("GET", "POST"):
            rows[(verb, f"/ping/<uuid:key>{tail}")] = ("11111", {"*"})
    for noun in ("cron-jobs", "canaries"):
        rows |= {("GET", f"{API}{noun}/{tail}"): read for tail in ("", "<pk>/")}
        changes = (("POST", ""), ("PATCH", "<pk>/"), ("DELETE", "<pk>/"))
        rows |= {(verb, f"{API}{noun}/{tail}"): ("00011", {"write"}) for verb, tail in changes}
    rows |= {("GET", f"{API}{tail}"): read for tail in ("cron-jobs/<pk>/pings/", "test-runs/", "test-runs/<pk>/")}
    rows[("GET", f"{API}test-runs/<pk>/outcomes/")] = read
    rows[("POST", f"{API}cron-jobs/<pk>/rotate/")] = ("00011", {"write"})
    for verb in ("pause", "resume"):
        rows[("POST", f"{API}cron-jobs/<pk>/{verb}/")] = ("00111", {"respond"})
        rows[("POST", f"/heartbeats/<uuid:job_id>/{verb}/")] = responders
    rows |= {("GET", path): people for path in ("/heartbeats/", "/heartbeats/<uuid:job_id>/", "/test-runs/")}
    rows[("GET", "/test-runs/<int:run_id>/")] = people
    rows[("GET", "/heartbeats/new/")] = rows[("POST", "/heartbeats/new/")] = editors
    rows |= {("POST", f"/heartbeats/<uuid:job_id>/{verb}/"): editors for verb in ("save", "rotate", "delete")}
    rows[("POST", "/test-runs/canaries/add/")] = rows[("POST", "/test-runs/canaries/<uuid:canary_id>/delete/")] = (
        editors
    )
    return rows
