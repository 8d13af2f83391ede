"""The pages of heartbeats and of test runs: who sees what, the key once, hostile texts, query counts."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.heartbeats.standing import PingKind
from alerts.engine.testruns.reading import read_report
from alerts.models import Canary, CronJob, TestRun
from alerts.services.heartbeats import Report, job_save, ping_keep
from alerts.services.testruns import Sent, canary_save, run_keep

pytestmark = pytest.mark.django_db
ACTOR = Actor.system("test")
HOSTILE = "<script>alert(1)</script>"
QUERIES = {"/heartbeats/": 4, "/heartbeats/<job>/": 5, "/test-runs/": 6, "/test-runs/<run>/": 3}
FORM = {"name": "nightly", "every": "1d", "grace": "1h", "time_zone": "UTC"}


@pytest.fixture
def job(db: None) -> CronJob:
    """Return a job that failed with an output, and three that did otherwise."""
    now = clock.now()
    made = job_save(CronJob(name=f"backup {HOSTILE}", description=HOSTILE), actor=ACTOR, now=now)
    ping_keep(made.key, Report(kind=PingKind.START), now=now - timedelta(minutes=2))
    ping_keep(made.key, Report(kind=PingKind.FAIL, exit_status=3, body=HOSTILE.encode(), agent=HOSTILE), now=now)
    job_save(CronJob(name="never ran", cron="*/5 * * * *"), actor=ACTOR, now=now)
    late = job_save(CronJob(name="late", period_seconds=60), actor=ACTOR, now=now)
    ping_keep(late.key, Report(kind=PingKind.SUCCESS), now=now - timedelta(seconds=90))
    return CronJob.objects.get(pk=made.job.pk)


@pytest.fixture
def run(db: None) -> TestRun:
    """Return the last of some runs with a failing module, flips, and a canary."""
    now = clock.now()
    canary_save(Canary(name=f"bird {HOSTILE}", path="tests/test_bit.py", reason=HOSTILE), actor=ACTOR, now=now)
    for minute in range(11):
        tests = [
            {"nodeid": f"tests/test_a.py::{HOSTILE}", "outcome": "failed" if minute % 2 else "passed"},
            {"nodeid": "tests/test_a.py::low", "outcome": "failed"},
            {"nodeid": "tests/test_bit.py::quant", "outcome": "xpassed"},
        ]
        sent = Sent(suite="unit", branch=f"x{HOSTILE}", commit="abc", url="https://ci.example/1")
        report = read_report(json.dumps({"tests": tests, "duration": 3}).encode())
        kept, _ = run_keep(report, sent, now=now - timedelta(minutes=20 - minute))
    return kept


def address(path: str, job: CronJob, run: TestRun) -> str:
    return path.replace("<job>", str(job.pk)).replace("<run>", str(run.pk))


@pytest.mark.parametrize("path", QUERIES)
def test_a_viewer_reads_each_page_with_the_queries_it_is_known_for(
    person: Any, job: CronJob, run: TestRun, path: str
) -> None:
    viewer = person("viewer")
    viewer.get(address(path, job, run))
    with CaptureQueriesContext(connection) as queries:
        answer = viewer.get(address(path, job, run))
    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    body = answer.content.decode()
    assert (answer.status_code, HOSTILE in body) == (200, False)
    assert len(asked) - 2 == QUERIES[path], asked  # Besides the session and its user.


@pytest.mark.parametrize("path", ["/heartbeats/", "/test-runs/"])
def test_an_empty_page_says_what_it_is_for(person: Any, path: str) -> None:
    body = person("viewer").get(path).content.decode()
    assert ("yet</h3>" in body, "Changing this needs role editor" in body) == (True, True)


def test_the_list_shows_the_worst_first_and_each_state_in_words(person: Any, job: CronJob) -> None:
    body = person("viewer").get("/heartbeats/?fragment=rows").content.decode()
    places = [body.index(text) for text in ("backup &lt;script", ">late</a>", ">never ran</a>")]
    assert places == sorted(places)
    assert ("exit status 3" in body, "1 down, 1 late, 1 new" in body, "<html" in body) == (True, True, False)


def test_a_job_is_made_on_its_page_and_its_key_is_shown_once(person: Any) -> None:
    editor = person("editor")
    assert editor.get("/heartbeats/new/").status_code == 200
    answer = editor.post("/heartbeats/new/", FORM)
    made = CronJob.objects.get()
    shown = answer.content.decode()
    key = shown.split("/ping/", 1)[1][:36]
    assert (answer.status_code, made.period_seconds, made.grace_seconds) == (201, 86_400, 3600)
    assert editor.get(f"/ping/{key}").content == b"OK"
    assert key not in editor.get(f"/heartbeats/{made.pk}/").content.decode()
    fresh = editor.post(f"/heartbeats/{made.pk}/rotate/").content.decode().split("/ping/", 1)[1][:36]
    assert [editor.get(f"/ping/{each}").status_code for each in (key, fresh)] == [404, 200]


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"cron": "x y"}, "Five fields"), ({"every": "soon"}, "not a duration"), ({"every": "1s"}, "From 10 s"),
     ({"labels": "a b"}, "Line 1"), ({"grace": ""}, "required"),
     ({"cron": "0 3 * * *", "time_zone": "Mars"}, "no time zone")],
)  # fmt: skip
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_stored(
    person: Any, fields: dict[str, str], said: str
) -> None:
    answer = person("editor").post("/heartbeats/new/", {**FORM, **fields})
    assert (answer.status_code, said in answer.content.decode(), CronJob.objects.count()) == (422, True, 0)


def test_a_job_is_changed_paused_resumed_and_deleted(person: Any, job: CronJob) -> None:
    editor, base = person("editor"), f"/heartbeats/{job.pk}/"
    form = {**FORM, "cron": "30 3 * * 1-5", "longest_run": "2h", "labels": "team = infra", "version": "1"}
    assert editor.post(f"{base}save/", form).status_code == 302
    row = CronJob.objects.get(pk=job.pk)
    assert (row.name, row.cron, row.longest_run_seconds, row.labels, row.version) == (
        "nightly", "30 3 * * 1-5", 7200, {"team": "infra"}, 2,
    )  # fmt: skip
    assert editor.post(f"{base}save/", form).status_code == 409
    assert "By its cron expression" in editor.get(base).content.decode()
    editor.post(f"{base}pause/")
    assert "Paused" in editor.get(f"{base}?fragment=standing").content.decode()
    editor.post(f"{base}resume/")
    assert "Paused" not in editor.get(f"{base}?fragment=standing").content.decode()
    assert editor.post(f"{base}delete/").status_code == 302
    assert editor.get(base).status_code == 404


def test_the_page_of_test_runs_says_what_is_wrong_and_where(person: Any, run: TestRun) -> None:
    body = person("viewer").get("/test-runs/").content.decode()
    for text in ("66.7 %", "flipped 10 times in 11 runs", "tests.test_a", "Look here first", "it passes though",
                 'aria-label="Success rate of the last 11 runs'):  # fmt: skip
        assert text in body, text
    assert person("editor").get("/test-runs/?suite=other").status_code == 200


def test_a_run_lists_the_tests_that_did_not_simply_pass(person: Any, run: TestRun) -> None:
    viewer = person("viewer")
    body = viewer.get(f"/test-runs/{run.pk}/").content.decode()
    assert ("tests.test_a.low" in body, "xpassed" in body, 'href="https://ci.example/1"' in body) == (True, True, True)
    assert viewer.get("/test-runs/999999/").status_code == 404


def test_a_canary_is_added_and_deleted_on_the_page(person: Any, run: TestRun) -> None:
    editor = person("editor")
    form = {"name": "Evo", "path": "tests/test_evo.py", "expected_status": "collection_error", "failure_threshold": "1"}
    assert editor.post("/test-runs/canaries/add/", form).status_code == 302
    twice = editor.post("/test-runs/canaries/add/", form)
    assert (twice.status_code, "already exists" in twice.content.decode()) == (422, True)
    made = Canary.objects.get(name="Evo")
    assert editor.post(f"/test-runs/canaries/{made.pk}/delete/").status_code == 302
    assert editor.post(f"/test-runs/canaries/{made.pk}/delete/").status_code == 404


def test_jobs_and_runs_over_rest(person: Any, job: CronJob, run: TestRun) -> None:
    editor = person("editor")
    made = editor.post(
        "/api/console/v1/cron-jobs/", {"name": "x", "period_seconds": 60}, content_type="application/json"
    )
    assert (made.status_code, made.json()["standing"]["state"], len(made.json()["key"])) == (201, "new", 36)
    listed = editor.get(f"/api/console/v1/cron-jobs/{job.pk}/pings/").json()["results"]
    assert [row["kind"] for row in listed] == ["fail", "start"]
    base = f"/api/console/v1/test-runs/{run.pk}/"
    assert editor.get(base).json()["flaky_tests"][0]["flips"] == 10
    assert set(editor.get(f"{base}outcomes/").json()["outcomes"]) == {"passed", "failed", "xpassed"}
