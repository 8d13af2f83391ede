"""REST: events, findings, blocks, allow list, and what enforcers pull."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts import services as accounts
from aivillage_console.accounts.models import User
from aivillage_console.lib import clock
from security.models import AllowEntry, Block, EnforcerPull, SecurityEvent
from tests.security.conftest import Teller, later

API = "/api/console/v1/"
JSON = "application/json"
Detect = Callable[..., dict[str, Any]]


@pytest.fixture
def editor(db: None) -> Client:
    """Return the browser of an editor."""
    client = Client()
    user = User.objects.create_user("ed@example.org", None, role="editor")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def edge(db: None) -> Client:
    """Return an enforcer with its token."""
    source = accounts.source_named("edge-1")
    actor, now = accounts.Actor.system("test"), clock.now()
    _, plain = accounts.token_issue(name="edge", kind="service", scopes=["blocks"], source=source, actor=actor, now=now)
    return Client(headers={"authorization": f"Bearer {plain}"})


def post(client: Client, path: str, status: int = 200, **body: Any) -> Any:
    answer = client.post(f"{API}{path}", body, content_type=JSON)
    assert answer.status_code == status, answer.content
    return answer.json()


def test_events_and_findings_are_listed_chosen_and_shown(editor: Client, teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(11)))
    detect(now=later(2))
    worst = editor.get(f"{API}security-events/?min_score=1&source_ip=::ffff:10.0.0.100").json()["results"]
    assert [event["band"] for event in worst] == ["critical"]
    shown = editor.get(f"{API}security-events/{worst[0]['id']}/").json()
    assert shown["findings"][0]["reasons"][0]["code"] == "brute_force_pair"
    found = editor.get(f"{API}findings/?detector=brute_force&event={shown['id']}").json()["results"]
    assert [finding["score"] for finding in found] == [1.0]


@pytest.mark.parametrize(
    "asked",
    ["source_ip=nonsense", "min_score=x", "event=99999999999999999999", "band=%00", "after=never", "user_id=%00"],
)
def test_a_bad_filter_is_no_error_of_the_server(editor: Client, asked: str) -> None:
    for noun in ("security-events", "findings"):
        assert editor.get(f"{API}{noun}/?{asked}").status_code in (200, 400)


def test_a_block_is_put_up_extended_and_lifted(editor: Client) -> None:
    made = post(editor, "blocks/", 201, scope="ip", value="192.0.2.7", reason="scans", seconds=600)
    until = made["expires_at"]
    assert post(editor, f"blocks/{made['id']}/extend/", seconds=600, reason="goes on")["expires_at"] > until
    assert editor.get(f"{API}blocks/?active=true").json()["results"][0]["value"] == "192.0.2.7"
    assert post(editor, f"blocks/{made['id']}/lift/", reason="a mistake")["lifted_by"] == "ed@example.org"
    assert editor.get(f"{API}blocks/?active=true").json()["results"] == []
    assert editor.get(f"{API}blocks/?active=false").json()["results"][0]["lifted_because"] == "a mistake"


def test_a_refusal_names_the_field_and_what_to_do(editor: Client) -> None:
    answer = post(editor, "blocks/", 400, scope="cidr", value="198.18.0.0/15", reason="scans")
    assert answer["errors"] == [
        {"pointer": "/confirm", "detail": "198.18.0.0/15 holds 131072 addresses: type it again to confirm."}
    ]
    assert post(editor, "blocks/", 400, scope="ip", value="192.0.2.7", reason="x", created_by="me")["errors"]
    assert not Block.objects.exists()


def test_the_preview_says_whom_it_would_hit(editor: Client, teller: Teller) -> None:
    teller.tell({"event_type": "auth_success", "user_id": "ann", "source_ip": "127.0.0.1"})
    seen = editor.get(f"{API}blocks/preview/", {"scope": "ip", "value": "127.0.0.1"}).json()
    assert (seen["users"], seen["hours"]) == (["ann"], 24)
    assert "own networks" in seen["danger"]
    assert editor.get(f"{API}blocks/preview/", {"scope": "ip"}).status_code == 400


def test_an_enforcer_pulls_the_list_once_and_then_only_what_changed(editor: Client, edge: Client) -> None:
    post(editor, "blocks/", 201, scope="ip", value="192.0.2.7", reason="scans")
    post(editor, "allow-list/", 201, scope="cidr", value="198.51.100.0/24", reason="office")
    answer = edge.get(f"{API}blocks/active/")
    body = answer.json()
    assert [(one["scope"], one["value"], one["reason"]) for one in body["blocks"]] == [("ip", "192.0.2.7", "scans")]
    assert (body["allowed"], body["allowed_users"]) == (["198.51.100.0/24"], [])
    assert body["version"] > 0
    tag = answer.headers["ETag"]
    again = edge.get(f"{API}blocks/active/", headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    post(editor, f"blocks/{Block.objects.get().pk}/lift/", reason="a mistake")
    assert edge.get(f"{API}blocks/active/", headers={"if-none-match": tag}).json()["blocks"] == []


def test_each_pull_leaves_its_receipt(editor: Client, edge: Client) -> None:
    for name in ({}, {"x-enforcer": "edge-1/worker"}, {"x-enforcer": "edge-1/worker"}):
        edge.get(f"{API}blocks/active/", headers=name)
    editor.get(f"{API}blocks/active/")
    assert sorted(EnforcerPull.objects.values_list("name", flat=True)) == ["edge-1", "edge-1/worker"]


def test_the_list_is_also_there_for_nginx_and_fail2ban(editor: Client, edge: Client) -> None:
    post(editor, "blocks/", 201, scope="cidr", value="192.0.2.0/28", reason="scans")
    post(editor, "blocks/", 201, scope="user", value="bob; deny all", reason="scans")
    post(editor, "allow-list/", 201, scope="cidr", value="198.51.100.1", reason="office")
    nginx = edge.get(f"{API}blocks/nginx/")
    assert nginx.headers["Content-Type"].startswith("text/plain")
    assert nginx.content == b"allow 198.51.100.1;\ndeny 192.0.2.0/28;\n"
    assert edge.get(f"{API}blocks/fail2ban/").content == b"192.0.2.0/28\n"


def test_an_entry_comes_off_the_allow_list(editor: Client) -> None:
    made = post(editor, "allow-list/", 201, scope="cidr", value="198.51.100.0/24", reason="office")
    post(editor, "allow-list/", 400, scope="cidr", value="198.51.100.0/24", reason="office")
    post(editor, f"allow-list/{made['id']}/remove/", reason="moved")
    assert editor.get(f"{API}allow-list/").json()["results"] == []
    assert AllowEntry.objects.get().removed_by == "ed@example.org"


def test_the_admin_blocks_and_lifts_through_the_same_services(editor: Client) -> None:
    asked = {"scope": "ip", "value": "192.0.2.7", "reason": "scans", "seconds": "600", "confirm": ""}
    assert editor.post("/admin/security/block/add/", asked).status_code == 302
    block = Block.objects.get()
    assert (block.value, block.created_by) == ("192.0.2.7", "ed@example.org")
    refused = editor.post("/admin/security/block/add/", {**asked, "value": "127.0.0.1"})
    assert "own networks" in refused.content.decode()
    chosen = {"action": "lift", "_selected_action": str(block.pk)}
    editor.post("/admin/security/block/", chosen)
    block.refresh_from_db()
    assert block.lifted_by == "ed@example.org"
    assert editor.get("/admin/security/securityevent/").status_code == 200
    allowed = {"scope": "cidr", "value": "198.51.100.0/24", "reason": "office"}
    assert editor.post("/admin/security/allowentry/add/", allowed).status_code == 302
    entry = AllowEntry.objects.get()
    editor.post("/admin/security/allowentry/", {"action": "remove", "_selected_action": str(entry.pk)})
    entry.refresh_from_db()
    assert entry.removed_at is not None


def test_what_an_attacker_wrote_is_shown_as_plain_text_on_the_admin_site(editor: Client, teller: Teller) -> None:
    teller.tell(teller.request("<script>alert('xss')</script>", user_agent="<b>bold</b>"))
    page = editor.get(f"/admin/security/securityevent/{SecurityEvent.objects.get().pk}/change/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
