"""The OpenAPI document is a valid one, and no request made from it breaks the server."""

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV30SpecValidator
from rest_framework.test import APIClient

from aivillage_console.accounts import services
from aivillage_console.accounts.models import Scope
from aivillage_console.lib import clock
from aivillage_console.wsgi import application
from tests.permissions.objects import SYSTEM, one_of_each

Api = Callable[[str], APIClient]
# Enough for a first look at each operation; more of them on demand.
EXAMPLES = int(os.environ.get("API_EXAMPLES", "3"))
SCOPES = [Scope.READ, Scope.RESPOND, Scope.WRITE, Scope.ADMIN]


@pytest.fixture
def document(api: Api) -> Any:
    """Return the document as it is served."""
    return yaml.safe_load(api("viewer").get("/api/schema/").content)


def test_the_document_that_is_served_is_valid(document: Any) -> None:
    assert document["openapi"].startswith("3.0")
    assert list(OpenAPIV30SpecValidator(document).iter_errors()) == []


@pytest.fixture
def one_connection(db: None) -> Iterator[None]:
    """Keep the test's database connection open between requests, as Django's own test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def answers(operation: Any, authorization: dict[str, str], real: dict[str, Any]) -> list[tuple[int, str]]:
    """Make some requests of one operation; return status and command of each."""
    seen: list[tuple[int, str]] = []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def ask(data: Any) -> None:
        case = data.draw(operation.as_strategy())
        if case.path_parameters:
            known = real.get(operation.path)
            case.path_parameters = {name: known or value for name, value in case.path_parameters.items()}
        answer = case.call(headers=authorization)
        seen.append((answer.status_code, case.as_curl_command(headers=authorization)))

    ask()
    return seen


def test_no_request_made_from_the_document_breaks_the_server(document: Any, one_connection: None) -> None:
    made = one_of_each()
    plain = services.token_issue(name="all", kind="service", scopes=SCOPES, actor=SYSTEM, now=clock.now())[1]
    authorization = {"Authorization": f"Bearer {plain}"}
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", application, headers=authorization)
    operations: list[Any] = [found.ok() for found in list[Any](schema.get_all_operations())]
    real = {path: str(made.of(path)) for path in document["paths"] if "{id}" in path}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = [entry for operation in operations for entry in answers(operation, authorization, real)]
    assert len(operations) == sum(len(set(item) & {"get", "post", "patch", "put", "delete"})
                                  for item in document["paths"].values())  # fmt: skip
    assert [entry for entry in seen if entry[0] >= 500] == []
    assert len([entry for entry in seen if entry[0] < 300]) > len(operations) // 2
