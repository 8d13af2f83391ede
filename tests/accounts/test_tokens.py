"""Tokens: their text, their life, and what a door does with them."""

import datetime
from typing import Any

import pytest
from django.test import RequestFactory

from aivillage_console.accounts import authentication, keys, services
from aivillage_console.accounts.models import ApiToken, AuditEntry, Source
from aivillage_console.lib import clock

SYSTEM = services.Actor.system("test")


@pytest.fixture(autouse=True)
def _fresh_memory() -> None:
    authentication.forget_tokens()


@pytest.fixture
def issued(db: None) -> tuple[ApiToken, str]:
    source = services.source_named("edge")
    return services.token_issue(
        name="edge", kind="ingest", scopes=["ingest:metrics"], actor=SYSTEM, now=clock.now(), source=source
    )


def test_a_token_is_recognised_and_every_changed_character_is_not() -> None:
    plain = keys.make("ingest")
    assert keys.parse(plain) is not None
    assert len(plain) == len("obs_ingest_") + 36
    for index in range(len("obs_ingest_"), len(plain)):
        changed = plain[:index] + ("a" if plain[index] != "a" else "b") + plain[index + 1 :]
        assert keys.parse(changed) is None


@pytest.mark.parametrize("text", ["", "obs", "obs__", "obs_ingest_", "obs_ingest_" + "0" * 36, "ö" * 40, "x" * 10_000])
def test_a_text_that_is_no_token_is_no_token(text: str) -> None:
    assert keys.parse(text) is None


def test_a_bad_checksum_is_refused_without_a_query(db: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0), pytest.raises(authentication.TokenRefused):
        authentication.authenticate_token("obs_ingest_" + "0" * 36)


def test_the_plain_text_is_nowhere_in_the_database(issued: tuple[ApiToken, str]) -> None:
    token, plain = issued
    rows = [str(list(ApiToken.objects.values())), str(list(AuditEntry.objects.values()))]
    assert not any(plain in row for row in rows)
    assert plain.startswith(token.prefix)


def test_a_live_token_is_accepted_and_remembered(issued: tuple[ApiToken, str], django_assert_num_queries: Any) -> None:
    token, plain = issued
    assert authentication.authenticate_token(plain) == token
    with django_assert_num_queries(0):
        assert authentication.authenticate_token(plain).source == token.source


def test_the_last_use_is_written_once_a_minute(issued: tuple[ApiToken, str]) -> None:
    token, plain = issued
    now = clock.now()
    authentication.authenticate_token(plain, now=now)
    authentication.forget_tokens()
    authentication.authenticate_token(plain, now=now + datetime.timedelta(seconds=30))
    token.refresh_from_db()
    assert token.last_used_at == now


def test_a_revoked_token_is_refused_once_the_memory_is_older_than_its_limit(issued: tuple[ApiToken, str]) -> None:
    token, plain = issued
    services.token_revoke(token, actor=SYSTEM, now=clock.now())
    authentication.forget_tokens()
    with pytest.raises(authentication.TokenRefused):
        authentication.authenticate_token(plain)
    assert authentication.CACHE_SECONDS < 5


def test_an_expired_token_is_refused_even_from_memory(db: None) -> None:
    now = clock.now()
    end = now + datetime.timedelta(minutes=5)
    _, plain = services.token_issue(name="x", kind="service", scopes=["read"], actor=SYSTEM, now=now, expires_at=end)
    assert authentication.authenticate_token(plain, now=now)
    with pytest.raises(authentication.TokenRefused, match="expired"):
        authentication.authenticate_token(plain, now=end)


def test_a_key_in_the_query_string_is_refused(issued: tuple[ApiToken, str]) -> None:
    _, plain = issued
    request = RequestFactory().post(f"/x?token={plain}", headers={"authorization": f"Bearer {plain}"})
    with pytest.raises(authentication.TokenRefused, match="never in the address"):
        authentication.authenticate_request(request, scope="ingest:metrics")


def test_a_token_without_the_scope_is_not_enough(issued: tuple[ApiToken, str]) -> None:
    _, plain = issued
    request = RequestFactory().post("/x", headers={"authorization": f"Bearer {plain}"})
    assert authentication.authenticate_request(request, scope="ingest:metrics").source == Source.objects.get(
        name="edge"
    )
    with pytest.raises(PermissionError, match="query"):
        authentication.authenticate_request(request, scope="query")


def test_rotation_keeps_the_rights_and_ends_the_old_token(issued: tuple[ApiToken, str]) -> None:
    token, plain = issued
    fresh, fresh_plain = services.token_rotate(token, actor=SYSTEM, now=clock.now())
    assert (fresh.scopes, fresh.source) == (token.scopes, token.source)
    assert authentication.authenticate_token(fresh_plain) == fresh
    with pytest.raises(authentication.TokenRefused):
        authentication.authenticate_token(plain)


def test_a_token_cannot_mint_a_stronger_one(db: None) -> None:
    minter = services.Actor("token", "1", "minter", scopes=frozenset({"admin", "read"}))
    with pytest.raises(services.NotAllowed, match="lacks: write"):
        services.token_issue(name="x", kind="service", scopes=["read", "write"], actor=minter, now=clock.now())


def test_an_ingest_token_can_only_send(db: None) -> None:
    with pytest.raises(services.Refused, match="query"):
        services.token_issue(name="x", kind="ingest", scopes=["query"], actor=SYSTEM, now=clock.now())
