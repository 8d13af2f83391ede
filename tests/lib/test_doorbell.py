"""A ring goes out after the commit, and a broker that is away costs latency and nothing else."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from django.conf import settings as configured
from django.db import transaction

from aivillage_console.lib import doorbell

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker() -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(configured.CELERY_BROKER_URL)
    client.delete("dispatch")
    yield client
    client.delete("dispatch")
    client.close()


def test_a_transaction_rings_once_and_only_after_its_commit(broker: "redis.Redis", settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=True)
    with transaction.atomic():
        doorbell.ring("dispatch")
        doorbell.ring("dispatch")
        assert broker.llen("dispatch") == 0
    assert broker.llen("dispatch") == 1


def test_nothing_is_rung_where_celery_is_off(broker: "redis.Redis", settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=False)
    assert doorbell.ring_now("dispatch") is False
    assert broker.llen("dispatch") == 0


def test_a_broker_that_hangs_is_asked_before_it_is_rung_again(
    broker: "redis.Redis", settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=True)
    monkeypatch.setattr(doorbell._Silence, "until", 0.0)
    monkeypatch.setattr(doorbell._Silence, "asked_first", True)
    monkeypatch.setattr(doorbell, "_broker", lambda: pytest.fail("rung without an answer"))
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        assert doorbell.ring_now("dispatch") is False
    assert doorbell._Silence.until > 0
    assert broker.llen("dispatch") == 0


def test_a_broker_that_is_back_is_rung_as_before(
    broker: "redis.Redis", settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=True)
    monkeypatch.setattr(doorbell._Silence, "until", 0.0)
    monkeypatch.setattr(doorbell._Silence, "asked_first", True)
    assert doorbell.ring_now("dispatch") is True
    assert (doorbell._Silence.asked_first, broker.llen("dispatch")) == (False, 1)
