"""What people do to alerts in a real browser: snoozed by keys, undone by a key, accessible in every modifier."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from alerts.models import Alert

pytestmark = pytest.mark.browser
# Where pictures are wanted, for people who look at them.
SHOTS = os.environ.get("SHOTS_DIR", "")


@pytest.fixture
def modified(alert: Alert) -> list[Alert]:
    """Return one alert in each condition that is more than a state."""
    now = datetime.now(UTC)
    base: dict[str, Any] = {"severity": "high", "started_at": alert.started_at, "updated_at": now, "value": 91.0}
    wanted: dict[str, dict[str, Any]] = {
        "Stale": {"state": "unknown", "stale_since": now - timedelta(minutes=3)},
        "Snoozed": {"state": "firing", "snoozed_until": now + timedelta(minutes=40), "snoozed_by": "eva@example.org"},
        "Flapping": {
            "state": "firing", "flapping_since": now - timedelta(minutes=12), "flaps": 7,
            "flapping_until": now + timedelta(minutes=9),
            "recent_fires_ms": [round((now - timedelta(minutes=m)).timestamp() * 1000) for m in (12, 9, 6, 3, 1)],
        },
        "Taken": {
            "state": "firing", "acked_at": now, "acked_by": "eva@example.org", "ack_until": now + timedelta(hours=8)
        },
        "Over": {"state": "resolved", "resolved_at": now, "resolved_cause": "rule_edited",
                 "resolved_because": "the rule was edited: version 4 does not hold for it"},
    }  # fmt: skip
    return [
        Alert.objects.create(fingerprint=f"{place:064d}", name=name, **{**base, **facts})
        for place, (name, facts) in enumerate(wanted.items())
    ]


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_alerts_in_every_condition_are_accessible_and_never_scroll_sideways(
    open_context: Any, modified: list[Alert], theme: str, width: int
) -> None:
    page = open_context(theme, width).new_page()
    paths = ["/alerts/", "/alerts/?state=resolved&cause=rule_edited", "/alerts/?state=resolved&cause=upstream"]
    for path in [*paths, *(f"/alerts/{alert.pk}/" for alert in modified)]:
        page.goto(path)
        if page.locator("details.later > summary").count():
            page.locator("details.later > summary").click()
        found = Axe().run(page)
        if SHOTS:
            name = path.strip("/").replace("/", "_").replace("?", "_").replace("&", "_")
            page.screenshot(path=f"{SHOTS}/{name}_{theme}_{width}.png", full_page=width < 400)
        assert found.violations_count == 0, f"{path} {theme} {width}: {found.generate_report()}"
        assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth"), (path, width)


def test_keys_snooze_from_the_list_and_undo_an_acknowledgement(open_context: Any, alert: Alert) -> None:
    page = open_context().new_page()
    page.goto("/alerts/")
    page.keyboard.press("j")
    page.keyboard.press("z")
    expect(page.locator(".notice").first).to_contain_text("1 of 1 snoozed")
    alert.refresh_from_db()
    assert alert.snoozed_by == "admin@example.org"
    page.goto(f"/alerts/{alert.pk}/")
    page.keyboard.press("a")
    expect(page.locator('p[role="status"]').first).to_contain_text("is acknowledged")
    page.keyboard.press("u")
    expect(page.locator('p[role="status"]').first).to_contain_text("no longer acknowledged")
    alert.refresh_from_db()
    assert (alert.acked_at, alert.snoozed_until) == (None, None)
