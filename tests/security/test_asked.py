"""The rule kind over findings, alone and through the evaluator."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from aivillage_console.lib import clock
from alerts.models import Alert, Rule
from alerts.services import ensure_defaults, evaluate_due
from security import asked
from security.models import Finding
from tests.security.conftest import Teller, later

Detect = Callable[..., dict[str, Any]]


def cases(spec: Mapping[str, Any] | None = None, window_seconds: int = 300, seconds: float = 30) -> list[Any]:
    return asked.ask(spec or {}, window_seconds, later(seconds))


@pytest.fixture
def attacked(teller: Teller, detect: Detect) -> Teller:
    """Return the sender after a brute force from one address and an injection from another."""
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(15)), teller.request("'; DROP TABLE users; --"))
    detect(now=later(5))
    return teller


def test_each_attacker_is_one_case(attacked: Teller) -> None:
    found = {case.labels["source_ip"]: case for case in cases()}
    assert set(found) == {"10.0.0.100", "10.0.0.101"}
    brute = found["10.0.0.100"]
    assert (brute.labels, brute.value, brute.severity) == ({"source_ip": "10.0.0.100"}, 1.0, "critical")
    assert [one["name"] for one in brute.evidence["detectors"]] == ["Brute force"]
    assert brute.evidence["count"] == 10
    assert len(brute.evidence["findings"]) == asked.SHOWN
    assert brute.evidence["findings"][0]["reasons"]
    assert brute.evidence["first_seen"] < brute.evidence["last_seen"]


def test_the_summary_says_it_in_plain_words(attacked: Teller) -> None:
    summary = next(case for case in cases() if case.labels["source_ip"] == "10.0.0.100").annotations["summary"]
    assert summary.startswith("Brute force from 10.0.0.100 against admin at /api/login: ")
    assert "15 failed tries" in summary


def test_a_past_time_gives_the_past_answer(attacked: Teller) -> None:
    assert cases(seconds=-60) == []
    assert cases(seconds=3600) == []


@pytest.mark.parametrize(
    ("spec", "labels"),
    [
        ({"detectors": ["sql_injection"]}, [{"source_ip": "10.0.0.101"}]),
        (
            {"detectors": ["sql_injection"], "group_by": ["detector", "source_ip"]},
            [{"detector": "sql_injection", "source_ip": "10.0.0.101"}],
        ),
        ({"event_types": ["auth_failure"], "group_by": ["user_id"]}, [{"user_id": "admin"}]),
        ({"event_types": ["nothing_like_it"]}, []),
        ({"group_by": ["endpoint"]}, [{"endpoint": "/api/login"}, {"endpoint": "/api/search"}]),
    ],
)
def test_a_spec_chooses_and_groups(attacked: Teller, spec: dict[str, Any], labels: list[dict[str, str]]) -> None:
    assert sorted((case.labels for case in cases(spec)), key=str) == labels


def test_a_lower_least_score_finds_more(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(5)))
    detect(now=later(5))
    assert cases() == []
    assert [case.severity for case in cases({"min_score": 0.3})] == ["low"]


def test_stuffing_from_forty_addresses_is_one_case(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(user=f"user{n}", ip=f"10.1.0.{n}", seconds=n / 10) for n in range(40)))
    detect(now=later(10))
    (case,) = cases()
    assert (case.labels, case.severity, case.value) == ({"detector": "credential_stuffing"}, "critical", 0.9)
    assert case.annotations["summary"].startswith("Credential stuffing from ")
    assert "addresses against" in case.annotations["summary"]


def test_what_else_an_attacker_does_joins_his_alert_and_is_named_in_it(teller: Teller, detect: Detect) -> None:
    flood = {"endpoint": "/api/login", "count": 14}
    teller.tell(*(teller.failure(seconds=n / 10) for n in range(15)))
    teller.tell({"event_type": "api_request", "user_id": "admin", "source_ip": "10.0.0.100", "details": flood})
    teller.tell(teller.request("'; DROP TABLE users; --", ip="10.0.0.100"))
    detect(now=later(5))
    (case,) = cases()
    assert case.labels == {"source_ip": "10.0.0.100"}
    assert [one["name"] for one in case.evidence["detectors"]] == ["Brute force", "SQL injection", "Rate limit"]
    assert case.annotations["summary"].startswith("Brute force, SQL injection and rate limit from 10.0.0.100 against ")
    assert case.annotations["summary"].endswith(": 15 failed tries by one user from one address (score 1.00)")
    assert "Found: Brute force 1.00, SQL injection 1.00, Rate limit 0.70. " in case.annotations["description"]


def test_users_tried_from_many_addresses_are_one_case_of_their_detector(teller: Teller, detect: Detect) -> None:
    for user in ("admin", "root"):
        teller.tell(*(teller.failure(user=user, ip=f"10.2.0.{n}", seconds=n / 10) for n in range(12)))
    detect(now=later(10))
    (case,) = cases({"detectors": ["distributed_brute_force"]})
    assert (case.labels, case.severity) == ({"detector": "distributed_brute_force"}, "critical")
    assert (case.evidence["users"], case.evidence["addresses"]) == (2, 7)


def test_without_an_address_the_user_tells_attacks_apart(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(user="bob", ip="", count=30), teller.failure(user="eve", ip="", count=30)))
    detect(now=later(5))
    assert sorted(case.labels["user_id"] for case in cases()) == ["bob", "eve"]
    assert {tuple(case.labels) for case in cases()} == {("user_id",)}


def test_without_address_and_user_the_detector_tells_attacks_apart(teller: Teller, detect: Detect) -> None:
    teller.tell(teller.request("'; DROP TABLE users; --", ip=""))
    detect(now=later(5))
    assert [case.labels for case in cases({"min_score": 0.6})] == [{"detector": "sql_injection"}]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"min_score": 1.5}, "min_score"),
        ({"min_score": True}, "min_score"),
        ({"detectors": ["none"]}, "detectors"),
        ({"detectors": "brute_force"}, "detectors"),
        ({"group_by": ["password"]}, "group_by"),
        ({"group_by": []}, "group_by"),
        ({"event_types": [1]}, "event_types"),
    ],
)
def test_a_bad_spec_is_named(spec: dict[str, Any], field: str) -> None:
    assert list(asked.problems(spec)) == [field]


def test_the_default_spec_has_no_problem() -> None:
    assert asked.problems({"min_score": 0.7, "group_by": ["source_ip"]}) == {}


@pytest.mark.django_db(transaction=True)
def test_an_attack_becomes_an_alert_without_waiting_for_the_grid(teller: Teller, detect: Detect) -> None:
    ensure_defaults(now=clock.now())
    evaluate_due(hand="test")
    teller.tell(*(teller.failure(seconds=-5 + n / 10) for n in range(15)))
    detect()
    evaluate_due(hand="test")
    alert = Alert.objects.get(name="security_threat_detected")
    assert (alert.state, alert.severity) == ("firing", "critical")
    assert alert.labels == {"source_ip": "10.0.0.100", "component": "security", "category": "security"}
    assert alert.evidence["facts"]["count"] == Finding.objects.filter(score__gte=0.7).count()


def test_the_shipped_rules_are_in_a_group_of_five_seconds(db: None) -> None:
    ensure_defaults(now=clock.now())
    rules = Rule.objects.filter(group__name="security", group__interval_seconds=5)
    assert set(rules.values_list("name", flat=True)) == {
        "security_threat_detected", "HighThreatScore", "AuthenticationFailureSpike", "SlowSecurityDetection",
    }  # fmt: skip
