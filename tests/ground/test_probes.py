"""/-/healthy, /-/ready and /-/status."""

from typing import Any

import pytest
from django.test import Client

from aivillage_console import probes
from aivillage_console.accounts.models import User


def test_healthy_needs_no_database(client: Client) -> None:
    answer = client.get("/-/healthy")
    assert (answer.status_code, answer.content) == (200, b"healthy\n")


def test_ready_asks_the_database(client: Client, db: None) -> None:
    assert client.get("/-/ready").status_code == 200


def test_not_ready_is_503(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "database_answers", lambda: False)
    answer = client.get("/-/ready")
    assert answer.status_code == 503
    assert b"database" in answer.content


def test_the_status_is_for_people_who_signed_in(client: Client, db: None) -> None:
    assert client.get("/-/status").status_code == 401
    client.force_login(User.objects.create_user("v@example.org", role="viewer"))
    body: dict[str, Any] = client.get("/-/status").json()
    assert body["database"] is True
    assert body["sentry"] is False


@pytest.mark.parametrize("path", ["/-/healthy", "/-/ready", "/-/status"])
def test_a_probe_changes_nothing(client: Client, db: None, path: str) -> None:
    assert client.post(path).status_code == 405
