"""Retention, decay of the shown figures, and the doors of Celery and the sweeper."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from aivillage_console.lib import clock
from alerts.sweeping import WATCHES, Sweeper
from security import measures, services, tasks
from security.models import Block, DetectorPulse, Finding, SecurityEvent
from security.services import detect as detection
from tests.security.conftest import Teller, later

Detect = Callable[..., dict[str, Any]]
DAY = 86_400


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("days", "left"), [(89, ["critical", "high", "low", "medium"]), (91, ["critical", "high"]), (366, ["critical"])]
)
def test_critical_events_stay_and_the_others_go_in_their_time(teller: Teller, days: int, left: list[str]) -> None:
    teller.tell(*(teller.failure() for _ in range(4)))
    for event, band in zip(SecurityEvent.objects.all(), ("critical", "high", "medium", "low"), strict=True):
        SecurityEvent.objects.filter(pk=event.pk).update(band=band, detected_at=clock.now(), threat_score=0.5)
        Finding.objects.create(event=event, detector="xss", score=0.5, band=band, at=event.at, found_at=event.at)
    services.retain(now=later(days * DAY))
    assert sorted(SecurityEvent.objects.values_list("band", flat=True)) == left
    assert Finding.objects.count() == len(left)


def test_retention_takes_a_bounded_batch_and_leaves_blocks_standing(teller: Teller, detect: Detect) -> None:
    teller.tell(*(teller.failure(seconds=n / 100) for n in range(12)))
    detect(now=later(2))
    SecurityEvent.objects.update(band="low")
    services.retain(now=later(100 * DAY), batch=5)
    assert SecurityEvent.objects.count() == 7
    services.upkeep(now=later(100 * DAY))
    assert (SecurityEvent.objects.count(), Block.objects.get().finding) == (0, None)


def test_what_nobody_looked_at_is_never_dropped(teller: Teller) -> None:
    teller.tell(teller.failure())
    assert services.retain(now=later(1000 * DAY)) == 0


def test_the_shown_threat_of_a_user_decays_to_nothing(teller: Teller, detect: Detect) -> None:
    teller.tell(teller.flood(user="decaying"), teller.failure(user="tried", count=11))
    detect()
    services.upkeep(now=later(1))
    assert REGISTRY.get_sample_value("threat_score_current", {"user_id": "tried"}) is None
    assert sample("threat_score_current", user_id="decaying") > 0.9
    services.upkeep(now=later(3600))
    assert sample("threat_score_current", user_id="decaying") < 0.6
    services.upkeep(now=later(9 * 3600))
    assert sample("threat_score_current", user_id="decaying") == 0.0


@pytest.mark.django_db(transaction=True)
def test_events_and_failures_are_counted_once_with_known_labels(teller: Teller, detect: Detect) -> None:
    before = sample("security_events_total", event_type="other", severity="low")
    teller.tell({"event_type": "invented_type", "user_id": "x"}, teller.failure(user="counted", count=3))
    detect()
    assert sample("security_events_total", event_type="other", severity="low") == before + 1
    labels = {"user_id": "counted", "source_ip": "10.0.0.100", "reason": "bad password"}
    assert sample("auth_failures_total", **labels) == 3


def test_an_attacker_who_invents_users_makes_no_series_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MOST_PEOPLE", 2)
    known = measures._Known()
    assert [known.label(f"u{n}") for n in range(4)] == [("u0",), ("u1",), (measures.OTHERS,), (measures.OTHERS,)]
    assert known.label("u1") == ("u1",)


def test_labels_can_be_hashed(settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, security_hash_labels=True)
    measures.show_threat("somebody@example.org", 0.5)
    texts = [sample.labels.get("user_id", "") for family in REGISTRY.collect() for sample in family.samples]
    assert "somebody@example.org" not in texts


@pytest.mark.django_db(transaction=True)
def test_the_task_looks_at_what_is_due_and_notes_that_it_ran(teller: Teller) -> None:
    teller.tell(teller.failure())
    tasks.detect()
    tasks.maintain()
    assert SecurityEvent.objects.get().detected_at is not None
    assert DetectorPulse.objects.get().hand == "celery"


@pytest.mark.django_db(transaction=True)
def test_the_sweeper_takes_what_nobody_took(teller: Teller) -> None:
    teller.tell(teller.failure())
    watch = WATCHES.get("detect")
    assert watch is not None
    Sweeper([watch]).round()
    assert SecurityEvent.objects.get().detected_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_threat_is_shown_as_soon_as_it_is_found(
    teller: Teller, detect: Detect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detection, "SHOWN_EVERY_SECONDS", 0.0)
    teller.tell({"event_type": "configuration_change", "user_id": "insider"}, teller.failure(user="tried", count=11))
    detect()
    assert 0.4 < sample("threat_score_current", user_id="insider") < 0.6
    teller.tell(teller.flood(user="insider"))
    detect()
    assert sample("threat_score_current", user_id="insider") > 0.9
    assert REGISTRY.get_sample_value("threat_score_current", {"user_id": "tried"}) is None
