"""The pages of integrations: who sees what, the token once, and the preview."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.lib import clock
from alerts.models import ChangeEvent, InboundMessage, Integration
from tests.alerts.inbound.sending import issued, post

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
FORM = {"name": "Shop", "tool": "generic", "makes": "alerts", "severity": "high", "enabled": "on"}
PAYLOAD = {"title": "Disk full", "state": "firing", "severity": "P1", "host": HOSTILE}
QUERIES = {"/integrations/": 6, "/integrations/<uuid>/": 5}


@pytest.fixture
def integration(db: None) -> Integration:
    """Return an integration that was heard and has told of a change."""
    made = issued("generic", "Robot").integration
    now = clock.now()
    InboundMessage.objects.create(
        integration=made,
        received_at=now,
        due_at=now,
        state="quarantined",
        outcome=f"given up: {HOSTILE}",
        body=b'{"a": 1}',
    )
    ChangeEvent.objects.create(
        integration=made,
        key="k",
        kind="deploy",
        name=f"shop {HOSTILE}",
        at=now,
        received_at=now,
        url="javascript:alert(1)",
    )
    return made


@pytest.mark.parametrize("path", QUERIES)
def test_a_viewer_reads_each_page_with_the_queries_it_is_known_for(
    person: Any, integration: Integration, path: str
) -> None:
    viewer, address = person("viewer"), path.replace("<uuid>", str(integration.pk))
    viewer.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = viewer.get(address)
    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert (answer.status_code, len(asked)) == (200, QUERIES[path]), asked
    body = answer.content.decode()
    assert ("Robot" in body, "needs" in body, HOSTILE in body, 'href="javascript' in body) == (True, True, False, False)


def test_without_any_the_list_says_what_one_is_for(person: Any) -> None:
    body = person("viewer").get("/integrations/").content.decode()
    assert ("No tool sends anything yet" in body, "role admin" in body) == (True, True)


def test_one_is_made_and_its_token_is_shown_this_once(person: Any) -> None:
    admin = person("admin")
    answer = admin.post(
        "/integrations/new/", {**FORM, "labels": "team = shop", "mapping": "name = what", "secret": "s" * 20}
    )
    assert answer.status_code == 201
    row = Integration.objects.get()
    token = answer.context["token"]
    assert (row.labels, row.mapping, row.severity, row.unseal()) == (
        {"team": "shop"},
        {"name": "what"},
        "high",
        "s" * 20,
    )
    assert f"/hooks/generic/{token}/" in answer.content.decode()
    assert token not in admin.get(f"/integrations/{row.pk}/").content.decode()
    assert post(f"/hooks/generic/{token}/", PAYLOAD).status_code == 401
    assert AuditEntry.objects.filter(action="integration.create").count() == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": ""}, "required"),
        ({"mapping": "name"}, "Line 1"),
        ({"mapping": "nmae = x"}, "no such field"),
        ({"labels": "severity = x"}, "no name for a label"),
        ({"secret": "short"}, "at least 16"),
        ({"name": "Robot"}, "already exists"),
        ({"silent_after_minutes": "0"}, "greater than"),
    ],
)
def test_what_is_wrong_is_said_beside_the_field(
    person: Any, integration: Integration, change: dict[str, str], word: str
) -> None:
    answer = person("admin").post("/integrations/new/", {**FORM, **change})
    assert (answer.status_code, word in answer.content.decode()) == (422, True)
    assert Integration.objects.count() == 1


def test_it_is_changed_with_its_version_rotated_and_deleted(person: Any, integration: Integration) -> None:
    admin, base = person("admin"), f"/integrations/{integration.pk}"
    changed = {**FORM, "tool": "grafana", "version": "1", "mapping": "name = x", "silent_after_minutes": "5"}
    assert admin.post(f"{base}/save/", changed).status_code == 302
    row = Integration.objects.get()
    assert (row.tool, row.mapping, row.silent_after_seconds, row.version) == ("grafana", {}, 300, 2)
    assert admin.post(f"{base}/save/", changed).status_code == 409
    assert admin.post(f"{base}/save/", {**changed, "version": "2", "name": ""}).status_code == 422
    before = row.token_sha256
    assert "shown this once" in admin.post(f"{base}/rotate/").content.decode()
    assert Integration.objects.get().token_sha256 != before
    assert admin.post(f"{base}/delete/").status_code == 302
    assert Integration.objects.count() == 0
    assert admin.get(f"{base}/").status_code == 404


def test_a_secret_can_be_forgotten(person: Any) -> None:
    made = issued("generic", secret="s" * 20).integration
    person("admin").post(f"/integrations/{made.pk}/save/", {**FORM, "forget_secret": "on"})
    assert not Integration.objects.get().has_secret


def previewed(client: Any, payload: Any, **form: str) -> str:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    answer = client.post("/integrations/preview/", {**FORM, "payload": text, **form}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    body: str = answer.content.decode()
    return body


def test_the_preview_shows_what_would_come_and_stores_nothing(person: Any) -> None:
    admin = person("admin")
    body = previewed(admin, PAYLOAD, name="")
    assert [word in body for word in ("Disk full", "critical", "sent as P1", "firing", "&lt;script&gt;")] == [True] * 5
    assert (HOSTILE in body, InboundMessage.objects.count(), Integration.objects.count()) == (False, 0, 0)
    assert "deploy" in previewed(admin, {"title": "x"}, makes="changes", mapping="kind = 'deploy'")
    assert "a pipeline" not in previewed(admin, {"object_kind": "note"}, tool="gitlab")


@pytest.mark.parametrize(
    ("payload", "form", "word"),
    [
        ("", {}, "Paste a payload"),
        ("{", {}, "not JSON"),
        ("7", {}, "neither a JSON object"),
        ("{}", {}, "empty"),
        ("x" * 1_000_001, {}, "larger than"),
        ('{"title": "x"}', {"mapping": "name = a..b"}, "Mapping:"),
        ('{"title": "x"}', {"tool": "jenkins"}, "not a message of Jenkins"),
        ('{"object_kind": "note"}', {"tool": "gitlab"}, "is not followed"),
    ],
)
def test_the_preview_says_why_nothing_would_come(person: Any, payload: str, form: dict[str, str], word: str) -> None:
    assert word in previewed(person("admin"), payload, **form)


def test_without_scripts_the_preview_is_the_page_with_what_was_typed(person: Any) -> None:
    answer = person("admin").post("/integrations/preview/", {**FORM, "payload": json.dumps(PAYLOAD)})
    body = answer.content.decode()
    assert [word in body for word in ("New integration", 'value="Shop"', "Disk full")] == [True] * 3


def test_the_form_begins_with_the_tool_that_was_asked_for(person: Any) -> None:
    admin = person("admin")
    assert '<option value="gitlab" selected>' in admin.get("/integrations/new/?tool=gitlab").content.decode()
    assert '<option value="generic" selected>' in admin.get("/integrations/new/?tool=nothing").content.decode()
