"""What is put off until the commit is done once, and not at all where everything was rolled back."""

from contextlib import suppress

import pytest
from django.db import transaction

from aivillage_console.lib.aftercommit import gather

pytestmark = pytest.mark.django_db(transaction=True)


class Undone(Exception):
    """Ends a transaction or savepoint without a commit."""


def _undone(done: list[list[str]]) -> None:
    with suppress(Undone), transaction.atomic():
        gather("t", "a", done.append)
        raise Undone


def test_each_item_is_done_once_and_together() -> None:
    done: list[list[str]] = []
    with transaction.atomic():
        for item in ("a", "b", "a"):
            gather("t", item, done.append)
        assert done == []
    assert done == [["a", "b"]]


def test_a_savepoint_rolled_back_does_not_take_the_others_with_it() -> None:
    done: list[list[str]] = []
    with transaction.atomic():
        _undone(done)
        with transaction.atomic():
            gather("t", "b", done.append)
    assert [items[-1] for items in done] == ["b"]


def test_a_transaction_rolled_back_does_nothing_and_the_next_begins_anew() -> None:
    done: list[list[str]] = []
    _undone(done)
    gather("t", "b", done.append)
    assert done == [["b"]]
