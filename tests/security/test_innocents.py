"""People who mistype while others attack: they are neither accused nor kept out, and the attackers still are found."""

from collections.abc import Callable
from typing import Any

import pytest

from security import asked, detectors
from security.catalogue import Detector, is_aimed_at_user
from security.detectors import CHARGED_ALONE, CHARGED_WITH_OWN, Facts, Tuning, Windows
from security.models import Block, Finding, SecurityEvent
from tests.security.conftest import Teller, later

Detect = Callable[..., dict[str, Any]]
INNOCENT = "192.168.20."
PEOPLE = 30


def success(teller: Teller, user: str, ip: str, seconds: float) -> dict[str, Any]:
    return {"event_type": "auth_success", "user_id": user, "source_ip": ip, "at_ms": teller.at(seconds)}


def mistyped(teller: Teller, detect: Detect | None = None) -> None:
    """Let thirty people mistype once or twice within five minutes and then sign in."""
    for n in range(PEOPLE):
        user, ip, began = f"person{n}", f"{INNOCENT}{n + 10}", -290 + 9.5 * n
        teller.tell(*(teller.failure(user=user, ip=ip, seconds=began + each) for each in range(1 + n % 2)))
        if detect:
            detect()
        teller.tell(success(teller, user, ip, began + 8))


def stuffing(teller: Teller, rounds: int = 1) -> None:
    for each in range(rounds):
        teller.tell(*(
            teller.failure(user=f"member{n}", ip=f"10.1.0.{n}", seconds=-40 + 4 * each + n / 20) for n in range(40)
        ))  # fmt: skip


def assert_nobody_innocent_is_accused() -> None:
    seen = SecurityEvent.objects.filter(source_ip__startswith=INNOCENT, signal="failure")
    assert seen.count() >= PEOPLE
    assert not seen.filter(threat_score__gte=0.7).exists()
    assert not Finding.objects.filter(source_ip__startswith=INNOCENT, score__gte=0.7).exists()
    assert not Block.objects.filter(value__startswith=INNOCENT).exists()


def cases() -> dict[str, Any]:
    return {" ".join(case.labels.values()): case for case in asked.ask({}, 300, later(30))}


@pytest.mark.parametrize("at_once", [False, True])
def test_people_who_mistype_on_a_busy_site_are_no_attack(teller: Teller, detect: Detect, *, at_once: bool) -> None:
    mistyped(teller, detect if at_once else None)
    assert max(detect().values(), default=0) < 0.7
    assert cases() == {}
    assert_nobody_innocent_is_accused()


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("at_once", [False, True])
def test_during_credential_stuffing_people_who_mistype_are_not_accused(
    teller: Teller, detect: Detect, rounds: int, *, at_once: bool
) -> None:
    stuffing(teller, rounds)
    mistyped(teller, detect if at_once else None)
    detect()
    assert_nobody_innocent_is_accused()
    assert cases()["credential_stuffing"].severity == "critical"
    assert not Block.objects.exists()


def test_during_spraying_and_brute_force_only_the_attackers_are_kept_out(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(user=f"person{n}", ip="10.0.0.105", seconds=-60 + n / 10) for n in range(40)))
    teller.tell(*(teller.failure(seconds=-50 + n / 10) for n in range(15)))
    mistyped(teller)
    detect()
    assert_nobody_innocent_is_accused()
    assert set(Block.objects.values_list("value", flat=True)) == {"10.0.0.100", "10.0.0.105"}
    assert {name: case.severity for name, case in cases().items()} == {
        "10.0.0.100": "critical", "10.0.0.105": "critical",
    }  # fmt: skip


def test_whose_account_is_attacked_may_mistype_too(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(ip=f"10.2.0.{n % 30}", seconds=-60 + n / 10) for n in range(90)))
    teller.tell(teller.failure(ip=f"{INNOCENT}5"), success(teller, "admin", f"{INNOCENT}5", 3))
    detect(now=later(5))
    (finding,) = Finding.objects.filter(source_ip=f"{INNOCENT}5")
    assert (finding.score, finding.attack_score, finding.band) == (CHARGED_ALONE, 1.0, "medium")
    assert finding.reasons[-1]["code"] == "own_evidence"
    assert not Block.objects.exists()
    assert cases()["distributed_brute_force"].value == 1.0


def test_an_address_that_did_something_itself_is_charged_with_more_and_blocked_only_for_that(
    teller: Teller, detect: Detect
) -> None:
    stuffing(teller)
    teller.tell(*(teller.failure(user="member1", ip="10.1.0.1", seconds=-20 + n) for n in range(4)))
    teller.tell(*(teller.failure(user="member2", ip="10.1.0.2", seconds=-20 + n) for n in range(11)))
    detect()
    worst = Finding.objects.filter(detector="credential_stuffing", source_ip="10.1.0.1").order_by("-score")[0]
    assert worst.score == CHARGED_WITH_OWN
    assert [block.value for block in Block.objects.all()] == ["10.1.0.2"]
    assert Block.objects.get().reason.startswith("Brute force: ")


def test_an_address_is_not_blocked_for_requests_others_made_in_its_users_name(teller: Teller, detect: Detect) -> None:
    teller.tell(teller.flood(user="bob", ip="10.0.0.102"))
    request = teller.flood(user="bob", ip=f"{INNOCENT}5")
    teller.tell({**request, "details": {**request["details"], "count": 1}})
    detect(now=later(1))
    assert [block.value for block in Block.objects.all()] == ["10.0.0.102"]


@pytest.mark.parametrize("tries", range(1, 16))
def test_no_attack_of_others_lowers_what_a_pair_always_scored(tries: int) -> None:
    counted = Windows(pair=tries, user=90, address=tries, addresses_of_user=30, strangers=100)
    hits = {hit.detector: hit for hit in detectors.windowed(Facts("x", "failure", "u", "192.0.2.1"), counted, Tuning())}
    assert hits[Detector.BRUTE_FORCE].score.value == (0.1, 0.4, 0.7, 1.0)[(tries > 3) + (tries > 5) + (tries > 10)]
    assert max(hits[Detector.STUFFING].score.value, hits[Detector.DISTRIBUTED].score.value) <= CHARGED_WITH_OWN
    assert not hits[Detector.STUFFING].blames


@pytest.mark.parametrize(
    ("event_type", "signal", "endpoint", "aimed"),
    [
        ("auth_failure", "failure", "", True), ("api_request", "request", "/api/login", True),
        ("api_request", "request", "/v1/sign-in/", True), ("password_spraying", "other", "", True),
        ("api_request", "request", "/api/search", False), ("sql_injection_attempt", "other", "/authors", False),
    ],
)  # fmt: skip
def test_who_only_tries_to_sign_in_has_not_shown_to_be_the_user(
    event_type: str, signal: str, endpoint: str, *, aimed: bool
) -> None:
    assert is_aimed_at_user(event_type, signal, endpoint) is aimed
