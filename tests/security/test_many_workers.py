"""Several workers at once, and hands that die: every event is looked at once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from aivillage_console.lib import clock
from security import services
from security.models import Block, Finding, SecurityEvent
from security.services import claims, detect
from tests.security.conftest import Teller, later

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 4


def together(work: Callable[[], object], hands: int = WORKERS) -> list[Exception]:
    """Run the same in several threads with connections of their own; return what went wrong."""
    wrong: list[Exception] = []
    start = threading.Barrier(hands)

    def hand() -> None:
        try:
            start.wait()
            work()
        except (OperationalError, AssertionError) as error:
            wrong.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=hand) for _ in range(hands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


@pytest.fixture
def flooded(teller: Teller) -> Teller:
    """Return the sender after six hundred tries by thirty addresses on the same users."""
    teller.tell(*(teller.failure(user=f"u{n % 3}", ip=f"10.5.0.{n % 30}", seconds=-10 + n / 100) for n in range(600)))
    return teller


def test_several_workers_look_at_each_event_once_and_never_in_a_circle(flooded: Teller) -> None:
    wrong = together(lambda: services.detect_due(hand="test"))
    assert wrong == []
    assert not SecurityEvent.objects.filter(detected_at=None).exists()
    assert SecurityEvent.objects.exclude(attempts=1).count() == 0
    events = Finding.objects.values("event", "detector")
    assert events.count() == events.distinct().count()
    assert SecurityEvent.objects.get(pk=SecurityEvent.objects.order_by("-at")[0].pk).threat_score == 1.0
    assert Block.objects.count() == Block.objects.values("value").distinct().count() > 0


def test_a_claim_takes_nothing_that_another_has(flooded: Teller) -> None:
    taken: list[int] = []
    lock = threading.Lock()

    def take() -> None:
        _, rows = claims.claim(now=later(1))
        with lock:
            taken.extend(row.pk for row in rows)

    assert together(take) == []
    assert len(taken) == len(set(taken)) == WORKERS * claims.BATCH


def test_a_hand_that_slept_through_its_lease_changes_nothing(flooded: Teller) -> None:
    token, events = claims.claim(now=clock.now())
    seen_by_the_next = claims.claim(now=later(11))[1]
    assert {row.pk for row in seen_by_the_next} != set()
    SecurityEvent.objects.filter(pk__in=[event.pk for event in events]).update(lease_token=None)
    assert detect.detect_batch(token, events) == 0
    assert Finding.objects.count() == 0


def test_a_batch_that_cannot_be_stored_keeps_its_good_events(teller: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    teller.tell(*(teller.failure(seconds=-1) for _ in range(6)))
    poisoned = SecurityEvent.objects.order_by("-pk")[0].pk
    real = detect._finding

    def finding(event: SecurityEvent, hit: Any, now: Any) -> Finding:
        made = real(event, hit, now)
        if event.pk == poisoned:
            made.key = "\0"
        return made

    monkeypatch.setattr(detect, "_finding", finding)
    services.detect_due(hand="test")
    assert not SecurityEvent.objects.filter(detected_at=None).exists()
    assert "cannot be stored" in SecurityEvent.objects.get(pk=poisoned).last_error
    assert Finding.objects.count() == 2


def test_the_sweeper_leaves_a_burst_to_those_who_are_at_it_until_it_is_late(flooded: Teller) -> None:
    claims.claim(now=clock.now())
    assert services.sweep_due(hand="sweeper") is True
    assert not SecurityEvent.objects.exclude(detected_at=None).exists()
    SecurityEvent.objects.filter(lease_token=None).update(due_at=later(-4))
    services.sweep_due(hand="sweeper")
    assert SecurityEvent.objects.exclude(detected_at=None).count() == 600 - claims.BATCH
