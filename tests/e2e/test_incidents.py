"""Incidents in a real browser: accessible, fit for a phone, and keys alone suffice."""

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from alerts.models import Alert, Incident, IncidentMember

pytestmark = pytest.mark.browser


@pytest.fixture
def incident(alert: Alert) -> Incident:
    """Return an incident of two alerts."""
    at = alert.started_at
    other = Alert.objects.create(
        fingerprint="f" * 64, name="DiskSlow", state="resolved", severity="high", started_at=at, updated_at=at,
        resolved_at=at + timedelta(minutes=2),
    )  # fmt: skip
    row = Incident.objects.create(
        name="Same host: h1", severity="critical", opened_at=at, active_at=at, updated_at=at, alerts=2,
        rule_name="Same host", key={"host": "h1"},
    )  # fmt: skip
    for each in (alert, other):
        IncidentMember.objects.create(
            incident=row, alert=each, joined_at=at, rule_name="Same host", reason="joined", values={"host": "h1"}
        )
    row.events.create(at=at, kind="opened", reason="opened an incident by Same host", alert_number=alert.pk)
    return row


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_the_pages_of_incidents_are_accessible_and_never_scroll_sideways(
    open_context: Any, incident: Incident, theme: str, width: int
) -> None:
    page = open_context(theme, width).new_page()
    for path in ("/incidents/", f"/incidents/{incident.pk}/", "/alerts/?group=incident", "/incidents/?q=nothing"):
        page.goto(path)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path} {theme} {width}: {found.generate_report()}"
        assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth"), (path, width)


def test_keys_lead_from_the_list_to_a_row_and_choose_it(open_context: Any, incident: Incident) -> None:
    page = open_context().new_page()
    page.goto("/alerts/")
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.wait_for_url("**/incidents/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/incidents/{incident.pk}/")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("input[name=alert]").first).to_be_checked()
    page.keyboard.press("a")
    expect(page.locator('p[role="status"]').first).to_contain_text("is acknowledged, and so are its alerts")
