"""A receiver, and a console that may speak to it."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from django.conf import settings as django_settings

from aivillage_console.accounts.services import Actor
from metrics.models import RemoteTarget
from metrics.remote_out.sender import TargetSender
from metrics.remote_out.targets import target_save
from metrics.store.columns import Samples
from metrics.store.postgres import PostgresStore
from tests.metrics.remote_out.receiver import NOW_MS, Keep, Receiver, Waits, running_receiver
from tests.metrics.test_store import make_series


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.CONFIG = dataclasses.replace(django_settings.CONFIG, outbound_allowed=["127.0.0.1/32:*"])
    with running_receiver() as running:
        yield running


@pytest.fixture
def keep(transactional_db: None) -> Keep:
    """Store samples of a metric: (name, (time in seconds from now, value), …)."""

    def kept(name: str, *samples: tuple[int, float], **labels: str) -> None:
        (series_id,) = make_series({"__name__": name, **labels})
        times = np.array([NOW_MS + 1000 * at for at, _ in samples], np.int64)
        values = np.array([value for _, value in samples])
        PostgresStore().append(Samples(np.full(times.size, series_id, np.int64), times, values), durable=True)

    return kept


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def target(transactional_db: None, receiver: Receiver) -> Callable[..., RemoteTarget]:
    def made(**config: Any) -> RemoteTarget:
        document = {"url": receiver.url, "metadata_config": {"send": False}, **config}
        return target_save(
            RemoteTarget(name="store", config=document), actor=Actor.system("test"), now=datetime.now(UTC)
        )

    return made


@pytest.fixture
def sender(target: Callable[..., RemoteTarget], waits: Waits) -> Callable[..., TargetSender]:
    def made(**config: Any) -> TargetSender:
        return TargetSender(target(**config), waits, spread=lambda: 0.5)

    return made
