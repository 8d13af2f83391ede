"""Addresses receivers call, over REST and on the admin site."""

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.lib import clock
from alerts.admin import HookForm
from alerts.models import Channel, InboundHook, WebhookIn

BASE = "/api/console/v1"
CANARY = "canary-canary-canary-1234"
Api = Callable[[str], APIClient]


@pytest.fixture
def channel(db: None) -> Channel:
    return Channel.objects.create(name="issues", type="github")


@pytest.fixture
def hook(api: Api, channel: Channel) -> dict[str, Any]:
    body = {"name": "gh", "channel": str(channel.pk), "allowed_users": ["octocat"], "secret": CANARY}
    answer = api("admin").post(f"{BASE}/hooks/", body, format="json")
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def test_it_is_made_changed_and_deleted_with_a_row_for_each(api: Api, hook: dict[str, Any]) -> None:
    path = f"{BASE}/hooks/{hook['id']}/"
    changed = api("editor").patch(path, {"login": "console-bot", "expected_version": 1}, format="json")
    assert (changed.status_code, changed.json()["version"], changed.json()["login"]) == (200, 2, "console-bot")
    assert api("editor").patch(path, {"login": "x", "expected_version": 1}, format="json").status_code == 409
    assert api("editor").delete(path).status_code == 204
    actions = AuditEntry.objects.filter(object_type="inboundhook").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["inboundhook.create", "inboundhook.update", "inboundhook.delete"]


def test_the_secret_goes_in_by_an_admin_and_never_comes_out(api: Api, hook: dict[str, Any]) -> None:
    path = f"{BASE}/hooks/{hook['id']}/"
    assert hook["secret_hint"] == "…1234"
    assert hook["url"].endswith(f"/hooks/github/{hook['id']}/")
    assert api("editor").patch(path, {"secret": "another secret of mine"}, format="json").status_code == 403
    for role in ("viewer", "responder", "editor", "admin"):
        for noun in ("hooks/", f"hooks/{hook['id']}/", f"hooks/{hook['id']}/deliveries/", "audit/"):
            assert CANARY.encode() not in api(role).get(f"{BASE}/{noun}").content
    removed = api("admin").patch(path, {"secret": ""}, format="json")
    assert (removed.json()["secret_hint"], InboundHook.objects.get().secret_sealed) == ("", None)
    after = AuditEntry.objects.filter(action="inboundhook.update").get().after
    assert after is not None
    assert after["secret_changed"] is True


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"secret": "short"}, "secret"),
        ({"allowed_users": ["@octocat"]}, "allowed_users"),
        ({"allowed_users": "octocat"}, "allowed_users"),
        ({"type": "gitlab"}, "type"),
        ({"channel": "00000000-0000-4000-8000-000000000000"}, "channel"),
        ({"url": "https://example.org"}, "url"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_wrong_is_refused_with_the_field(
    api: Api, hook: dict[str, Any], change: dict[str, Any], field: str
) -> None:
    answer = api("admin").patch(f"{BASE}/hooks/{hook['id']}/", change, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"].startswith(f"/{field}")) == (400, True)


def test_only_a_channel_of_its_own_type_is_taken(api: Api, hook: dict[str, Any]) -> None:
    other = Channel.objects.create(name="mail", type="webhook")
    answer = api("admin").patch(f"{BASE}/hooks/{hook['id']}/", {"channel": str(other.pk)}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/channel")
    InboundHook.objects.update(channel=None)
    Channel.objects.all().delete()
    assert InboundHook.objects.count() == 1


def test_what_came_in_is_listed_newest_first_with_its_outcome(
    api: Api, hook: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    now = clock.now()
    for number in range(60):
        WebhookIn.objects.create(
            hook_id=hook["id"], delivery_id=str(number), body_sha256=str(number), event="issues", received_at=now,
            due_at=now, state="done", outcome=f"outcome {number}", body=b"a secret body",
        )  # fmt: skip
    client = api("viewer")
    client.get(f"{BASE}/hooks/{hook['id']}/deliveries/")
    with django_assert_max_num_queries(6):
        answer = client.get(f"{BASE}/hooks/{hook['id']}/deliveries/")
    assert len(answer.json()["results"]) == 50
    first = answer.json()["results"][0]
    assert (first["outcome"], first["state"], "body" in first) == ("outcome 59", "done", False)


def test_the_admin_form_says_what_is_wrong_beside_the_field(channel: Channel) -> None:
    fields = {"name": "gh", "type": "github", "channel": channel.pk, "login": "", "enabled": "on"}
    assert HookForm({**fields, "allowed_users": '["octocat"]', "secret": CANARY}).errors == {}
    bad = HookForm({**fields, "allowed_users": '["@octocat"]', "secret": "short"})
    assert set(bad.errors) == {"allowed_users", "secret"}
    other = Channel.objects.create(name="mail", type="webhook")
    assert set(HookForm({**fields, "channel": other.pk, "allowed_users": "[]"}).errors) == {"channel"}


def test_the_admin_site_saves_through_the_service_and_shows_messages(api: Api, channel: Channel) -> None:
    fields = {"name": "gh", "type": "github", "channel": channel.pk, "login": "", "allowed_users": '["octocat"]',
              "enabled": "on", "secret": CANARY}  # fmt: skip
    assert api("admin").post("/admin/alerts/inboundhook/add/", fields, format="multipart").status_code == 302
    hook = InboundHook.objects.get()
    assert (hook.unseal(), AuditEntry.objects.filter(action="inboundhook.create").count()) == (CANARY, 1)
    now = clock.now()
    row = WebhookIn.objects.create(
        hook=hook, delivery_id="d", event="issues", received_at=now, due_at=now, body=b"\xffx"
    )
    page = api("editor").get(f"/admin/alerts/webhookin/{row.pk}/change/")
    assert (page.status_code, "�x" in page.content.decode()) == (200, True)
    assert hook.url in api("admin").get("/admin/alerts/inboundhook/").content.decode()
