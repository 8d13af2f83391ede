"""A lease is taken by one, runs out by itself, and fences whoever slept through it."""

from datetime import datetime, timedelta

import pytest

from aivillage_console.lib import clock, outbox
from alerts.models import RuleGroup

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def now() -> datetime:
    at = clock.now()
    RuleGroup.objects.create(name="g", due_at=at)
    return at


def later(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def test_a_leased_row_is_not_claimed_again_until_the_lease_runs_out(now: datetime) -> None:
    (first,) = outbox.claim(RuleGroup.objects.all(), now=now)
    assert outbox.claim(RuleGroup.objects.all(), now=later(now, 9)) == []
    (second,) = outbox.claim(RuleGroup.objects.all(), now=later(now, 10))
    assert second.lease_token != first.lease_token
    assert second.attempts == 2


def test_whoever_lost_the_lease_changes_nothing(now: datetime) -> None:
    (first,) = outbox.claim(RuleGroup.objects.all(), now=now)
    (second,) = outbox.claim(RuleGroup.objects.all(), now=later(now, 11))
    assert outbox.renew(first, now=now) is False
    assert outbox.finish(first, missed=7) is False
    assert outbox.finish(second, missed=1) is True
    assert RuleGroup.objects.get().missed == 1


def test_a_failure_gives_the_row_back_for_later(now: datetime) -> None:
    (row,) = outbox.claim(RuleGroup.objects.all(), now=now)
    assert outbox.fail(row, error="x" * 3000, due_at=later(now, 60))
    stored = RuleGroup.objects.get()
    assert (stored.lease_token, len(stored.last_error), stored.due_at) == (None, 2000, later(now, 60))
