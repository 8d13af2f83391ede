"""A ring goes out after the commit, and a broker that is away costs latency and nothing else."""

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
