"""The block list and the allow list."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.accounts.services import Refused
from aivillage_console.lib import clock
from security import selectors, services
from security.models import AllowEntry, Block, SecurityEvent
from tests.security.conftest import ADMIN, Teller, later

Detect = Callable[..., dict[str, Any]]


def block(value: str = "192.0.2.7", scope: str = "ip", **asked: Any) -> Block:
    return services.block_add(
        **{"reason": "scans", "actor": ADMIN, "now": clock.now(), **asked}, scope=scope, value=value
    )


def allow(value: str, scope: str = "cidr") -> AllowEntry:
    return services.allow_add(scope=scope, value=value, reason="office", actor=ADMIN, now=clock.now())


def listed(**when: Any) -> list[str]:
    return [each["value"] for each in selectors.block_list(now=when.get("now") or clock.now()).blocks]


def test_a_block_lasts_four_hours_unless_said(db: None) -> None:
    made = block()
    assert made.expires_at - made.created_at == timedelta(hours=4)
    assert listed() == ["192.0.2.7"]
    assert listed(now=later(4 * 3600 + 1)) == []


def test_it_is_in_the_trail_with_who_and_why(db: None) -> None:
    made = block()
    services.block_extend(block_id=made.pk, seconds=600, reason="goes on", actor=ADMIN, now=clock.now())
    services.block_lift(block_id=made.pk, reason="a mistake", actor=ADMIN, now=clock.now())
    trail = AuditEntry.objects.order_by("pk")
    assert [row.action for row in trail] == ["block.create", "block.extend", "block.lift"]
    assert {row.actor_label for row in trail} == {"alice@example.org"}
    assert trail[2].after is not None
    assert trail[2].after["lifted_because"] == "a mistake"


def test_lifting_undoes_it_once(db: None) -> None:
    made = block()
    services.block_lift(block_id=made.pk, reason="a mistake", actor=ADMIN, now=clock.now())
    assert listed() == []
    with pytest.raises(Refused, match="over already"):
        services.block_lift(block_id=made.pk, reason="again", actor=ADMIN, now=clock.now())
    assert block().pk != made.pk


def test_an_expired_block_can_be_put_up_again_though_nobody_noted_its_end(db: None) -> None:
    first = block(seconds=60)
    second = block(now=later(61))
    first.refresh_from_db()
    assert (first.ended_at, second.ended_at) == (first.expires_at, None)


def test_the_end_is_noted_for_the_timeline(db: None) -> None:
    made = block(seconds=60)
    assert services.note_expired(now=clock.now()) == 0
    assert services.note_expired(now=later(61)) == 1
    made.refresh_from_db()
    assert made.ended_at == made.expires_at


@pytest.mark.parametrize(
    ("asked", "field", "text"),
    [
        ({"value": "198.51.100.9"}, "value", "allow list"),
        ({"value": "203.0.113.9"}, "force", "coming from"),
        ({"value": "203.0.113.0/24", "scope": "cidr"}, "force", "coming from"),
        ({"value": "127.0.0.1"}, "force", "own networks"),
        ({"value": "::1"}, "force", "own networks"),
        ({"value": "10.9.0.5"}, "force", "own networks"),
        ({"value": "alice@example.org", "scope": "user"}, "force", "you"),
        ({"value": "192.0.2.0/23", "scope": "cidr"}, "confirm", "512 addresses"),
        ({"value": "0.0.0.0/0", "scope": "cidr", "confirm": "0.0.0.0/0"}, "value", "not blocked"),
        ({"value": "nonsense"}, "value", "no address"),
        ({"value": "", "scope": "user"}, "value", "characters"),
        ({"value": "192.0.2.1", "scope": "city"}, "scope", "one of"),
        ({"reason": "  "}, "reason", "why"),
        ({"seconds": 5}, "seconds", "lasts"),
    ],
)
def test_what_would_harm_is_refused_with_what_to_do(
    db: None, settings: Any, asked: dict[str, Any], field: str, text: str
) -> None:
    settings.CONFIG = replace(settings.CONFIG, security_own_networks=["10.9.0.0/16"])
    allow("198.51.100.0/24")
    with pytest.raises(Refused, match=text) as refused:
        block(**asked)
    assert refused.value.field == field
    assert not Block.objects.exists()


def test_force_blocks_ourselves_but_never_who_is_allowed(db: None) -> None:
    assert block("127.0.0.1", force=True).value == "127.0.0.1"
    allow("198.51.100.0/24")
    with pytest.raises(Refused, match="allow list"):
        block("198.51.100.9", force=True)


def test_a_wide_network_is_blocked_once_it_is_typed_again(db: None) -> None:
    assert block("198.18.0.0/16", scope="cidr", confirm="198.18.0.0/16").value == "198.18.0.0/16"


def test_a_network_of_one_address_is_that_address(db: None) -> None:
    assert (block("192.0.2.9/32", scope="cidr").scope, Block.objects.get().value) == ("ip", "192.0.2.9")


def test_the_same_is_not_blocked_twice(db: None) -> None:
    block()
    with pytest.raises(Refused, match="already"):
        block("::ffff:192.0.2.7")


def test_allowing_lifts_what_stands_against_it(db: None) -> None:
    block()
    block("bob", scope="user")
    allow("192.0.2.0/24")
    assert listed() == ["bob"]
    entry = allow("bob", scope="user")
    assert listed() == []
    services.allow_remove(entry_id=entry.pk, reason="left", actor=ADMIN, now=clock.now())
    with pytest.raises(Refused, match="any more"):
        services.allow_remove(entry_id=entry.pk, reason="left", actor=ADMIN, now=clock.now())
    assert block("bob", scope="user").scope == "user"


def test_every_change_of_the_list_changes_its_tag_and_its_version(db: None) -> None:
    seen = [selectors.block_list(now=clock.now())]
    made = block(seconds=60)
    seen.append(selectors.block_list(now=clock.now()))
    services.block_extend(block_id=made.pk, seconds=60, reason="goes on", actor=ADMIN, now=later(1))
    seen.append(selectors.block_list(now=later(1)))
    seen.append(selectors.block_list(now=later(200)))
    allow("198.51.100.0/24")
    seen.append(selectors.block_list(now=later(201)))
    assert all(before.etag != after.etag for before, after in pairwise(seen))
    assert [one.version for one in seen[:4]] == sorted({one.version for one in seen[:4]})
    assert selectors.block_list(now=later(202)).etag == seen[-1].etag


def test_a_preview_tells_who_signed_in_well_from_there(teller: Teller) -> None:
    for user in ("ann", "bob", "bob"):
        teller.tell({"event_type": "auth_success", "user_id": user, "source_ip": "192.0.2.7"})
    teller.tell({"event_type": "auth_success", "user_id": "old", "source_ip": "192.0.2.7", "at_ms": teller.at(-90_000)})
    teller.tell(teller.failure(user="eve", ip="192.0.2.8"))
    found = selectors.block_preview("ip", "192.0.2.7", now=later(1))
    assert (found.users, found.successes, found.addresses, found.allowed) == (["ann", "bob"], 3, 1, "")
    assert selectors.block_preview("cidr", "192.0.2.0/24", now=later(1)).addresses == 2
    assert selectors.block_preview("user", "ann", now=later(1)).successes == 1
    allow("192.0.2.0/28")
    assert "office" in selectors.block_preview("ip", "192.0.2.7", now=later(1)).allowed


def test_a_critical_finding_blocks_its_address_for_an_hour(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(12)))
    detect(now=later(5))
    made = Block.objects.get()
    assert (made.value, made.automatic, made.expires_at - made.created_at) == ("10.0.0.100", True, timedelta(hours=1))
    assert made.finding is not None
    assert made.reason.startswith("Brute force: ")
    assert set(SecurityEvent.objects.filter(mitigated=True).values_list("band", flat=True)) == {"critical"}
    assert AuditEntry.objects.get(action="block.create").actor_label == "automatic response"


@pytest.mark.parametrize("case", ["allowed", "own", "off", "high"])
def test_nobody_is_blocked_by_itself_who_must_not_be(teller: Teller, detect: Detect, settings: Any, case: str) -> None:
    tries = 8 if case == "high" else 20
    if case == "allowed":
        allow("10.0.0.0/8")
    if case == "own":
        settings.CONFIG = replace(settings.CONFIG, security_own_networks=["10.0.0.0/24"])
    if case == "off":
        settings.CONFIG = replace(settings.CONFIG, security_auto_block=False)
    teller.tell(*(teller.failure(seconds=n / 100) for n in range(tries)))
    assert detect(now=later(5))["brute_force"] >= 0.7
    assert not Block.objects.exists()
    assert not SecurityEvent.objects.filter(mitigated=True).exists()


def test_more_of_the_same_attack_finds_the_block_in_force(teller: Teller, detect: Detect) -> None:
    for burst in range(3):
        teller.tell(*(teller.failure(seconds=burst) for _ in range(12)))
        detect(now=later(5))
    assert Block.objects.count() == 1


def test_many_attackers_of_one_batch_are_one_row_of_the_trail(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(ip=f"10.6.0.{n}", count=11) for n in range(5)))
    detect()
    assert Block.objects.filter(automatic=True).count() == 5
    trail = AuditEntry.objects.get(action="block.create")
    assert trail.after is not None
    assert sorted(trail.after["blocks"]) == [f"10.6.0.{n}" for n in range(5)]


def test_an_attacker_whose_block_ran_out_is_blocked_again(teller: Teller, detect: Detect) -> None:
    teller.tell(teller.failure(count=11))
    detect()
    assert teller.tell(teller.failure(count=11, seconds=500)) == []
    detect(now=later(4001))
    assert Block.objects.count() == 2
    assert Block.objects.exclude(ended_at=None).count() == 1
    assert listed(now=later(4002)) == ["10.0.0.100"]
