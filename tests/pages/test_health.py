"""The pages of Health: the tree, a component, running a check, the report, and who may do what."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aivillage_console.lib import clock
from alerts.models import Alert, Rule, RuleGroup
from health.intake.results import Found, result_store
from health.models import Check, Component
from health.services import ensure_own

pytestmark = pytest.mark.django_db


@pytest.fixture
def check() -> Check:
    """Return a check of a component that another one needs, with one bad result."""
    now = clock.now()
    made = Component.objects.create(name="neo4j", kind="database", owner="eva", description="The graph.")
    Component.objects.create(name="hyperrag", kind="service",
                             depends_on=[{"name": "neo4j", "type": "database", "critical": True},
                                         {"name": "nowhere", "type": "cache", "critical": False}])  # fmt: skip
    row = Check.objects.create(component=made, name="disk", kind="callable", config={"name": "console.disk"},
                               due_at=now + timedelta(hours=1))  # fmt: skip
    changes = result_store(row, Found(now, "unhealthy", 12.0, "<script>alert(1)</script>"))
    Check.objects.filter(pk=row.pk).update(**changes)
    return Check.objects.get(pk=row.pk)


def body(client: Any, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    text: str = answer.content.decode()
    assert [word for word in (' style="', " onclick=", "javascript:", "<script>alert") if word in text] == []
    return text


def test_the_tree_shows_status_score_impact_and_why(person: Any, check: Check) -> None:
    text = body(person("viewer"), "/health/")
    words = ("hyperrag", "neo4j", "unhealthy", "medium", "disk: &lt;script&gt;", "0 of 100")
    assert [word in text for word in words] == [True] * 6
    assert f'data-parent="{"hyperrag"}"' in text


def test_an_empty_console_claims_nothing(person: Any) -> None:
    text = body(person("viewer"), "/health/")
    assert ("Nothing is known yet" in text, "No component yet" in text) == (True, True)


def test_own_parts_that_never_ran_are_unknown_and_not_green(person: Any) -> None:
    ensure_own(now=clock.now())
    text = body(person("viewer"), "/health/")
    assert ("13 unknown, 13 of them expected" in text, "Unhealthy, 0 of 100" in text) == (True, True)


def test_filters_are_links_that_keep_each_other(person: Any, check: Check) -> None:
    text = body(person("viewer"), "/health/?status=unhealthy&kind=database")
    assert ("c-" + str(check.component_id) in text, ">hyperrag<" in text) == (True, False)
    assert "/health/?status=partial&amp;kind=database" in text
    assert "No component matches" in body(person("responder"), "/health/?status=healthy")


def test_silence_of_the_runner_is_said_aloud(person: Any, check: Check) -> None:
    at = clock.now() - timedelta(minutes=10)
    Check.objects.update(last_at=at, last_status="healthy", due_at=at)
    text = body(person("viewer"), "/health/")
    assert ("No check has run for 10 min" in text, "overdue" in text) == (True, True)


def test_a_component_shows_its_sum_its_history_and_both_sides_of_its_arrows(person: Any, check: Check) -> None:
    viewer = person("viewer")
    text = body(viewer, f"/health/{check.component_id}/?range=1h")
    assert [word in text for word in ("Where the score comes from", "hyperrag", 'id="history"', "12 ms", "eva")] == [
        True
    ] * 5
    other = body(viewer, f"/health/{Component.objects.get(name='hyperrag').pk}/")
    assert ("not a component yet" in other, "critical" in other) == (True, True)


def test_what_is_not_there_is_a_designed_404(person: Any) -> None:
    answer = person("viewer").get("/health/00000000-0000-4000-8000-000000000000/")
    assert (answer.status_code, "Not found" in answer.content.decode()) == (404, True)


def test_a_responder_runs_a_check_and_sees_its_result_in_place(person: Any, check: Check) -> None:
    answer = person("responder").post(f"/health/checks/{check.pk}/run/", headers={"HX-Request": "true"})
    text = answer.content.decode()
    assert (answer.status_code, "% full" in text, "Ran just now" in text) == (200, True, True)
    assert text.lstrip().startswith(f'<tr id="check-{check.pk}"')


def test_without_script_running_a_check_leads_back_with_a_message(person: Any, check: Check) -> None:
    answer = person("responder").post(f"/health/checks/{check.pk}/run/", follow=True)
    assert "disk is healthy" in answer.content.decode()


def test_a_check_that_cannot_be_run_says_why(person: Any, check: Check) -> None:
    Check.objects.update(enabled=False)
    answer = person("responder").post(f"/health/checks/{check.pk}/run/", headers={"HX-Request": "true"})
    assert "switched off" in answer.content.decode()


def test_a_viewer_may_not_run_a_check_and_is_told_what_it_needs(person: Any, check: Check) -> None:
    viewer = person("viewer")
    assert viewer.post(f"/health/checks/{check.pk}/run/").status_code == 403
    text = body(viewer, "/health/")
    assert ("Run now" in text, "needs role responder" in text) == (False, True)


def test_the_report_says_the_same_in_all_its_forms(person: Any, check: Check) -> None:
    viewer = person("viewer")
    data = viewer.get("/health/report.json").json()
    assert (data["overall"]["unhealthy"], data["overall"]["total"], data["overall"]["health_status"]) == (
        2, 2, "unhealthy"
    )  # fmt: skip
    assert data["recommendations"][0].startswith("Restore neo4j (disk: ")
    plain = viewer.get("/health/report.md")
    assert plain["Content-Type"].startswith("text/markdown")
    assert "Restore neo4j" in plain.content.decode()
    assert "Restore neo4j" in body(viewer, "/health/report/")


@pytest.mark.parametrize("path", ["/health/", "/health/report.json"])
def test_the_number_of_queries_does_not_grow_with_what_is_stored(person: Any, check: Check, path: str) -> None:
    viewer, counts = person("viewer"), []
    viewer.get(path)
    for size in (1, 20):
        for number in range(size):
            part = Component.objects.create(name=f"part{size}-{number}")
            Check.objects.create(component=part, name="x", kind="callable", config={}, due_at=clock.now())
        with CaptureQueriesContext(connection) as queries:
            viewer.get(path)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_an_alert_about_a_component_shows_its_score_s_inputs_and_the_right_side(person: Any, db: None) -> None:
    now = clock.now()
    group = RuleGroup.objects.create(name="parts", interval_seconds=10, due_at=now)
    rule = Rule.objects.create(group=group, name="component_unhealthy", kind="component", spec={})
    inputs = [{"name": "answers", "status": "unhealthy", "weight": 1.0, "note": "index missing"}]
    alert = Alert.objects.create(
        fingerprint="c" * 64, name=rule.name, rule=rule, state="firing", severity="high", value=0.0, threshold=30.0,
        annotations={"because": "answers: index missing", "impact": "2 components depend on it (medium)"},
        evidence={"kind": rule.kind, "threshold": 30.0, "facts": {"inputs": inputs}}, started_at=now, updated_at=now,
    )  # fmt: skip
    body = person("viewer").get(f"/alerts/{alert.pk}/").content.decode()
    assert [word in body for word in ("index missing", "≤ 30", "≥ 30", "ready-made")] == [True, True, False, False]
