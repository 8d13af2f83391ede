"""The settings take effect: stored, they change what is decided, told and kept."""

from datetime import UTC, datetime, timedelta

import pytest

from aivillage_console.accounts.services import Actor
from alerts.engine.episodes import Change, Seen
from alerts.models import Alert, AlertSettings, CorrelationRule
from alerts.pipeline import Observation
from alerts.rules.testruns import limits_of
from alerts.services import observe, retain
from alerts.services.alert_settings import alert_settings_save
from alerts.services.configuration import Invalid, Outdated
from alerts.services.routes import Routes

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME = Actor.system("test")


def saved(**fields: object) -> AlertSettings:
    row = AlertSettings.current()
    for name, value in fields.items():
        setattr(row, name, value)
    return alert_settings_save(row, actor=ME, now=NOW)


def fires_again_after(minutes: float, name: str = "hot") -> Change:
    def seen(what: Seen, at: datetime) -> Change:
        return observe(Observation(name=name, labels={}, seen=what, severity="high"), now=at)

    seen(Seen.FIRING, NOW)
    seen(Seen.CLEAR, NOW + timedelta(minutes=1))
    return seen(Seen.FIRING, NOW + timedelta(minutes=1 + minutes))


def test_how_soon_an_alert_goes_on_is_a_setting() -> None:
    assert fires_again_after(30) is Change.REOPENED
    saved(deduplication_window_seconds=600)
    assert fires_again_after(30, "other") is Change.STARTED
    assert Routes().windows.dedup_seconds == 600


def test_without_deduplication_each_firing_is_a_new_episode() -> None:
    saved(enable_deduplication=False)
    assert fires_again_after(1) is Change.STARTED


def test_alerts_are_kept_as_long_as_the_settings_say() -> None:
    observe(Observation(name="hot", labels={}, seen=Seen.FIRING, severity="high"), now=NOW)
    observe(Observation(name="hot", labels={}, seen=Seen.CLEAR, severity="high"), now=NOW)
    retain(now=NOW + timedelta(days=8))
    assert Alert.objects.count() == 1
    saved(alert_retention_days=7)
    retain(now=NOW + timedelta(days=8))
    assert Alert.objects.count() == 0


def test_batches_storms_incidents_and_test_runs_ask_the_settings() -> None:
    before = Routes()
    assert (before.batch_size, before.max_alerts_per_minute) == (100, 50)
    assert (limits_of({}).success_rate, limits_of({}).consecutive_failures) == (95, 3)
    saved(batch_size=7, max_alerts_per_minute=5, success_rate_threshold=80, consecutive_failures_threshold=2)
    after = Routes()
    assert (after.batch_size, after.max_alerts_per_minute) == (7, 5)
    assert (limits_of({}).success_rate, limits_of({}).consecutive_failures) == (80, 2)
    assert limits_of({"success_rate_threshold": 99}).success_rate == 99


def test_correlation_can_be_switched_off() -> None:
    CorrelationRule.objects.create(name="all", group_key=["component"])
    assert len(Routes().correlation) == 1
    saved(enable_correlation=False)
    assert Routes().correlation == ()


def test_settings_are_checked_and_versioned() -> None:
    row = saved(batch_size=10)
    with pytest.raises(Invalid, match="batch_size"):
        saved(batch_size=0)
    with pytest.raises(Outdated):
        alert_settings_save(row, actor=ME, now=NOW, version=row.version - 1)
