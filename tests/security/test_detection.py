"""What the detectors find, over stored rows."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from security.detectors import CHARGED_ALONE
from security.models import Finding, SecurityEvent
from security.services import claims
from tests.security.conftest import Teller, later, scores

Detect = Callable[..., dict[str, Any]]
SIMULATED = (
    "'; DROP TABLE users; --", "' OR '1'='1", "' UNION SELECT password FROM users --", "1' AND 1=1 --", "admin'--",
    "' OR 1=1#",
)  # fmt: skip


def test_the_scores_of_fifteen_tries_climb_as_they_always_did(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(15)))
    detect(now=later(5))
    assert scores() == [0.1] * 3 + [0.4] * 2 + [0.7] * 5 + [1.0] * 5
    assert SecurityEvent.objects.filter(band="critical").count() == 5
    assert Finding.objects.filter(detector="brute_force").count() == 12


def test_one_row_may_stand_for_many_tries(teller: Teller, detect: Detect) -> None:
    teller.tell(teller.failure(count=11))
    assert detect() == {"brute_force": 1.0}


def test_tries_of_more_than_five_minutes_ago_are_forgotten(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=-400 - n) for n in range(10)), teller.failure())
    detect()
    assert scores()[-1] == 0.1


def test_tries_at_the_same_instant_are_counted_one_by_one(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure() for _ in range(11)))
    detect()
    assert sorted(score or 0 for score in scores())[-2:] == [0.7, 1.0]


def test_many_users_of_one_address_are_spraying(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(user=f"user{n}", seconds=n / 10) for n in range(40)))
    assert detect(now=later(10))["password_spraying"] >= 0.9


def test_many_users_each_from_an_address_of_its_own_are_stuffing(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(user=f"user{n}", ip=f"10.1.0.{n}", seconds=n / 10) for n in range(40)))
    assert detect(now=later(10))["credential_stuffing"] == CHARGED_ALONE
    assert max(Finding.objects.values_list("attack_score", flat=True)) == 0.9


def test_users_who_then_sign_in_are_no_stuffing(teller: Teller, detect: Detect) -> None:
    for n in range(40):
        success = {"event_type": "auth_success", "user_id": f"user{n}", "source_ip": f"10.1.0.{n}"}
        teller.tell(teller.failure(user=f"user{n}", ip=f"10.1.0.{n}", seconds=-1), success)
    assert detect() == {}


def test_one_user_tried_from_many_addresses_is_found(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(ip=f"10.2.0.{n}", seconds=n / 10) for n in range(12)))
    assert detect(now=later(10))["distributed_brute_force"] == CHARGED_ALONE
    assert max(Finding.objects.values_list("attack_score", flat=True)) >= 0.9


def test_a_slow_brute_force_is_found_in_six_hours(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=-240 * n) for n in range(90)))
    assert detect()["slow_brute_force"] >= 0.7


@pytest.mark.parametrize("text", SIMULATED)
def test_each_payload_of_the_simulator_is_found(teller: Teller, detect: Detect, text: str) -> None:
    teller.tell(teller.request(text))
    assert max(detect().values()) >= 0.7


@pytest.mark.parametrize("key", ["input_data", "query", "path", "body"])
def test_a_text_is_read_wherever_it_stands_and_whatever_the_event_is_called(
    teller: Teller, detect: Detect, key: str
) -> None:
    teller.tell({"event_type": "something_new", "details": {key: "'; DROP TABLE users; --"}})
    assert max(detect().values()) >= 0.6


def test_a_flood_of_requests_is_critical_from_three_times_the_base(teller: Teller, detect: Detect) -> None:
    for burst in range(5):
        for ip in ("10.0.0.102", "10.0.0.103", "10.0.0.104"):
            details = {"endpoint": "/api/login", "count": 100, "user_agent": "AttackBot/2.0"}
            row = {"event_type": "api_request", "user_id": f"bot_{ip}", "source_ip": ip, "details": details}
            teller.tell({**row, "at_ms": teller.at(burst)})
    detect(now=later(10))
    assert set(scores()) == {1.0}


@pytest.mark.parametrize(("count", "score"), [(30, 0.0), (31, 0.4), (61, 0.7), (91, 1.0)])
def test_the_rate_limit_scores_as_it_always_did(teller: Teller, detect: Detect, count: int, score: float) -> None:
    details = {"endpoint": "/api/things", "count": count}
    teller.tell({"event_type": "api_request", "user_id": "bob", "details": details})
    detect()
    assert scores() == [score]


def test_an_innocent_day_finds_nothing(teller: Teller, detect: Detect) -> None:
    for n in range(60):
        user, ip = f"user{n % 12}", f"10.3.0.{n % 12}"
        teller.tell(
            {"event_type": "auth_success", "user_id": user, "source_ip": ip, "at_ms": teller.at(-60 * n)},
            {
                "event_type": "api_request", "user_id": user, "source_ip": ip, "at_ms": teller.at(-60 * n),
                "details": {"path": "/api/search", "query": "the union select committee", "count": 2},
            },
        )  # fmt: skip
    teller.tell(teller.failure(user="user1", ip="10.3.0.1"), teller.failure(user="user2", ip="10.3.0.2"))
    assert [value for value in detect().values() if value >= 0.5] == []


def test_an_unknown_type_is_kept_with_a_score_of_nothing(teller: Teller, detect: Detect) -> None:
    teller.tell({"event_type": "never_heard_of", "user_id": "bob"})
    assert detect() == {}
    assert scores() == [0.0]


@pytest.mark.parametrize(
    ("event_type", "details", "detector"),
    [
        ("high_risk_tool_usage", {"tool_name": "bash", "arguments": "ls"}, "tool_use"),
        ("anything", {"tool_name": "search", "arguments": {"command": "sudo reboot"}}, "tool_use"),
        ("suspicious_command", {}, "tool_use"),
        ("privilege_escalation", {}, "event_kind"),
        ("anomalous_behavior", {"operation": "admin", "failed_operations": 9}, "anomalous_behavior"),
    ],
)
def test_what_an_event_says_by_itself_is_scored(
    teller: Teller, detect: Detect, event_type: str, details: dict[str, Any], detector: str
) -> None:
    teller.tell({"event_type": event_type, "user_id": "bob", "details": details})
    assert detect()[detector] >= 0.7


def test_a_finding_carries_its_reasons(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(6)))
    detect(now=later(5))
    worst = Finding.objects.order_by("-score", "-pk")[0]
    assert worst.reasons[0]["code"] == "brute_force_pair"
    assert "6 failed tries" in worst.reasons[0]["text"]
    assert (worst.band, worst.user_id, worst.source_ip) == ("high", "admin", "10.0.0.100")


def test_a_stricter_threshold_finds_earlier(teller: Teller, detect: Detect, settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, brute_force_threshold=2)
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(5)))
    assert detect(now=later(5)) == {"brute_force": 1.0}


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_too_long_is_left_alone_with_the_reason(teller: Teller, detect: Detect) -> None:
    teller.tell(teller.request("harmless"), teller.failure())
    SecurityEvent.objects.filter(event_type="sql_injection_attempt").update(details={"input_data": "x" * 70_000})
    detect()
    poisoned = SecurityEvent.objects.get(event_type="sql_injection_attempt")
    assert "65536" in poisoned.last_error
    assert (REGISTRY.get_sample_value("console_detection_skipped_total", {"reason": "size"}) or 0) >= 1
    assert poisoned.detected_at is not None
    assert SecurityEvent.objects.filter(detected_at=None).count() == 0


def test_an_event_that_ended_every_hand_is_left_alone(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure() for _ in range(11)))
    SecurityEvent.objects.filter(pk=SecurityEvent.objects.order_by("pk")[0].pk).update(attempts=5)
    detect()
    assert "never ended" in SecurityEvent.objects.order_by("pk")[0].last_error
    assert SecurityEvent.objects.filter(detected_at=None).count() == 0


def test_what_a_dead_hand_had_claimed_is_done_once_after_its_lease(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure() for _ in range(11)))
    token, events = claims.claim(now=later(1))
    assert len(events) == 11
    assert detect(now=later(2)) == {}
    assert detect(now=later(12)) == {"brute_force": 1.0}
    late = claims.finish(token, [claims.Verdict(event.pk, 0.0, "low") for event in events], now=later(13))
    assert late == set()
    assert Finding.objects.count() == 8
