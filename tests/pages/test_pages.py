"""Each page: for whom it opens, what it says, and how many queries it needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from alerts.models import Alert

PINNED = json.loads((Path(__file__).parent / "query_counts.json").read_text())
PAGES = ["/", "/alerts/", "/explore/metrics/", "/setup/", "/styleguide/", "/notifications/"]


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_the_sign_in_page(client: Client, db: None, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/sign-in/")


@pytest.mark.parametrize("path", PAGES)
def test_a_viewer_reads_every_page_within_its_query_budget(person: Any, path: str) -> None:
    viewer = person("viewer")
    viewer.get(path)
    with CaptureQueriesContext(connection) as queries:
        answer = viewer.get(path)
    assert (answer.status_code, len(queries) <= PINNED[path]) == (200, True), len(queries)


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
