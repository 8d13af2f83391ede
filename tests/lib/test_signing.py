"""Signatures are verified by the published library, and secrets open in their own row only."""

from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook

from aivillage_console.lib import sealing, signing


def test_both_keys_of_a_rotation_verify() -> None:
    old, new = signing.new_secret(), signing.new_secret()
    made = signing.headers(message_id="m1", at=datetime.now(UTC), body="{}", keys=[new, old])
    assert [Webhook(key).verify("{}", made) for key in (old, new)] == [{}, {}]


def test_a_weak_or_garbled_secret_is_named() -> None:
    assert signing.secret_problem(signing.new_secret()) == ""
    assert "24 to 64" in signing.secret_problem("whsec_c2hvcnQ=")
    assert "base64" in signing.secret_problem("whsec_???")


def test_a_secret_opens_in_its_own_row_only() -> None:
    sealed = sealing.seal("canary", "row-1")
    assert sealing.unseal(sealed, "row-1") == "canary"
    assert b"canary" not in sealed
    with pytest.raises(sealing.CannotUnseal):
        sealing.unseal(sealed, "row-2")
    with pytest.raises(sealing.CannotUnseal):
        sealing.unseal(b"\x02" + sealed[1:], "row-1")


def test_an_old_key_still_opens_and_resealing_takes_the_new_one(settings) -> None:  # type: ignore[no-untyped-def]
    sealed = sealing.seal("canary", "row")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "n" * 40
    assert sealing.unseal(sealed, "row") == "canary"
    resealed = sealing.reseal(sealed, "row")
    settings.SECRET_KEY_FALLBACKS = []
    assert sealing.unseal(resealed, "row") == "canary"
    with pytest.raises(sealing.CannotUnseal):
        sealing.unseal(sealed, "row")
