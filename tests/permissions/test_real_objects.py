"""Every route and every admin page over objects that exist, by every kind of caller, with proper bodies."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.contrib.admin import site
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client

from aivillage_console.accounts.models import AuditEntry, Role, Scope
from alerts.models import Alert, Notification
from tests.permissions.expected import API, EXPECTED
from tests.permissions.objects import Objects, admin_models, bodies, one_of_each

ROLES = ["anonymous", *Role.values]
# These name something else than an object that this test makes, ask for a signature or a demo that it does not, or
# answer 500 on purpose, as a Prometheus does whose admin API is off.
NAMELESS = {
    "/hooks/github/<uuid:hook_id>/", "/sign-in/<str:secret>/", "/settings/sessions/<slug:handle>/end/",
    "/api/v1/status/<path:rest>", "/api/v1/rules/<path:rest>", "/alerts/bulk/", "/setup/demo/",
    "/api/v1/admin/tsdb/<slug:verb>", "/hooks/<slug:tool>/", "/hooks/<slug:tool>/<str:token>/",
    "/ping/<uuid:key>", "/ping/<uuid:key>/", "/ping/<uuid:key>/<str:action>",
    "/integrations/v1/<slug:kind>/<str:token>/", "/silences/<uuid:silence_id>/<slug:action>/",
}  # fmt: skip
# They take a body and change nothing.
ASKING = {f"{API}configuration/plan/"}
UNSAFE = sorted(
    (method, path) for method, path in EXPECTED
    if method != "GET" and path.startswith(API) and path not in ASKING
)  # fmt: skip
# Read by editors, changed by nobody, changed by editors or by admins: as docs and services say.
ADMINS_READ = {"User", "ApiToken", "AuditEntry"}
EDITORS_CHANGE = {
    "Component",
    "Check",
    "Rule",
    "RuleGroup",
    "Policy",
    "Inhibition",
    "MuteTime",
    "CorrelationRule",
    "Canary",
}
EDITORS_ADD = {"Block", "AllowEntry", "RecordingBackfill"}
EDITORS_DELETE = {"RecordingBackfill", "CronJob"}
ADMINS_ADD = {"User", "Team", "Source", "ApiToken", "Channel", "InboundHook", "ScrapePool", "RemoteTarget"}


@pytest.fixture
def made(db: None) -> Objects:
    """Return one object of each kind."""
    return one_of_each()


def asked(client: Client, method: str, path: str, body: dict[str, Any]) -> tuple[HttpResponseBase, int]:
    """Make one call and undo what it did; return the answer and how many audit rows it left."""
    with transaction.atomic():
        before = AuditEntry.objects.count()
        answer = client.generic(method, path, data=orjson.dumps(body), content_type="application/json")
        rows = AuditEntry.objects.count() - before
        transaction.set_rollback(True)
    return answer, rows


def refused(answer: HttpResponseBase) -> bool:
    doors = ("/sign-in/?next=", "/admin/login/?next=")
    to_sign_in = answer.status_code == 302 and answer.headers["Location"].startswith(doors)
    return answer.status_code in (401, 403) or to_sign_in


@pytest.mark.parametrize("caller", [*ROLES, *(f"token:{scope}" for scope in Scope.values)])
def test_a_caller_gets_in_exactly_where_the_table_says(
    client_of: Callable[..., Client], made: Objects, caller: str
) -> None:
    client, given, wrong = client_of(caller), bodies(made), []
    for (method, path), (people, scopes) in EXPECTED.items():
        if path == "/sign-out/" or path in NAMELESS:
            continue
        answer, _ = asked(client, method, made.path(path), given.get(path.removeprefix(API), {}))
        may = caller.removeprefix("token:") in scopes or "*" in scopes
        may = people[ROLES.index(caller)] == "1" if caller in ROLES else may
        # Who is let in finds the object, who is not learns nothing about it.
        if refused(answer) == may or answer.status_code in (404, 405) or answer.status_code >= 500:
            wrong.append(f"{method} {path}: {answer.status_code}, expected {'in' if may else 'out'}")
    assert wrong == []


# How an alert stands that these can be done to.
LATELY = datetime(2026, 11, 20, tzinfo=UTC)
READY: dict[str, dict[str, Any]] = {
    "unacknowledge": {"acked_at": LATELY, "acked_by": "eva"},
    "unsnooze": {"snoozed_until": LATELY, "snoozed_by": "eva"},
    "reopen": {"state": "resolved", "resolved_at": LATELY},
}


@pytest.mark.parametrize(("method", "path"), UNSAFE)
def test_every_change_over_the_api_leaves_a_row_and_a_refused_one_changes_nothing(
    client_of: Callable[..., Client], made: Objects, method: str, path: str
) -> None:
    body = {} if method == "DELETE" else bodies(made).get(path.removeprefix(API), {})
    Alert.objects.filter(pk=made.alert.pk).update(**READY.get(path.rstrip("/").rpartition("/")[2], {}))
    answer, rows = asked(client_of("admin"), method, made.path(path), body)
    assert (200 <= answer.status_code < 300, rows >= 1) == (True, True), (answer.status_code, rows)
    answer, rows = asked(client_of("viewer"), method, made.path(path), body)
    assert answer.status_code == 403
    assert not AuditEntry.objects.exclude(action__in=["test.begin", "access.denied", "token.issue"]).exists()


def test_the_row_names_who_did_it_to_what(client_of: Callable[..., Client], made: Objects) -> None:
    path = made.path(f"{API}alerts/<pk>/acknowledge/")
    client_of("responder").post(path, bodies(made)["alerts/<pk>/acknowledge/"], content_type="application/json")
    row = AuditEntry.objects.all()[0]
    assert (row.action, row.object_type, row.object_id) == ("alert.acknowledged", "alert", str(made.alert.pk))
    assert (row.actor_kind, row.actor_label, row.ip) == ("user", "responder@example.org", "127.0.0.1")
    assert row.before is not None
    assert row.after is not None
    assert (row.before["acked_by"], row.after["acked_by"]) == ("", "responder@example.org")


def admin_pages(name: str, label: str) -> dict[str, bool]:
    """Return for each page of a model on the admin site whether an editor gets it; an admin gets a subset too."""
    base = f"/admin/{label}/{name.lower()}/"
    pages = {base: name not in ADMINS_READ, f"{base}add/": name in EDITORS_CHANGE | EDITORS_ADD}
    found = next((m.objects.first() for m in admin_models() if m.__name__ == name), None)  # type: ignore[attr-defined]
    if found is not None:
        pages[f"{base}{found.pk}/change/"] = name not in ADMINS_READ
        pages[f"{base}{found.pk}/history/"] = name not in ADMINS_READ
        pages[f"{base}{found.pk}/delete/"] = name in EDITORS_CHANGE | EDITORS_DELETE
    return pages


def admin_may(name: str, page: str) -> bool:
    if page.endswith("/add/"):
        return name in EDITORS_CHANGE | EDITORS_ADD | ADMINS_ADD
    if page.endswith("/delete/"):
        ours = {"Team", "Channel", "InboundHook", "Integration", "ScrapePool", "RemoteTarget"}
        return name in EDITORS_CHANGE | EDITORS_DELETE | ours
    return True


@pytest.mark.parametrize("model", admin_models(), ids=lambda model: model.__name__)
def test_every_admin_page_is_given_by_role(client_of: Callable[..., Client], made: Objects, model: Any) -> None:
    name, wrong = model.__name__, []
    for page, editor in admin_pages(name, model._meta.app_label).items():
        expected = {"anonymous": 302, "viewer": 403, "responder": 403, "editor": 200 if editor else 403,
                    "admin": 200 if admin_may(name, page) else 403}  # fmt: skip
        got = {caller: client_of(caller).get(page).status_code for caller in expected}
        if got != expected:
            wrong.append((page, got))
    assert wrong == []


def test_every_other_admin_page_is_shut_to_lower_roles(client_of: Callable[..., Client], made: Objects) -> None:
    labels = sorted({f"{model._meta.app_label}/" for model in site._registry})
    names = ("", "jsi18n/", "autocomplete/", "password_change/", "logout/", *labels)
    assert {"alerts", "accounts", "metrics"} <= {model._meta.app_label for model in site._registry}
    for caller in ("anonymous", "viewer", "responder", "token:admin"):
        client = client_of(caller)
        for name in names:
            assert client.get(f"/admin/{name}").status_code in (302, 403, 405), (caller, name)
            assert client.post(f"/admin/{name}").status_code in (302, 403, 405), (caller, name)


@pytest.mark.parametrize("model", admin_models(), ids=lambda model: model.__name__)
def test_no_admin_form_of_a_lower_role_changes_anything(
    client_of: Callable[..., Client], made: Objects, model: Any
) -> None:
    for caller in ("anonymous", "viewer", "responder"):
        client = client_of(caller)
        before = list(model.objects.order_by("pk").values())
        for page in admin_pages(model.__name__, model._meta.app_label):
            assert refused(client.post(page, {"post": "yes"})), (caller, page)
        after = list(model.objects.order_by("pk").values())
        # The refusal itself may be in the trail.
        assert after[: len(before)] == before if model is AuditEntry else after == before


@pytest.mark.parametrize("state", ["failed", "done", "cancelled", "due"])
def test_a_message_is_sent_again_from_its_page_and_only_a_failed_one(
    client_of: Callable[..., Client], made: Objects, state: str
) -> None:
    finished_at = None if state == "due" else made.notification.finished_at
    because = "acknowledged" if state == "cancelled" else ""
    Notification.objects.update(state=state, finished_at=finished_at, cancelled_because=because, withheld=because)
    answer = client_of("responder").post(f"/alerts/messages/{made.notification.pk}/retry/")
    assert answer.status_code == 302
    assert AuditEntry.objects.filter(action="notification.replay").exists() == (state == "failed")
