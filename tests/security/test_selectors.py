"""What the pages read."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from security import selectors, services
from security.models import DetectorPulse, EnforcerPull, Finding, SecurityEvent
from tests.security.conftest import Teller, later

Detect = Callable[..., dict[str, Any]]
QUERIES = 20


@pytest.fixture
def attacked(teller: Teller, detect: Detect) -> Teller:
    """Return the sender after a brute force, an injection and some ordinary traffic."""
    teller.tell(*(teller.failure(seconds=-20 + n / 10) for n in range(15)), teller.request("'; DROP TABLE users; --"))
    teller.tell(*({"event_type": "api_request", "user_id": "ann", "details": {"path": "/"}} for _ in range(5)))
    detect(now=later(1))
    return teller


def test_the_overview_tells_what_happened(attacked: Teller) -> None:
    seen = selectors.overview(None, now=later(2), window_seconds=3600)
    assert (seen.posture.worst, seen.posture.critical, seen.posture.ever) == ("critical", seen.bands["critical"], True)
    assert sum(bucket.total for bucket in seen.timeline) == sum(seen.bands.values()) == 16
    assert [row.event_type for row in seen.heat] == ["auth_failure", "sql_injection_attempt"]
    assert all(len(row.cells) == len(seen.timeline) for row in seen.heat)
    top = seen.top_addresses[0]
    assert (top.value, top.worst, top.blocked) == ("10.0.0.100", 1.0, True)
    assert top.present is not None
    assert 0.9 < top.present <= 1.0
    assert (seen.top_users[0].value, seen.top_endpoints[0].value) == ("admin", "/api/login")
    assert seen.latest[0].reasons
    assert "10.0.0.100" in [block.value for block in seen.active]
    assert {fired.detector for fired in seen.health.fired} == {"brute_force", "sql_injection"}
    assert seen.health.latency_p95_ms is not None


def test_the_overview_of_nothing_is_empty_and_says_so(db: None) -> None:
    seen = selectors.overview(None, now=later(0))
    assert (seen.posture.ever, seen.posture.worst, seen.heat, seen.latest) == (False, "", [], [])
    assert (seen.health.waiting, seen.health.latency_p95_ms, seen.health.last_ran_at) == (0, None, None)
    services.pulse(hand="celery", now=later(0))
    assert selectors.overview(None, now=later(1)).health.last_ran_at == DetectorPulse.objects.get().at


@pytest.mark.parametrize("window_seconds", [60, 3600, 86_400, 7 * 86_400, 30 * 86_400])
def test_the_overview_takes_a_bounded_number_of_queries(attacked: Teller, window_seconds: int) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        seen = selectors.overview(None, now=later(2), window_seconds=window_seconds)
    assert len(asked) <= QUERIES
    assert len(seen.timeline) <= 48


def test_what_waits_is_counted_with_its_age(teller: Teller) -> None:
    teller.tell(teller.failure(), teller.failure())
    health = selectors.detector_health(now=later(30))
    assert health.waiting == 2
    assert 29 < health.lag_seconds < 60
    assert health.rate_per_second == pytest.approx(2 / 60)


def test_pages_of_findings_follow_one_another_without_gaps(attacked: Teller) -> None:
    found: list[int] = []
    cursor = ""
    while True:
        page = selectors.findings_page(None, cursor=cursor, limit=4)
        found += [finding.pk for finding in page.findings]
        cursor = page.next_cursor
        if not cursor:
            break
    assert found == list(Finding.objects.order_by("-pk").values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"detector": "sql_injection"}, 1), ({"band": "critical", "user": "admin"}, 5),
        ({"ip": "10.0.0.100", "user": "admin"}, 12),
        ({"ip": "no address"}, 0), ({"ip": "fe80::1%eth0"}, 0),
        ({"event_type": "auth_failure"}, 12), ({"since": later, "band": "critical"}, 0),
    ],
)  # fmt: skip
def test_findings_are_chosen_by_what_one_asks(attacked: Teller, asked: dict[str, Any], count: int) -> None:
    given = {name: value(60) if callable(value) else value for name, value in asked.items()}
    assert len(selectors.findings_page(None, **given).findings) == count


def test_an_event_comes_with_its_findings_the_worst_first(attacked: Teller) -> None:
    event = SecurityEvent.objects.filter(band="critical", user_id="admin")[0]
    shown = selectors.event_detail(None, event.pk)
    assert shown is not None
    assert [finding.detector for finding in shown.findings.all()] == ["brute_force"]
    assert (selectors.event_detail(None, 0), selectors.event_detail(None, 2**63)) == (None, None)
    assert len(selectors.events_page(None, user="admin").events) == 15


def test_a_threat_decays_and_a_later_low_finding_erases_nothing(teller: Teller, detect: Detect) -> None:
    teller.tell(teller.flood(user="admin"))
    detect(now=later(2))
    fresh = selectors.threat_of("user_id", "admin", now=later(2))
    teller.tell({"event_type": "configuration_change", "user_id": "admin"})
    detect(now=later(3))
    assert fresh > 0.99
    assert selectors.threat_of("user_id", "admin", now=later(3)) > 0.99
    assert selectors.threat_of("user_id", "admin", now=later(3600)) == pytest.approx(0.5, abs=0.02)
    assert selectors.threat_of("source_ip", "10.0.0.102", now=later(7200)) == pytest.approx(0.25, abs=0.02)
    assert selectors.threat_of("user_id", "nobody", now=later(3)) == 0.0


def test_whose_password_is_tried_is_a_target_and_never_a_threat(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=-20 + n / 10) for n in range(15)))
    teller.tell(*(teller.failure(user=f"user{n}", ip="10.0.0.105", seconds=-10 + n / 10) for n in range(40)))
    teller.tell(teller.flood(user="admin", endpoint="/api/login"), teller.flood(user="mallory"))
    detect(now=later(1))
    assert [threat.value for threat in selectors.threat_scores("user_id", now=later(1))] == ["mallory"]
    assert selectors.threat_of("source_ip", "10.0.0.100", now=later(1)) > 0.99
    top = selectors.overview(None, now=later(2)).top_users
    assert (top[0].value, top[0].target, top[0].present) == ("mallory", False, pytest.approx(1.0, abs=0.01))
    assert {(row.target, row.present) for row in top[1:]} == {(True, 0.0)}
    assert "admin" in {row.value for row in top[1:]}


def test_an_attack_of_many_addresses_is_in_the_posture(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(user=f"user{n}", ip=f"10.1.0.{n}", seconds=-10 + n / 10) for n in range(40)))
    detect(now=later(1))
    posture = selectors.overview(None, now=later(2)).posture
    assert (posture.worst, posture.attack, posture.critical, posture.high) == ("critical", "critical", 0, 0)
    assert posture.medium > 0


def test_an_enforcer_is_current_while_it_has_the_list_of_now(attacked: Teller) -> None:
    given = selectors.block_list(now=later(1))
    services.pulled(token=None, name="edge-1", given=given, now=later(1))
    services.pulled(token=None, name="edge-1", given=given, now=later(3))
    (edge,) = selectors.enforcers(now=later(4))
    assert (edge.name, edge.current, round(edge.seconds_ago)) == ("edge-1", True, 1)
    assert EnforcerPull.objects.get().first_at < EnforcerPull.objects.get().pulled_at
    assert selectors.enforcers(now=later(7200))[0].current is False
