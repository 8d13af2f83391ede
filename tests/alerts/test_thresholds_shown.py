"""Thresholds that follow the past, on pages, over REST and in the admin site; why a composite rule fired."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from aivillage_console.accounts.models import User
from aivillage_console.lib import clock
from alerts.models import Alert, DynamicThreshold, Rule, RuleGroup, ThresholdHistory
from alerts.thresholds.history import HEIGHT, panel_of, week_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root@example.org", "x" * 20))
    return client


@pytest.fixture
def rule() -> Rule:
    """Return a rule with two changes of one series, and none yet of another."""
    now = clock.now()
    group = RuleGroup.objects.create(name="g", due_at=now)
    rule = Rule.objects.create(group=group, name="Load", kind="dynamic", spec={"expr": "load"})
    facts: dict[str, Any] = {"rule": rule, "history_seconds": 86_400, "samples": 100}
    for hours, value in ((7, 100.0), (1, 120.5)):
        ThresholdHistory.objects.create(
            **facts, series="a", labels={"host": "a"}, at=now - timedelta(hours=hours), value=value
        )
    ThresholdHistory.objects.create(**facts, series="b", labels={"host": "b"}, at=now, why="3.0 h of past")
    DynamicThreshold.objects.create(rule=rule, digest="d", calculated_at=now, next_at=now, series=2, without=1)
    return rule


def test_the_panel_has_what_holds_and_what_held(rule: Rule) -> None:
    panel = panel_of(rule, clock.now())
    assert panel is not None
    assert [(dict(one.labels)["host"], one.value) for one in panel.now] == [("a", 120.5), ("b", None)]
    assert [one.value for one in panel.changes] == [None, 120.5, 100.0]
    alone = panel_of(rule, clock.now(), {"host": "a"})
    assert alone is not None
    assert [one.value for one in alone.changes] == [120.5, 100.0]
    rule.kind = "promql"
    assert panel_of(rule, clock.now()) is None
    assert panel_of(None, clock.now()) is None


def test_a_week_is_drawn_with_gaps() -> None:
    week = week_of([1.0, None, 3.0, *[None] * 165])
    assert week is not None
    assert (week.path, week.missing) == (f"M0.0 {HEIGHT - 2.0}h2M4.0 2.0h2", 166)
    assert week_of([None] * 168) is None


def test_the_page_of_an_alert_shows_its_thresholds(admin: Client, rule: Rule) -> None:
    now = clock.now()
    alert = Alert.objects.create(
        fingerprint="f", name="Load", rule=rule, state="firing", severity="high", started_at=now, updated_at=now,
        value=130, threshold=120.5, evidence={"series_labels": {"host": "a"}},
    )  # fmt: skip
    page = admin.get(reverse("alerts:detail", args=[alert.pk])).content.decode()
    assert "Thresholds from the past" in page
    assert "120.5" in page
    assert "History: the latest 2 changes" in page
    rule_page = admin.get(reverse("alerts:rule", args=[rule.pk])).content.decode()
    assert "3.0 h of past" in rule_page
    ThresholdHistory.objects.all().delete()
    assert "No threshold yet" in admin.get(reverse("alerts:detail", args=[alert.pk])).content.decode()


def test_the_page_of_an_alert_shows_how_the_joined_rules_stood(admin: Client, rule: Rule) -> None:
    now = clock.now()
    facts = {"expression": "a and not b", "parts": [
        {"rule": "a", "says": "fires", "alerts": [{"host": "x"}]}, {"rule": "b", "says": "does not fire", "alerts": []},
    ]}  # fmt: skip
    alert = Alert.objects.create(
        fingerprint="f", name="Both", state="firing", severity="high", started_at=now, updated_at=now,
        evidence={"kind": "composite", "facts": facts},
    )  # fmt: skip
    page = admin.get(reverse("alerts:detail", args=[alert.pk])).content.decode()
    assert "a and not b" in page
    assert "does not fire" in page


def test_rest_and_admin_have_the_history(admin: Client, rule: Rule) -> None:
    rows = admin.get(f"/api/console/v1/thresholds/?rule={rule.pk}&series=a").json()["results"]
    assert [row["value"] for row in rows] == [120.5, 100.0]
    one = admin.get(f"/api/console/v1/thresholds/{rows[0]['id']}/").json()
    assert (one["labels"], one["history_seconds"], one["slots"]) == ({"host": "a"}, 86_400, [])
    for name in ("dynamicthreshold", "thresholdhistory"):
        assert admin.get(f"/admin/alerts/{name}/").status_code == 200
