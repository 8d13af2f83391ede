"""Getting in: by password, by one-time link; and being put out."""

import datetime
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from aivillage_console.accounts import services
from aivillage_console.accounts.middleware import ABSOLUTE_SECONDS, IDLE_SECONDS, SEEN, SIGNED_IN
from aivillage_console.accounts.models import Role, User
from aivillage_console.lib import clock

SYSTEM = services.Actor.system("test")
PASSWORD = "a long walk in march"
PAGE = "/settings/password/"


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice@example.org", PASSWORD, role=Role.ADMIN)


def link(user: User) -> str:
    return f"/sign-in/{services.sign_in_link_issue(user, actor=SYSTEM, now=clock.now())}/"


def test_the_command_makes_the_first_admin_and_prints_the_link(client: Client, db: None) -> None:
    out = StringIO()
    call_command("sign_in_link", stdout=out)
    path = "/sign-in/" + out.getvalue().strip().split("/sign-in/")[1]
    answer = client.post(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, PAGE)
    assert User.objects.get().role == Role.ADMIN


def test_opening_the_link_does_not_use_it_up(client: Client, alice: User) -> None:
    path = link(alice)
    for _ in range(3):
        assert client.get(path).status_code == 200
    assert client.post(path).status_code == 302
    assert client.get(PAGE).status_code == 200


def test_the_link_dies_with_its_use(client: Client, alice: User) -> None:
    path = link(alice)
    client.post(path)
    assert Client().post(path).status_code == 410
    assert Client().get(path).status_code == 410


def test_the_link_dies_of_age(alice: User) -> None:
    now = clock.now()
    secret = services.sign_in_link_issue(alice, actor=SYSTEM, now=now)
    late = now + datetime.timedelta(seconds=1801)
    assert services.sign_in_link_use(secret, now=late, ip=None) is None


def test_the_password_works_whatever_the_case_of_the_address(client: Client, alice: User) -> None:
    answer = client.post("/sign-in/?next=/settings/password/", {"username": "Alice@Example.org", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, PAGE)


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_next_never_leaves_the_console(client: Client, alice: User, wanted: str) -> None:
    client.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get("/sign-in/", {"next": wanted})
    assert "evil" not in answer.headers["Location"]
    assert not answer.headers["Location"].startswith("javascript")


def test_a_wrong_password_and_an_unknown_address_read_the_same(client: Client, alice: User) -> None:
    texts = {
        client.post("/sign-in/", {"username": name, "password": "wrong"}).context["form"].non_field_errors()[0]
        for name in ("alice@example.org", "nobody@example.org")
    }
    assert texts == {"E-mail or password is wrong."}


def test_guessing_is_throttled(client: Client, alice: User) -> None:
    statuses = [
        client.post("/sign-in/", {"username": "alice@example.org", "password": str(guess)}).status_code
        for guess in range(8)
    ]
    assert statuses[-1] == 429


@pytest.mark.parametrize(("key", "limit"), [(SEEN, IDLE_SECONDS), (SIGNED_IN, ABSOLUTE_SECONDS)])
def test_a_session_ends_by_itself(client: Client, alice: User, key: str, limit: int) -> None:
    client.post(link(alice))
    session = client.session
    session[key] -= limit + 1
    session.save()
    assert client.get(PAGE).status_code == 302


def test_a_disabled_person_is_out_at_the_next_request(client: Client, alice: User) -> None:
    other = services.user_create(email="bob@example.org", actor=SYSTEM, now=clock.now(), role=Role.VIEWER)
    client.post(link(other))
    assert client.get(PAGE).status_code == 200
    services.user_disable(other, actor=SYSTEM, now=clock.now())
    assert client.get(PAGE).status_code == 302


def test_a_new_role_ends_the_sessions_of_the_old_one(client: Client, alice: User) -> None:
    other = services.user_create(email="bob@example.org", actor=SYSTEM, now=clock.now())
    client.post(link(other))
    services.user_update(other, actor=SYSTEM, now=clock.now(), role=Role.EDITOR)
    assert client.get(PAGE).status_code == 302


def test_a_new_password_keeps_this_session_and_ends_the_others(client: Client, alice: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(alice, backend="django.contrib.auth.backends.ModelBackend")
    client.post(link(alice))
    fresh = "another long walk in may"
    client.post(PAGE, {"password": fresh, "again": fresh})
    assert (client.get(PAGE).status_code, elsewhere.get(PAGE).status_code) == (200, 302)


@pytest.mark.parametrize("weak", ["short", "password1234", "alice@example.org"])
def test_a_weak_password_is_refused(client: Client, alice: User, weak: str) -> None:
    client.post(link(alice))
    assert client.post(PAGE, {"password": weak, "again": weak}).status_code == 422


def test_the_last_admin_cannot_be_removed(alice: User) -> None:
    with pytest.raises(services.Refused, match="last admin"):
        services.user_disable(alice, actor=SYSTEM, now=clock.now())
    with pytest.raises(services.Refused, match="last admin"):
        services.user_update(alice, actor=SYSTEM, now=clock.now(), role=Role.VIEWER)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.RESPONDER, Role.EDITOR])
def test_nobody_but_an_admin_gives_roles(alice: User, role: Role) -> None:
    bob = User.objects.create_user("bob@example.org", None, role=role)
    with pytest.raises(services.NotAllowed):
        services.user_update(bob, actor=services.Actor.of_user(bob), now=clock.now(), role=Role.ADMIN)
