"""The one clock is PostgreSQL's, and a test may move it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from aivillage_console.lib import clock

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_offset_moves_the_clock() -> None:
    before = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SET console.clock_offset = '90 seconds'")
        moved = clock.now()
        cursor.execute("RESET console.clock_offset")
    assert timedelta(seconds=90) <= moved - before < timedelta(seconds=150)
    assert clock.now().tzinfo is not None


def test_epoch_seconds_become_utc() -> None:
    assert clock.at_seconds(0) == datetime(1970, 1, 1, tzinfo=UTC)
