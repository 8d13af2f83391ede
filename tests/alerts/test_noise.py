"""The noise of a rule, from the rows that are there: firings, pages, nights, and what nobody had to do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.engine.night import is_night
from alerts.models import Alert, AlertEvent, Notification, Rule, RuleGroup
from alerts.services.noise import BARS, NOTHING, Noise, noise_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def rule(db: None) -> Rule:
    """Return a rule of which nothing is known yet."""
    group = RuleGroup.objects.create(name="g", due_at=NOW)
    return Rule.objects.create(group=group, name="Hot", spec={"expr": "up == 0"})


def episode(rule: Rule, number: int, *events: tuple[float, str, str], name: str = "Hot") -> Alert:
    """Make an alert with events (hours ago, kind, who)."""
    is_over = events[-1][1] == "resolved"
    first, last = NOW - timedelta(hours=events[0][0]), NOW - timedelta(hours=events[-1][0])
    alert = Alert.objects.create(
        fingerprint=f"{number:064}", name=name, rule=rule, state="resolved" if is_over else "firing", severity="high",
        started_at=first, updated_at=last, resolved_at=last if is_over else None,
    )  # fmt: skip
    for hours, kind, who in events:
        AlertEvent.objects.create(
            alert=alert, episode=1, at=NOW - timedelta(hours=hours), kind=kind, actor_kind=who, actor=who
        )
    return alert


def page(alert: Alert, key: str, at: datetime, *, state: str = "done", step: int = 0, channel: str = "ops") -> None:
    """Owe one message."""
    why = {"cancelled_because": "folded", "withheld": "digest"} if state == "cancelled" else {}
    Notification.objects.create(
        key=key, alert=alert, episode=1, step=step, channel_name=channel, kind="fire", state=state, created_at=at,
        due_at=at, deadline_at=at, **why,
    )  # fmt: skip


def test_a_rule_that_did_nothing_is_left_out(rule: Rule) -> None:
    assert noise_of(now=NOW) == {}
    assert noise_of([], now=NOW) == {}


def test_firings_are_counted_with_what_people_did_about_them(rule: Rule) -> None:
    episode(rule, 1, (30, "started", "system"), (29, "resolved", "system"))
    episode(rule, 2, (20, "started", "system"), (19, "acknowledged", "user"), (18, "resolved", "system"))
    episode(
        rule, 3, (9, "started", "system"), (8, "acknowledged", "user"), (8, "note", "user"), (7, "resolved", "system")
    )
    episode(rule, 4, (5, "started", "system"), (4, "resolved", "user"))
    episode(rule, 5, (1, "started", "system"))
    found = noise_of([rule.pk], now=NOW)[rule.pk]
    assert (found.firings, found.ended, found.self_resolved, found.acknowledged, found.idle) == (5, 4, 1, 2, 1)
    assert (found.self_resolved_share, found.idle_share) == (0.25, 0.5)
    assert (sum(found.bars), found.bars[-1], len(found.bars)) == (5, 2, BARS)


def test_what_is_older_than_a_week_and_what_the_console_says_itself_is_not_counted(rule: Rule) -> None:
    episode(rule, 1, (200, "started", "system"), (199, "resolved", "system"))
    episode(rule, 2, (200, "started", "system"), (3, "resolved", "system"))
    episode(rule, 3, (2, "started", "system"), name="RuleNotEvaluated")
    found = noise_of(now=NOW)[rule.pk]
    assert (found.firings, found.ended) == (0, 1)


def test_a_page_is_one_step_however_many_channels_heard_it(rule: Rule) -> None:
    alert = episode(rule, 1, (12, "started", "system"))
    night = NOW - timedelta(hours=10)
    page(alert, "a", night)
    page(alert, "b", night, channel="mail")
    page(alert, "c", NOW - timedelta(hours=2), step=1)
    page(alert, "d", NOW, state="cancelled", step=2)
    found = noise_of(now=NOW)[rule.pk]
    assert (found.pages, found.night_pages) == (2, 1)
    elsewhere = noise_of(now=NOW, zone="Asia/Tokyo")[rule.pk]
    assert (elsewhere.pages, elsewhere.night_pages) == (2, 0)


def test_however_many_rules_there_are_it_takes_two_statements(rule: Rule) -> None:
    for number in range(5):
        other = Rule.objects.create(group=rule.group, name=f"r{number}", spec={"expr": "1"})
        episode(other, number, (3, "started", "system"), (2, "resolved", "system"))
    with CaptureQueriesContext(connection) as queries:
        assert len(noise_of(now=NOW)) == 5
    assert len(queries) == 2


@pytest.mark.parametrize(
    ("noise", "word"),
    [
        (NOTHING, ""),
        (Noise(firings=200), "200 times"),
        (Noise(pages=7, ended=7, self_resolved=7), ""),
        (Noise(pages=8, ended=8, self_resolved=4), "50% ended by themselves"),
        (Noise(pages=8, ended=8, self_resolved=3), ""),
        (Noise(pages=9, ended=9, acknowledged=2, idle=2), "100% needed no action"),
    ],
)
def test_noisy_is_what_often_asks_nobody_for_anything(noise: Noise, word: str) -> None:
    assert (word in noise.why_noisy, bool(noise.why_noisy)) == (True, bool(word))


def test_night_is_from_ten_to_seven_where_the_reader_is() -> None:
    hours = [is_night(datetime(2026, 11, 21, hour, 30, tzinfo=UTC).timestamp()) for hour in (6, 7, 21, 22)]
    assert hours == [True, False, False, True]
    assert not is_night(datetime(2026, 11, 21, 6, 30, tzinfo=UTC).timestamp(), ZoneInfo("Europe/Berlin"))
