"""Every route and method, tried by every kind of caller, against the table in `expected`."""

from collections.abc import Callable

import pytest
from django.test import Client

from aivillage_console.accounts.models import Role, Scope
from tests.permissions.expected import EXPECTED
from tests.permissions.routes import callable_path, methods, routes

ROLES = ["anonymous", *Role.values]
ROUTES = list(routes())
# Answers 500 "admin APIs disabled", as a Prometheus does that was not given the flag.
SWITCHED_OFF = "/api/v1/admin/tsdb/"


def _expected(caller: str, row: tuple[str, set[str]]) -> bool:
    people, scopes = row
    if caller.startswith("token:"):
        return "*" in scopes or caller.removeprefix("token:") in scopes
    return people[ROLES.index(caller)] == "1"


def _let_in(client: Client, method: str, path: str) -> bool:
    answer = client.generic(method, path, data="{}", content_type="application/json")
    assert answer.status_code < 500 or path.startswith(SWITCHED_OFF), (method, path, answer.status_code)
    to_sign_in = answer.status_code == 302 and answer.headers["Location"].startswith("/sign-in/?next=")
    return answer.status_code not in (401, 403) and not to_sign_in


def test_every_route_and_method_has_a_row_in_the_table() -> None:
    known = {path for _, path in EXPECTED}
    missing = {(method, path) for path, pattern in ROUTES for method in methods(pattern)} - set(EXPECTED)
    assert not missing
    assert {path for path, _ in ROUTES} - known == set()


@pytest.mark.parametrize("caller", [*ROLES, *(f"token:{scope}" for scope in Scope.values)])
def test_a_caller_gets_in_exactly_where_the_table_says(client_of: Callable[..., Client], caller: str) -> None:
    client = client_of(caller)
    wrong = []
    for (method, path), row in EXPECTED.items():
        if path == "/sign-out/":
            continue
        if _let_in(client, method, callable_path(path)) != _expected(caller, row):
            wrong.append(f"{method} {path}: expected {_expected(caller, row)}")
    assert wrong == []
