"""Reading alerts takes a fixed number of queries, however many there are."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aivillage_console.lib import clock
from alerts import selectors
from tests.alerts.conftest import fire

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("count", [1, 12])
@pytest.mark.parametrize(
    ("read", "queries"),
    [
        (lambda: selectors.alerts_page(None, state="open", limit=5), 1),
        (lambda: selectors.alert_counts(None), 1),
        (lambda: selectors.versions(["alert:1", "alert:2"]), 1),
    ],
)
def test_the_number_of_queries_is_fixed(
    count: int, read: Callable[[], object], queries: int, django_assert_num_queries: Any
) -> None:
    for number in range(count):
        fire(f"Hot{number}")
    with django_assert_num_queries(queries):
        assert read() is not None


def test_pages_follow_each_other_without_gap_or_repeat() -> None:
    now = clock.now()
    for number in range(7):
        fire(f"Hot{number}", now=now + timedelta(seconds=number), severity=("critical", "low")[number % 2])
    names, cursor = [], ""
    while True:
        page = selectors.alerts_page(None, state="open", cursor=cursor, limit=3)
        names += [alert.name for alert in page.alerts]
        cursor = page.next_cursor
        if not cursor:
            break
    assert names == ["Hot6", "Hot4", "Hot2", "Hot0", "Hot5", "Hot3", "Hot1"]
