"""A channel that says nothing holds four slots, and delays nobody else."""

import threading
import time
from dataclasses import dataclass, field

import pytest

from aivillage_console.lib import clock
from alerts.models import Notification
from alerts.services import dispatch_due
from alerts.services.claims import SLOTS_PER_CHANNEL
from tests.alerts.conftest import Letterbox, channel_at, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Gate:
    """Holds back the answers of one host and counts how many wait at once."""

    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0
    most: int = 0
    healthy: int = 0
    healthy_while_held: int = 0

    def answer_of(self, channel: str) -> None:
        if channel == "healthy":
            with self.lock:
                self.healthy += 1
                self.healthy_while_held += not self.released.is_set()
                if self.healthy == 10:
                    self.released.set()
            return
        with self.lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.released.wait(3)
        time.sleep(0.02)
        with self.lock:
            self.waiting -= 1


def test_a_silent_receiver_holds_four_slots_and_the_healthy_one_is_served_meanwhile(letterbox: Letterbox) -> None:
    silent, healthy = channel_at(letterbox.url, "silent"), channel_at(letterbox.url, "healthy")
    policy_with((0, [silent]), name="silent", triggers=[{"team": "silent"}])
    policy_with((0, [healthy]), name="healthy", triggers=[{"team": "healthy"}])
    now = clock.now()
    for team in ("silent", "healthy"):
        for number in range(10):
            fire(f"{team}{number}", now=now, labels={"team": team})
    gate = Gate()
    letterbox.answer_to = lambda message: gate.answer_of(message["labels"]["team"])
    dispatch_due(hand="celery")
    assert gate.most == SLOTS_PER_CHANNEL
    assert gate.healthy_while_held >= 9
    assert Notification.objects.filter(state="done").count() == 20
