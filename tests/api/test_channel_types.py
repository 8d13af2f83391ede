"""Every channel type is configured over REST and on the admin site, by the same checks, and keeps its secret."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from alerts.channels import CHANNELS
from alerts.models import Channel, Notification
from tests.api.conftest import BASE

Api = Callable[[str], APIClient]
pytestmark = pytest.mark.django_db
GOOD: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "webhook": (
        {"url": "https://93.184.216.34/hook"}, "whsec_" + "A" * 43 + "=", {"url": "https://93.184.216.35/hook"},
    ),
    "email": (
        {"smtp_server": "smtp.example.org", "username": "u", "from": "a@example.org", "to_emails": ["b@example.org"]},
        "CANARY-password", {"smtp_server": "smtp.example.net", "username": "u", "from": "a@example.org"},
    ),
    "slack": (
        {"channel": "C0123456789"}, "xoxb-CANARY", {"channel": "C0123456789", "api_url": "https://slack.example.org/api"},
    ),
    "github": (
        {"repo": "acme/app"}, "github_pat_CANARY", {"repo": "acme/app", "api_url": "https://git.example.org/api/v3"},
    ),
}  # fmt: skip


def test_every_type_that_takes_a_secret_is_tried(api: Api) -> None:
    given = {"name": "file", "type": "log", "config": {"path": "a.log"}, "secret": "CANARY"}
    assert "takes no secret" in api("admin").post(f"{BASE}/channels/", given).content.decode()
    assert set(GOOD) == set(CHANNELS) - {"log"}


@pytest.mark.parametrize("kind", GOOD)
def test_a_channel_goes_in_and_comes_out_without_its_secret(api: Api, kind: str) -> None:
    config, secret, _ = GOOD[kind]
    made = api("admin").post(f"{BASE}/channels/", {"name": kind, "type": kind, "config": config, "secret": secret})
    assert (made.status_code, made.json()["config"]) == (201, config)
    assert Channel.objects.get().unseal() == secret
    assert secret.encode() not in api("admin").get(f"{BASE}/channels/").content
    path = f"{BASE}/channels/{made.json()['id']}/"
    assert api("editor").patch(path, {"rate_per_minute": 5}).status_code == 200
    assert Channel.objects.get().unseal() == secret


@pytest.mark.parametrize("kind", GOOD)
def test_another_address_drops_the_secret_and_needs_an_admin(api: Api, kind: str) -> None:
    config, secret, elsewhere = GOOD[kind]
    made = api("admin").post(f"{BASE}/channels/", {"name": kind, "type": kind, "config": config, "secret": secret})
    path = f"{BASE}/channels/{made.json()['id']}/"
    assert api("editor").patch(path, {"config": elsewhere}).status_code == 403
    assert api("admin").patch(path, {"config": elsewhere}).json()["secret_hint"] == ""
    assert Channel.objects.get().secret_sealed is None


def test_another_type_drops_the_secret_too(api: Api) -> None:
    config, secret, _ = GOOD["github"]
    made = api("admin").post(f"{BASE}/channels/", {"name": "x", "type": "github", "config": config, "secret": secret})
    change = {"type": "slack", "config": {"channel": "#a"}}
    assert api("admin").patch(f"{BASE}/channels/{made.json()['id']}/", change).json()["secret_hint"] == ""


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_wrong_is_said_by_field(api: Api, kind: str) -> None:
    answer = api("admin").post(f"{BASE}/channels/", {"name": kind, "type": kind, "config": {"nonsense": 1}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/config")


@pytest.mark.parametrize("kind", GOOD)
def test_the_admin_site_saves_each_type_and_keeps_the_secret(api: Api, kind: str) -> None:
    config, secret, _ = GOOD[kind]
    admin = api("admin")
    admin.default_format = "multipart"
    form = {"name": kind, "type": kind, "config": json.dumps(config), "filters": "[]", "enabled": "on"}
    assert admin.post("/admin/alerts/channel/add/", {**form, "secret": secret}, format="multipart").status_code == 302
    channel = Channel.objects.get()
    path = f"/admin/alerts/channel/{channel.pk}/change/"
    assert admin.post(path, {**form, "name": "renamed", "secret": ""}, format="multipart").status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.unseal()) == ("renamed", secret)
    page = admin.get(path).content.decode()
    assert secret not in page
    assert all(str(each.LABEL) in page for each in CHANNELS.values())


@pytest.mark.parametrize("kind", GOOD)
def test_the_test_button_owes_a_message_to_each_type(api: Api, kind: str) -> None:
    config, secret, _ = GOOD[kind]
    made = api("admin").post(f"{BASE}/channels/", {"name": kind, "type": kind, "config": config, "secret": secret})
    assert api("responder").post(f"{BASE}/channels/{made.json()['id']}/test/").status_code == 202
    assert Notification.objects.get().kind == "test"
