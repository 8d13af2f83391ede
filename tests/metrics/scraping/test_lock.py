"""One scraper of several: the others wait behind a lock."""

import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
from django.db import connection

from metrics.scrape.lock import lock_held, lock_released, scraper_runs

pytestmark = pytest.mark.django_db(transaction=True)
T = TypeVar("T")


def elsewhere(work: Callable[[], T]) -> T:
    """Run something over a connection of its own, as another process would."""
    found: list[T] = []

    def run() -> None:
        found.append(work())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_a_second_scraper_waits_until_the_first_one_ends() -> None:
    assert not scraper_runs()
    assert lock_held()
    assert lock_held()
    assert elsewhere(lock_held) is False
    assert elsewhere(scraper_runs) is True
    lock_released()
    assert not scraper_runs()
    assert elsewhere(lock_held) is True


def test_the_lock_goes_with_the_connection_that_holds_it() -> None:
    assert lock_held()
    connection.close()
    assert elsewhere(lock_held) is True
