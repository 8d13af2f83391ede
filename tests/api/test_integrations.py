"""Integrations, their messages and changes over REST and on the admin site."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry, User
from aivillage_console.lib import clock
from alerts.models import ChangeEvent, InboundMessage, Integration
from alerts.selectors import changes_between
from tests.alerts.inbound.sending import issued, post

pytestmark = pytest.mark.django_db(transaction=True)
BASE = "/api/console/v1"
Api = Callable[[str], APIClient]


@pytest.fixture
def made(api: Api) -> dict[str, Any]:
    answer = api("admin").post(f"{BASE}/integrations/", {"name": "shop", "tool": "grafana"}, format="json")
    assert answer.status_code == 201, answer.content
    shown: dict[str, Any] = answer.json()
    return shown


def test_one_is_made_changed_rotated_and_deleted_with_a_row_for_each(api: Api, made: dict[str, Any]) -> None:
    path = f"{BASE}/integrations/{made['id']}/"
    assert made["address"].endswith(f"/hooks/grafana/{made['token']}/")
    read = api("viewer").get(path).json()
    assert ("token" in read, made["token"] in str(read)) == (False, False)
    assert api("editor").patch(path, {"enabled": False}, format="json").status_code == 403
    changed = api("admin").patch(
        path, {"labels": {"team": "a"}, "expected_version": 1, "secret": "s" * 20}, format="json"
    )
    assert (changed.json()["version"], changed.json()["has_secret"]) == (2, True)
    assert api("admin").patch(path, {"labels": {}, "expected_version": 1}, format="json").status_code == 409
    rotated = api("admin").post(f"{path}rotate/").json()
    assert rotated["token"] != made["token"]
    assert post(f"/hooks/grafana/{made['token']}/", {}).status_code == 404
    assert api("admin").delete(path).status_code == 204
    rows = AuditEntry.objects.filter(object_type="integration").order_by("id")
    assert [row.action for row in rows] == [
        "integration.create",
        "integration.update",
        "integration.update",
        "integration.delete",
    ]
    assert made["token"] not in str([(row.before, row.after) for row in rows])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tool": "generic", "mapping": {"nmae": "x"}}, "mapping"),
        ({"mapping": {"name": "x"}}, "mapping"),
        ({"makes": "changes"}, "makes"),
        ({"labels": {"alertname": "x"}}, "labels"),
        ({"labels": {"a b": "x"}}, "labels"),
        ({"labels": {"a": ""}}, "labels"),
        ({"labels": [1]}, "labels"),
        ({"tool": "fax"}, "tool"),
        ({"secret": "short"}, "secret"),
        ({"silent_after_seconds": 5}, "silent_after_seconds"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_wrong_is_told_by_field(api: Api, change: dict[str, Any], field: str) -> None:
    body = {"name": "x", "tool": "grafana", **change}
    answer = api("admin").post(f"{BASE}/integrations/", body, format="json")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{field}"]


def test_messages_and_changes_are_listed_and_found_by_time(api: Api) -> None:
    issue = issued("registry")
    post(f"/hooks/registry/{issue.token}/", {"push_data": {"tag": "v1"}, "repository": {"repo_name": "a/b"}})
    messages = api("viewer").get(f"{BASE}/integrations/{issue.integration.pk}/messages/").json()["results"]
    assert [(row["state"], "body" in row) for row in messages] == [("due", False)]
    now = clock.now()
    change = ChangeEvent.objects.create(key="k", kind="deploy", name="shop", at=now, received_at=now)
    shown = api("viewer").get(f"{BASE}/changes/?kind=deploy").json()["results"]
    assert [row["name"] for row in shown] == ["shop"]
    assert api("viewer").get(f"{BASE}/changes/{change.pk}/").json()["kind"] == "deploy"
    assert changes_between(now, now) == [change]


def test_the_admin_site_shows_them_and_deletes_with_a_row() -> None:
    issue = issued("generic")
    post(f"/hooks/generic/{issue.token}/", {"title": "Shown"})
    client = Client()
    client.force_login(User.objects.create_user("root@example.org", None, role="admin"))
    message = InboundMessage.objects.get()
    assert "Shown" in client.get(f"/admin/alerts/inboundmessage/{message.pk}/change/").content.decode()
    path = f"/admin/alerts/integration/{issue.integration.pk}"
    assert issue.token not in client.get(f"{path}/change/").content.decode()
    assert client.get("/admin/alerts/integration/add/").status_code == 403
    assert client.post(f"{path}/delete/", {"post": "yes"}).status_code == 302
    assert Integration.objects.count() == 0
    assert AuditEntry.objects.filter(action="integration.delete").count() == 1
