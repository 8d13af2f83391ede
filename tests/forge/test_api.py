"""Runs over REST: read by everybody, written by their senders alone, imported by editors."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from rest_framework.test import APIClient

from aivillage_console.accounts.authentication import forget_tokens
from aivillage_console.accounts.models import Source
from aivillage_console.accounts.services import Actor, token_issue
from forge_dashboard.models import Run
from metrics.ingest import rows as gates
from tests.forge.conftest import Send, told
from tests.forge.test_importers import report
from tests.forge.test_intake import everything, ms

pytestmark = pytest.mark.django_db
RUNS = "/api/console/v1/runs/"


@pytest.fixture
def api() -> Callable[[str], APIClient]:
    def client(role: str = "viewer") -> APIClient:
        user = get_user_model().objects.create_user(f"{role}@example.org", "a-long-password-1", role=role)
        signed_in = APIClient()
        signed_in.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return signed_in

    return client


@pytest.fixture
def run(send: Send) -> Run:
    send(*everything(1, 20), told("run", "d", data={"name": "merge", "model": "cognate", "config": {"seed": 7}}))
    return Run.objects.get()


def test_runs_are_listed_filtered_and_read(api: Callable[..., APIClient], run: Run, send: Send, now: datetime) -> None:
    send(told("run", "1", state="failed") | {"run_id": "other"}, at=now + timedelta(seconds=1))
    viewer = api()
    assert [row["name"] for row in viewer.get(RUNS).json()["results"]] == ["", "merge"]
    (row,) = viewer.get(RUNS, {"state": "running", "source": "trainer"}).json()["results"]
    assert (row["id"], row["shown_state"], "config" in row) == (str(run.pk), "running", False)
    assert viewer.get(f"{RUNS}{run.pk}/").json()["config"] == {"seed": 7}
    assert viewer.get(f"{RUNS}{uuid.uuid4()}/").status_code == 404


def test_a_silent_run_is_shown_as_stalled(api: Callable[..., APIClient], run: Run) -> None:
    Run.objects.update(last_event_at=datetime.now(UTC) - timedelta(hours=1))
    assert api().get(f"{RUNS}{run.pk}/").json()["shown_state"] == "stalled"


def test_the_inside_of_a_run_is_read(api: Callable[..., APIClient], run: Run) -> None:
    viewer, inside = api(), f"{RUNS}{run.pk}/"
    assert [row["display"] for row in viewer.get(f"{inside}phases/").json()] == ["ADAS"]
    assert len(viewer.get(f"{inside}events/", {"limit": "10"}).json()["results"]) == 10
    tail = viewer.get(f"{inside}logs/", {"limit": "5"}).json()
    assert (len(tail["lines"]), tail["dropped"]) == (5, 0)
    assert viewer.get(f"{inside}logs/", {"after_id": tail["last_id"]}).json()["lines"] == []
    (loss,) = viewer.get(f"{inside}curves/", {"names": "adas/loss", "since_step": "14"}).json()
    assert (loss["steps"], loss["values"]) == ([15, 16, 17, 18, 19], [15, 16, 17, 18, 19])
    for noun, name in (("artifacts", "a1"), ("checkpoints", "c")):
        assert [row["name"] for row in viewer.get(f"{inside}{noun}/").json()["results"]] == [name]
    assert [row["state"] for row in viewer.get(f"{inside}gates/").json()["results"]] == ["failed"]


@pytest.mark.parametrize(
    ("noun", "asked"), [("curves", {"max_points": "1"}), ("curves", {"since_step": "x"}), ("logs", {"level": "loud"})]
)
def test_a_bad_question_is_answered_with_what_is_wrong(
    noun: str, asked: dict[str, str], api: Callable[..., APIClient], run: Run
) -> None:
    answer = api().get(f"{RUNS}{run.pk}/{noun}/", asked)
    assert answer.status_code == 400
    assert next(iter(asked)) in json.dumps(answer.json())


def test_an_editor_imports_a_report_and_a_viewer_does_not(api: Callable[..., APIClient], now: datetime) -> None:
    refused = api().post(f"{RUNS}import/", report(now), format="json")
    assert refused.status_code == 403
    editor = api("editor")
    answer = editor.post(f"{RUNS}import/", report(now), format="json")
    assert (answer.status_code, answer.json()["refused"]) == (200, [])
    assert Run.objects.get().pk == uuid.UUID(answer.json()["run"])
    assert "run_summary" in editor.post(f"{RUNS}import/", {}, format="json").content.decode()


def test_the_door_takes_events_with_the_right_scope_only(client: Client, source: Source, now: datetime) -> None:
    admin = get_user_model().objects.create_superuser("alice@example.org")
    gates.reset_gate()
    forget_tokens()

    def posted(scope: str) -> Any:
        _, token = token_issue(
            name=scope, kind="ingest", scopes=[scope], actor=Actor.of_user(admin, None), now=now, source=source
        )  # fmt: skip
        rows = [told("run", "1", state="running", at_ms=ms(now)), told("run", "2", state="exploded"), {"event_id": "3"}]
        return client.post(
            "/api/v1/ingest/pipeline-events", json.dumps({"batch_id": "b", "rows": rows}),
            content_type="application/json", headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip

    assert posted("ingest:metrics").status_code == 403
    answer = posted("ingest:pipelines").json()
    assert (answer["accepted"], [row["row"] for row in answer["rejected"]]) == (1, [1, 2])
    assert "there is no state 'exploded'" in answer["rejected"][0]["reason"]
    assert posted("ingest:pipelines").json()["duplicate"] is True
