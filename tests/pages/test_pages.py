"""Each page: for whom it opens, what it says, and how many queries it needs."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.accounts.templatetags.audit_words import sentence
from aivillage_console.middleware import request_id_of
from alerts import selectors
from alerts.models import Alert, DeliveryAttempt, Notification
from metrics import selectors as metrics
from metrics.promql.types import QueryError

PINNED = json.loads((Path(__file__).parent / "query_counts.json").read_text())
PAGES = [
    "/",
    "/alerts/",
    "/explore/metrics/",
    "/setup/",
    "/styleguide/",
    "/notifications/",
    "/health/",
    "/health/report/",
]


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_the_sign_in_page(client: Client, db: None, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/sign-in/")


@pytest.mark.parametrize("path", PAGES)
def test_a_viewer_reads_every_page_with_exactly_the_queries_it_is_known_for(person: Any, path: str) -> None:
    viewer = person("viewer")
    viewer.get(path)
    with CaptureQueriesContext(connection) as queries:
        answer = viewer.get(path)
    # Savepoints are the test's own: outside of one they are the edges of a transaction.
    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert (answer.status_code, len(asked)) == (200, PINNED[path]), asked


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_inline_styles_or_handlers(person: Any, path: str) -> None:
    body = person("admin").get(path).content.decode()
    assert [word for word in (' style="', " onclick=", " onload=", "javascript:") if word in body] == []


def test_an_empty_console_offers_the_setup(person: Any) -> None:
    assert "Open Setup" in person("viewer").get("/").content.decode()


def test_the_inbox_lists_an_alert_and_its_counts(person: Any, alert: Alert) -> None:
    body = person("viewer").get("/alerts/").content.decode()
    assert f"alert-{alert.pk}" in body
    assert "Acting needs role responder" in body


def test_filters_that_match_nothing_say_so(person: Any, alert: Alert) -> None:
    assert "No alert matches" in person("viewer").get("/alerts/?q=nothing-like-it").content.decode()


def test_data_of_an_alert_never_becomes_markup_or_a_script_link(person: Any, alert: Alert) -> None:
    body = person("viewer").get(f"/alerts/{alert.pk}/").content.decode()
    assert "<script>alert(1)" not in body
    assert "javascript:" not in body


def test_a_responder_acknowledges_once(person: Any, alert: Alert) -> None:
    answer = person("responder").post(f"/alerts/{alert.pk}/acknowledge/", {"version": alert.version})
    alert.refresh_from_db()
    assert (answer.status_code, alert.acked_by) == (302, "responder@example.org")


def test_a_stale_version_is_refused_with_the_fresh_alert(person: Any, alert: Alert) -> None:
    answer = person("responder").post(
        f"/alerts/{alert.pk}/resolve/", {"version": alert.version + 5}, headers={"HX-Request": "true"}
    )
    alert.refresh_from_db()
    assert (answer.status_code, alert.state) == (409, "firing")
    assert "how it stands now" in answer.content.decode()


def test_a_viewer_may_not_act(person: Any, alert: Alert) -> None:
    answer = person("viewer").post(f"/alerts/{alert.pk}/acknowledge/", {"version": alert.version})
    assert answer.status_code == 403
    assert "Not allowed" in answer.content.decode()


def test_a_bulk_action_tells_for_each_alert_how_it_went(person: Any, alert: Alert) -> None:
    data = {"action": "acknowledge", "id": [alert.pk, 999], f"version-{alert.pk}": alert.version, "version-999": 1}
    body = person("responder").post("/alerts/bulk/", data).content.decode()
    assert "1 of 2 acknowledged" in body
    assert "#999: there is no such alert" in body


def test_an_alert_that_is_not_there_is_a_designed_404(person: Any) -> None:
    answer = person("viewer").get("/alerts/987654/")
    assert (answer.status_code, "Not found" in answer.content.decode()) == (404, True)


def test_a_broken_query_shows_where(person: Any) -> None:
    answer = person("viewer").get("/explore/metrics/?q=rate(")
    assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (400, True)


def test_a_query_without_series_says_so(person: Any) -> None:
    assert "0 series" in person("viewer").get("/explore/metrics/?q=no_such_metric").content.decode()


def test_an_admin_makes_a_token_and_sees_it_once(person: Any) -> None:
    admin = person("admin")
    body = admin.post("/setup/token/", {"source": "my-service"}).content.decode()
    assert "obs_" in body
    assert "obs_" not in admin.get("/setup/").content.decode()


def test_a_viewer_may_not_make_a_token(person: Any) -> None:
    assert person("viewer").post("/setup/token/", {"source": "x"}).status_code == 403


def test_an_alert_shows_who_was_told_and_how_each_try_ended(person: Any, alert: Alert) -> None:
    now = datetime.now(UTC)
    row = Notification.objects.create(key="k" * 20, alert=alert, channel_name="ops", kind="fire", state="failed",
                                      created_at=now, deadline_at=now, due_at=now)  # fmt: skip
    DeliveryAttempt.objects.create(notification=row, at=now, outcome="transient", status=503, duration_ms=41,
                                   excerpt="upstream is down")  # fmt: skip
    body = person("responder").get(f"/alerts/{alert.pk}/").content.decode()
    assert [word in body for word in ("ops", "503", "41 ms", "upstream is down", "Retry")] == [True] * 5


def test_stored_evidence_is_drawn_where_no_samples_are_left(person: Any, alert: Alert) -> None:
    end_ms = int(alert.started_at.timestamp() * 1000)
    alert.evidence = {"query": "gone > 85", "expression": "gone", "operator": ">", "threshold": 85.0,
                      "timestamps_ms": [end_ms - 60_000, end_ms], "values": [80.0, 91.0],
                      "series_labels": {"host": "h1"}}  # fmt: skip
    alert.save()
    body = person("viewer").get(f"/alerts/{alert.pk}/").content.decode()
    assert "Shown are the samples kept when it fired" in body
    assert 'id="evidence"' in body


def test_a_panel_whose_query_fails_says_so_and_the_rest_shows(person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = metrics.range_query

    def failing(query: str, **grid: Any) -> Any:
        if "disk" in query:
            raise QueryError("the store is busy", kind="timeout")
        return real(query, **grid)

    monkeypatch.setattr("aivillage_console.home.metrics.range_query", failing)
    answer = person("viewer").get("/?range=6h")
    body = answer.content.decode()
    assert (answer.status_code, body.count("the store is busy")) == (200, 1)
    assert "golden-cpu" in body


def test_every_answer_carries_a_request_id_and_error_pages_show_it(person: Any) -> None:
    answer = person("viewer").get("/nowhere/", headers={"X-Request-ID": "abc-1"})
    assert (answer["X-Request-ID"], "abc-1" in answer.content.decode()) == ("abc-1", True)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "a\r\nSet-Cookie: a"])
def test_a_request_id_that_could_do_harm_is_replaced(given: str) -> None:
    made = request_id_of(given)
    assert (made != given, len(made)) == (True, 32)


@pytest.mark.parametrize(
    ("action", "kind", "label", "after", "words"),
    [
        ("sign_in_link.use", "user", "admin@localhost", None, "admin@localhost signed in by one-time link"),
        ("token.issue", "system", "prepare", {"name": "collector"}, "Token for collector issued"),
        ("rule.update", "user", "eva@example.org", {"name": "cpu"}, "eva@example.org: rule cpu changed"),
        ("alert.acknowledged", "user", "eva@example.org", None, "eva@example.org: alert #7 acknowledged"),
        ("something.odd_thing", "system", "", None, "Something 7 odd thing"),
    ],
)
def test_the_audit_trail_reads_as_sentences(action: str, kind: str, label: str, after: Any, words: str) -> None:
    entry = AuditEntry(action=action, actor_kind=kind, actor_label=label, after=after, object_id="7")
    assert sentence(entry) == words


def test_the_inbox_pages_by_key_on_every_tab(person: Any, alert: Alert) -> None:
    at = alert.started_at
    copies = [
        Alert(fingerprint=f"{number:064}", name=f"Copy{number}", state="firing", severity="high",
              started_at=at + timedelta(seconds=number // 7), updated_at=at)
        for number in range(60)
    ]  # fmt: skip
    Alert.objects.bulk_create(copies)
    seen: dict[str, list[int]] = {}
    for tab in ("open", "all"):
        first = selectors.inbox(None, tab=tab, now=at)
        second = selectors.inbox(None, tab=tab, cursor=first.next_cursor, now=at)
        seen[tab] = [row.pk for row in first.alerts + second.alerts]
    assert {tab: (len(ids), len(set(ids))) for tab, ids in seen.items()} == {"open": (61, 61), "all": (61, 61)}


@pytest.mark.parametrize("cursor", ["x", "1.2", "-1.0.0", "9.9.99999999999999999999", "0.99999999999999999999.1"])
def test_a_made_up_cursor_shows_the_first_page(person: Any, alert: Alert, cursor: str) -> None:
    answer = person("viewer").get("/alerts/", {"after": cursor})
    assert (answer.status_code, f"alert-{alert.pk}" in answer.content.decode()) == (200, True)


def test_the_last_day_is_told_by_hours() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    alert = Alert(state="resolved", started_at=now - timedelta(hours=5))
    story = [(now - timedelta(hours=4, minutes=30), "started"), (now - timedelta(hours=2, minutes=30), "resolved")]
    hours = selectors.firing_hours(alert, story, now)
    assert [i for i, fired in enumerate(hours) if fired] == [19, 20, 21]
