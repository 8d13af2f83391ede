"""What was refused is in the trail, once a minute for the same thing."""

from collections.abc import Iterator

import pytest
from django.test import Client

from aivillage_console.accounts import services
from aivillage_console.accounts.models import AuditEntry, Role, User


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    services.forget_denials()
    yield
    services.forget_denials()


def test_a_failed_sign_in_names_the_address_and_never_the_password(db: None) -> None:
    for _ in range(3):
        Client().post("/sign-in/", {"username": "Alice@example.org", "password": "canary-password"})
    row = AuditEntry.objects.get(action="session.refused")
    assert (row.actor_label, row.ip) == ("alice@example.org", "127.0.0.1")
    assert "canary-password" not in f"{row.before}{row.after}{row.actor_label}{row.object_id}"


def test_a_closed_door_is_recorded_with_who_stood_before_it(db: None) -> None:
    user = User.objects.create_user("bob@example.org", None, role=Role.VIEWER)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    for _ in range(3):
        assert client.get("/admin/").status_code == 403
    row = AuditEntry.objects.get(action="access.denied")
    assert (row.actor, row.after) == (str(user.pk), {"method": "GET", "path": "/admin/", "status": 403})


def test_a_stranger_who_tries_every_door_leaves_a_bounded_number_of_rows(db: None) -> None:
    for number in range(100):
        Client().get(f"/api/console/v1/alerts/{number}/")
    assert 1 <= AuditEntry.objects.filter(action="access.denied").count() <= 40
