"""What people configure, over REST and on the admin site: checked alike, audited, secrets never shown."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.lib import clock
from health.models import Check, CheckResult, Component
from health.selectors import board
from tests.health.conftest import check_of, component

pytestmark = pytest.mark.django_db
BASE = "/api/console/v1"
SECRET = "postgresql://eva:canary-canary@db.example.org/x"


@pytest.fixture
def api() -> Any:
    """Return a client signed in as a person of a role."""

    def client(role: str, kind: type[Client] = APIClient) -> Any:
        user, _ = get_user_model().objects.get_or_create(email=f"{role}@example.org", defaults={"role": role})
        signed_in = kind()
        signed_in.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return signed_in

    return client


def problem(answer: Any) -> dict[str, str]:
    return {one["pointer"]: one["detail"] for one in answer.json()["errors"]}


def test_a_component_is_made_changed_and_deleted_with_a_row_each(api: Any) -> None:
    editor = api("editor")
    made = editor.post(f"{BASE}/components/", {"name": "hyperrag", "depends_on": [{"name": "neo4j", "critical": True}]})
    assert (made.status_code, made.json()["depends_on"]) == (
        201, [{"name": "neo4j", "type": "http_api", "critical": True}]
    )  # fmt: skip
    path = f"{BASE}/components/{made.json()['id']}/"
    assert editor.patch(path, {"owner": "eva"}).json()["version"] == 2
    stale = editor.patch(path, {"owner": "adam", "expected_version": 1})
    assert (stale.status_code, stale.json()["fresh"]["owner"]) == (409, "eva")
    assert editor.delete(path).status_code == 204
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["component.create", "component.update", "component.delete"]


@pytest.mark.parametrize(
    ("given", "field"),
    [({"name": ""}, "/name"), ({"name": "<b>"}, "/name"), ({"name": "x", "nope": 1}, "/nope"),
     ({"name": "x", "depends_on": [{"name": "x"}]}, "/depends_on"),
     ({"name": "x", "depends_on": [{"name": "y", "type": "magic"}]}, "/depends_on"),
     ({"name": "x", "depends_on": [{"name": f"y{i}"} for i in range(51)]}, "/depends_on")],
)  # fmt: skip
def test_a_bad_component_is_refused_by_field(api: Any, given: dict[str, Any], field: str) -> None:
    answer = api("editor").post(f"{BASE}/components/", given)
    assert (answer.status_code, list(problem(answer))) == (400, [field])


def body(of: Component, **changes: Any) -> dict[str, Any]:
    return {
        "component": str(of.pk),
        "name": "port",
        "kind": "tcp",
        "config": {"host": "a.example", "port": 443},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"kind": "reported"}, "/kind"), ({"kind": "magic"}, "/kind"), ({"config": {"host": "a"}}, "/config"),
     ({"config": [1]}, "/config"), ({"interval_seconds": 1}, "/interval_seconds"),
     ({"timeout_seconds": 60}, "/timeout_seconds"), ({"unhealthy_ms": 10}, "/unhealthy_ms"),
     ({"weight": 0}, "/weight"), ({"kind": "sql", "config": {}}, "/secret"),
     ({"last_status": "healthy"}, "/last_status")],
)  # fmt: skip
def test_a_bad_check_is_refused_by_field(api: Any, changes: dict[str, Any], field: str) -> None:
    answer = api("admin").post(f"{BASE}/checks/", body(component(), **changes))
    assert (answer.status_code, field in problem(answer)) == (400, True), answer.json()


def test_a_secret_is_an_admin_s_and_is_never_shown(api: Any) -> None:
    given = body(component(), kind="sql", config={}, secret=SECRET)
    assert api("editor").post(f"{BASE}/checks/", given).status_code == 403
    made = api("admin").post(f"{BASE}/checks/", given)
    assert (made.status_code, made.json()["has_secret"], "canary" in made.content.decode()) == (201, True, False)
    check = Check.objects.get()
    assert check.unseal() == SECRET
    assert b"canary" not in bytes(check.secret_sealed or b"")
    assert "canary" not in str(list(AuditEntry.objects.values("after", "before")))
    for path in (f"{BASE}/checks/", f"{BASE}/checks/{check.pk}/"):
        assert "canary" not in api("admin").get(path).content.decode()
    moved = api("editor").patch(f"{BASE}/checks/{check.pk}/", {"config": {"query": "SELECT 2"}})
    assert moved.status_code == 403


def test_a_new_address_drops_the_secret(api: Any) -> None:
    given = body(component(), kind="http", config={"url": "https://a.example/"}, secret="bearer-canary")
    made = api("admin").post(f"{BASE}/checks/", given).json()
    changed = api("admin").patch(f"{BASE}/checks/{made['id']}/", {"config": {"url": "https://b.example/"}})
    assert (changed.status_code, changed.json()["has_secret"]) == (200, False)


def test_a_url_of_the_wrong_kind_is_refused(api: Any) -> None:
    answer = api("admin").post(f"{BASE}/checks/", body(component(), kind="redis", config={}, secret="http://a.example"))
    assert "redis://" in problem(answer)["/secret"]


def test_what_a_service_reports_the_service_decides(api: Any) -> None:
    check = check_of(kind="reported", config={})
    path = f"{BASE}/checks/{check.pk}/"
    assert api("editor").patch(path, {"weight": 3}).json()["weight"] == 3
    assert "decides it" in problem(api("editor").patch(path, {"name": "other"}))["/name"]


def test_a_check_is_run_and_its_results_read_over_the_api(api: Any) -> None:
    check = check_of(config={"name": "console.memory"})
    assert api("viewer").post(f"{BASE}/checks/{check.pk}/run/").status_code == 403
    done = api("responder").post(f"{BASE}/checks/{check.pk}/run/")
    assert (done.status_code, done.json()["last_status"]) == (200, "healthy")
    results = api("viewer").get(f"{BASE}/checks/{check.pk}/results/").json()["results"]
    assert [one["status"] for one in results] == ["healthy"]
    Check.objects.update(enabled=False)
    refused = api("responder").post(f"{BASE}/checks/{check.pk}/run/")
    assert (refused.status_code, "switched off" in refused.json()["detail"]) == (409, True)
    assert CheckResult.objects.count() == 1


def test_the_health_of_a_component_comes_with_its_arithmetic(api: Any) -> None:
    check = check_of(config={"name": "console.memory"})
    api("responder").post(f"{BASE}/checks/{check.pk}/run/")
    found = api("viewer").get(f"{BASE}/components/{check.component_id}/health/").json()
    assert (found["status"], found["score"], found["inputs"][0]["weight"]) == ("healthy", 100, 1.0)


def filled(of: Component, **changes: Any) -> dict[str, Any]:
    return {"component": str(of.pk), "name": "port", "kind": "tcp", "config": '{"host": "a.example", "port": 443}',
            "interval_seconds": 30, "timeout_seconds": 5, "degraded_ms": 1000, "unhealthy_ms": 5000, "weight": 1,
            "enabled": "on", **changes}  # fmt: skip


def test_the_admin_site_saves_through_the_same_service(api: Any) -> None:
    editor = api("editor", Client)
    assert editor.post("/admin/health/check/add/", filled(component())).status_code == 302
    check = Check.objects.get()
    changed = filled(check.component, weight=2)
    assert editor.post(f"/admin/health/check/{check.pk}/change/", changed).status_code == 302
    assert editor.post(f"/admin/health/check/{check.pk}/delete/", {"post": "yes"}).status_code == 302
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["check.create", "check.update", "check.delete"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"config": '{"host": "a"}'}, "config"), ({"kind": "sql", "config": "{}"}, "secret"),
     ({"secret": "x" * 10}, "secret"), ({"kind": "reported"}, "kind")],
)  # fmt: skip
def test_a_bad_check_is_refused_beside_its_field(api: Any, changes: dict[str, Any], field: str) -> None:
    answer = api("editor", Client).post("/admin/health/check/add/", filled(component(), **changes))
    assert (answer.status_code, field in answer.context["adminform"].form.errors) == (200, True)
    assert Check.objects.count() == 0


def test_a_component_is_edited_on_the_admin_site(api: Any) -> None:
    editor = api("editor", Client)
    form = {"name": "hyperrag", "kind": "", "owner": "", "description": "", "depends_on": '[{"name": "neo4j"}]'}
    assert editor.post("/admin/health/component/add/", form).status_code == 302
    assert Component.objects.get().depends_on[0]["type"] == "http_api"
    answer = editor.post("/admin/health/component/add/", form | {"name": "b", "depends_on": '[{"name": "b"}]'})
    assert "depends_on" in answer.context["adminform"].form.errors


def test_a_registry_is_loaded_on_request_and_claims_nothing() -> None:
    out = StringIO()
    call_command("load_registry", "platform", stdout=out)
    assert out.getvalue() == "17 of 17 components were added; the others were there.\n"
    Component.objects.filter(name="hyperrag").update(owner="eva")
    call_command("load_registry", "platform", stdout=StringIO())
    call_command("load_registry", "components", stdout=StringIO())
    rows = {row.component.name: row for row in board(now=clock.now()).rows}
    assert (len(rows), {row.score.band for row in rows.values()}) == (31, {"unknown"})
    assert (rows["postgresql"].impact.level, rows["hyperrag"].component.owner) == ("high", "eva")
