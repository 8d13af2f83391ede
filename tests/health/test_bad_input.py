"""The door of health results over HTTP: hostile words are taken by row or not at all, and come out harmless."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts import services as accounts
from aivillage_console.accounts.models import User
from aivillage_console.lib import clock
from health.models import Check, CheckResult, Component
from tests.markup import acting

URL = "/api/v1/ingest/health-results"
pytestmark = pytest.mark.django_db


@pytest.fixture
def sender() -> Client:
    """Return a client with the token of a source."""
    source, actor = accounts.source_named("edge"), accounts.Actor.system("test")
    _, plain = accounts.token_issue(
        name="edge", kind="ingest", scopes=["ingest:health"], source=source, actor=actor, now=clock.now()
    )
    return Client(headers={"authorization": f"Bearer {plain}"})


@pytest.fixture
def viewer() -> Client:
    """Return the browser of somebody who reads."""
    client = Client()
    user = User.objects.create_user("vi@example.org", None, role="viewer")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def send(client: Client, *rows: Any, batch: str = "b1") -> Any:
    return client.post(URL, json.dumps({"batch_id": batch, "rows": rows}), content_type="application/json")


def row(**more: Any) -> dict[str, Any]:
    return {"component": "api", "check": "answers", "status": "healthy", **more}


BAD: dict[str, tuple[Any, str]] = {
    "no object": ([], "Expected `object`"),
    "no status": ({"component": "api", "check": "answers"}, "missing required field `status`"),
    "unknown status": (row(status="great"), "Invalid enum value"),
    "unknown field": (row(state="healthy"), "unknown field"),
    "component is a list": (row(component=["api"]), "Expected `str`"),
    "component of markup": (row(component="<script>"), "Letters, digits"),
    "component with NUL": (row(component="a\0b"), "Letters, digits"),
    "component with a new line": (row(component="api\n"), "Letters, digits"),
    "check is long": (row(check="x" * 121), "1 to 120"),
    "half a pair": (row(message="\udfff"), "not Unicode"),
    "an old result": (row(at_ms=1_000), "time window"),
    "of the year 9999": (row(at_ms=253402300799000), "time window"),
    "beyond 64 bits": (row(at_ms=2**70), "time window"),
    "beyond a double": (row(at_ms=10**400), "time window"),
    "before time": (row(at_ms=-(10**400)), "time window"),
    "duration below zero": (row(duration_ms=-1), "from 0 to a day"),
    "duration of years": (row(duration_ms=1e308), "from 0 to a day"),
    "duration is a text": (row(duration_ms="5"), "Expected `float | null`"),
    "edge of markup": (row(depends_on=["<b>"]), "Letters, digits"),
    "edge is an object": (row(depends_on=[{}]), "Expected `str`"),
    "many edges": (row(depends_on=["a"] * 51), "at most 50"),
}  # fmt: skip


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_a_bad_row_is_told_and_the_good_one_beside_it_kept(sender: Client, bad: Any, reason: str) -> None:
    answer = send(sender, bad, row(check="good"))
    assert answer.status_code == 200, answer.content
    (refused,) = answer.json()["rejected"]
    assert (refused["row"], reason in refused["reason"]) == (0, True), refused
    assert Check.objects.get(component__name="api").name == "good"


def test_texts_that_a_database_cannot_hold_are_kept_without_what_it_cannot(sender: Client) -> None:
    answer = send(sender, row(message="a\0b", kind="k\0", owner="o\0"), row(check="long", message="m" * 90_000))
    assert answer.json()["rejected"] == []
    assert "\0" not in "".join(CheckResult.objects.values_list("detail", flat=True))


def test_a_component_that_depends_on_itself_or_in_a_circle_is_shown(sender: Client, viewer: Client) -> None:
    circle = [row(component=name, depends_on=[other]) for name, other in ("ab", "bc", "ca", "dd")]
    assert send(sender, *circle).json()["rejected"] == []
    assert viewer.get("/health/").status_code == 200
    for one in Component.objects.all():
        assert viewer.get(f"/health/{one.pk}/").status_code == 200


def test_so_many_components_are_taken_and_no_more(sender: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("health.intake.rows.MOST_COMPONENTS", Component.objects.count() + 2)
    answer = send(sender, *(row(component=f"c{n}") for n in range(4))).json()
    assert answer["accepted"] == 2
    assert {"components already" in one["reason"] for one in answer["rejected"]} == {True}


def test_a_batch_takes_so_many_results_and_says_where_the_others_belong(
    sender: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("health.intake.rows.MOST_RESULTS", 2)
    answer = send(sender, *(row(check=f"k{n}") for n in range(5))).json()
    assert (answer["accepted"], [one["row"] for one in answer["rejected"]]) == (2, [2, 3, 4])
    assert "send the rest in another one" in answer["rejected"][0]["reason"]


def test_naughty_strings_come_out_of_the_pages_and_the_report_as_text(
    sender: Client, viewer: Client, corpora_dir: Path
) -> None:
    naughty = json.loads((corpora_dir / "naughty-strings/blns.json").read_text())
    told = [
        *naughty,
        "<script>alert(1)</script>",
        "=cmd|' /C calc'!A0",
        "| a | b |\n## title",
        "[x](javascript:alert(1))",
    ]
    rows = [row(check=f"c{n}", status="unhealthy", message=text, owner=text) for n, text in enumerate(told)]
    assert send(sender, *rows).json()["rejected"] == []
    page = viewer.get(f"/health/{Component.objects.get(name='api').pk}/").content.decode()
    report = viewer.get("/health/report/").content.decode()
    markdown = viewer.get("/health/report.md").content.decode()
    assert (acting(page), acting(report)) == ([], [])
    assert "&lt;script&gt;alert(1)" in page
    assert "\n## title" not in markdown
    assert json.loads(viewer.get("/health/report.json").content)
