"""Tokens, users and the trail over REST."""

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from aivillage_console.accounts.models import AuditEntry, User

BASE = "/api/console/v1"
Api = Callable[[str], APIClient]


def test_a_token_is_shown_once_and_works_until_revoked(api: Api) -> None:
    issued = api("admin").post(f"{BASE}/tokens/", {"name": "ci", "kind": "service", "scopes": ["read"]}).json()
    program = APIClient(headers={"authorization": f"Bearer {issued['plain']}"})
    assert program.get(f"{BASE}/alerts/").status_code == 200
    assert program.get(f"{BASE}/tokens/").status_code == 403
    assert issued["plain"].encode() not in api("admin").get(f"{BASE}/tokens/").content
    assert api("admin").post(f"{BASE}/tokens/{issued['id']}/revoke/").json()["revoked_at"] is not None


def test_a_wrong_token_is_401_and_names_the_scheme(api: Api) -> None:
    answer = APIClient(headers={"authorization": "Bearer obs_service_wrong"}).get(f"{BASE}/alerts/")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_token_in_the_address_is_401(api: Api) -> None:
    issued = api("admin").post(f"{BASE}/tokens/", {"name": "ci", "kind": "service", "scopes": ["read"]}).json()
    assert APIClient().get(f"{BASE}/alerts/?token={issued['plain']}").status_code == 401


@pytest.mark.parametrize("field", ["disabled_at", "session_epoch", "password", "is_superuser", "email", "id"])
def test_only_offered_fields_of_a_person_change(api: Api, field: str) -> None:
    user = User.objects.create_user("bob@example.org", None)
    answer = api("admin").patch(f"{BASE}/users/{user.pk}/", {field: "x"})
    assert answer.status_code == 400


def test_every_change_of_a_person_is_in_the_trail(api: Api) -> None:
    made = api("admin").post(f"{BASE}/users/", {"email": "bob@example.org", "role": "responder"}).json()
    api("admin").patch(f"{BASE}/users/{made['id']}/", {"role": "editor"})
    api("admin").post(f"{BASE}/users/{made['id']}/disable/")
    rows = api("admin").get(f"{BASE}/audit/?object_id={made['id']}").json()["results"]
    assert [row["action"] for row in rows] == ["user.disable", "user.update", "user.create"]
    assert rows[0]["actor_label"] == "admin@example.org"
    assert AuditEntry.objects.count() == 3


def test_the_schema_and_its_page_are_served_from_here(api: Api) -> None:
    schema = api("viewer").get("/api/schema/", headers={"accept": "application/vnd.oai.openapi+json"})
    assert schema.status_code == 200
    page = api("viewer").get("/api/docs/").content.decode()
    assert "//cdn" not in page
    assert "https://" not in page
