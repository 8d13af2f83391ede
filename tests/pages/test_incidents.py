"""The pages of incidents: who sees and does what, in how many queries, and what is said where nothing is."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aivillage_console.lib import clock
from alerts.engine.episodes import Seen
from alerts.models import Alert, ChangeEvent, CorrelationRule, Incident
from alerts.pipeline import Observation
from alerts.services import observe
from tests.markup import acting

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
QUERIES = {"/incidents/": 10, "/incidents/<n>/": 12}


def fire(name: str, component: str = "rag", **fields: Any) -> Alert:
    labels = {"component": component}
    seen = Observation(name=name, labels=labels, seen=Seen.FIRING, severity="high", **fields)
    observe(seen, now=clock.now())
    return Alert.objects.get(name=name)


@pytest.fixture
def incident(db: None) -> Incident:
    """Return an incident of two alerts, and one of a single alert beside it."""
    CorrelationRule.objects.create(name="Same component", group_key=["component"])
    fire("Slow", annotations={"summary": HOSTILE})
    fire("Broken")
    fire("Elsewhere", HOSTILE)
    now = clock.now()
    ChangeEvent.objects.create(
        key="k", kind="deploy", name=f"shop {HOSTILE}", at=now - timedelta(minutes=5), received_at=now,
        url="javascript:alert(1)",
    )  # fmt: skip
    return Incident.objects.order_by("pk")[0]


@pytest.mark.parametrize("path", QUERIES)
def test_a_viewer_reads_each_page_with_the_queries_it_is_known_for(person: Any, incident: Incident, path: str) -> None:
    viewer, address = person("viewer"), path.replace("<n>", str(incident.pk))
    viewer.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = viewer.get(address)
    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert (answer.status_code, len(asked)) == (200, QUERIES[path]), asked
    body = answer.content.decode()
    assert ("Same component: rag" in body, HOSTILE in body, 'href="javascript' in body) == (True, False, False)


@pytest.mark.parametrize("path", ["/incidents/", "/incidents/<n>/", "/alerts/", "/alerts/?group=incident"])
def test_what_alerts_say_does_not_act(person: Any, incident: Incident, path: str) -> None:
    body = person("responder").get(path.replace("<n>", str(incident.pk))).content.decode()
    assert acting(body) == []


def test_incidents_of_one_alert_are_counted_and_shown_on_demand(person: Any, incident: Incident) -> None:
    viewer = person("viewer")
    usual = viewer.get("/incidents/").content.decode()
    assert ("Show 1 of one alert" in usual, "&lt;script&gt;" in usual) == (True, False)
    both = viewer.get("/incidents/?single=1").content.decode()
    assert "Same component: &lt;script&gt;" in both


def test_filters_are_in_the_address(person: Any, incident: Incident) -> None:
    viewer = person("viewer")
    for query, shown in (
        ("sev=high", True), ("sev=low", False), ("owner=me", False), ("q=component%3A+rag", True), ("q=nothing", False),
        (f"q=%23{incident.pk}", True), ("state=resolved", False), ("state=all", True), ("before=0&state=all", False),
    ):  # fmt: skip
        body = viewer.get(f"/incidents/?{query}").content.decode()
        assert (f'id="incident-{incident.pk}"' in body) is shown, query
    assert "No incident matches" in viewer.get("/incidents/?q=nothing").content.decode()


def test_without_any_the_list_says_what_one_is(person: Any) -> None:
    body = person("viewer").get("/incidents/").content.decode()
    assert "No open incident" in body
    assert person("responder").get("/incidents/1/").status_code == 404


def test_a_viewer_sees_the_actions_and_which_role_they_need(person: Any, incident: Incident) -> None:
    viewer = person("viewer")
    body = viewer.get(f"/incidents/{incident.pk}/").content.decode()
    assert ("Needs role responder" in body, "Split chosen off" in body) == (True, False)
    answer = viewer.post(f"/incidents/{incident.pk}/resolve/", {"version": incident.version})
    assert (answer.status_code, Incident.objects.get(pk=incident.pk).state) == (403, "open")


def test_an_action_answers_with_the_card_and_a_stale_one_with_the_fresh_one(person: Any, incident: Incident) -> None:
    responder, htmx = person("responder"), {"HTTP_HX_REQUEST": "true"}
    incident.refresh_from_db()
    seen = {"version": incident.version}
    done = responder.post(f"/incidents/{incident.pk}/acknowledge/", seen, **htmx)
    assert (done.status_code, "is acknowledged, and so are its alerts" in done.content.decode()) == (200, True)
    stale = responder.post(f"/incidents/{incident.pk}/resolve/", seen, **htmx)
    assert (stale.status_code, "Somebody changed this incident" in stale.content.decode()) == (409, True)
    refused = responder.post(f"/incidents/{incident.pk}/merge/", {"version": incident.version + 1}, **htmx)
    assert (refused.status_code, "Name the number" in refused.content.decode()) == (422, True)
    assert responder.post(f"/incidents/{incident.pk}/explode/", seen).status_code == 404


def test_people_merge_split_name_and_part_from_the_page(person: Any, incident: Incident) -> None:
    responder = person("responder")
    other = Incident.objects.exclude(pk=incident.pk).get()
    slow, elsewhere = Alert.objects.get(name="Slow"), Alert.objects.get(name="Elsewhere")

    def did(verb: str, **fields: Any) -> Any:
        version = Incident.objects.get(pk=incident.pk).version
        return responder.post(f"/incidents/{incident.pk}/{verb}/", {"version": version, **fields})

    for verb, fields in (
        ("merge", {"other": other.pk}), ("rename", {"name": "RAG"}), ("assign", {}), ("note", {"reason": "looking"}),
        ("remove", {"alert": [elsewhere.pk]}), ("add", {"number": f"#{elsewhere.pk}"}),
    ):  # fmt: skip
        answer = did(verb, **fields)
        assert (answer.status_code, answer["Location"]) == (302, f"/incidents/{incident.pk}/"), verb
    parted = did("split", alert=[slow.pk], name="Slow part")
    fresh = Incident.objects.get(name="Slow part")
    assert (parted.status_code, parted["Location"]) == (302, f"/incidents/{fresh.pk}/")
    row = Incident.objects.get(pk=incident.pk)
    assert (row.name, row.alerts, str(row.assignee)) == ("RAG", 2, str(row.assignee))
    body = responder.get(f"/incidents/{incident.pk}/").content.decode()
    for words in ("Incident merged", "Incident renamed", "looking", "No longer here", "shop &lt;script&gt;"):
        assert words in body


def test_alerts_are_grouped_in_the_inbox_and_made_into_an_incident_there(person: Any, incident: Incident) -> None:
    responder = person("responder")
    body = responder.get("/alerts/?group=incident").content.decode()
    assert ("group-row" in body, f"incident #{incident.pk}, 2 alerts" in body) == (True, True)
    assert f"#{incident.pk} · 2" in responder.get("/alerts/").content.decode()
    chosen = [Alert.objects.get(name=name).pk for name in ("Slow", "Elsewhere")]
    made = responder.post("/incidents/make/", {"id": chosen})
    row = Incident.objects.order_by("-pk")[0]
    assert (made["Location"], row.alerts, row.rule_name) == (f"/incidents/{row.pk}/", 2, "")
    assert responder.post("/incidents/make/", {})["Location"] == "/alerts/"
    page = responder.get(f"/alerts/{chosen[0]}/").content.decode()
    assert (f"/incidents/{row.pk}/" in page, "Put here by" in page) == (True, True)
