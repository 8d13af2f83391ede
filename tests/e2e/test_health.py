"""Health in a real browser: accessible, live, and what the reader folded up stays folded up."""

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from aivillage_console.lib import clock
from health.intake.results import Found, result_store
from health.models import Check, Component
from health.services import ensure_own

pytestmark = pytest.mark.browser


def store(check: Check, status: str) -> None:
    """Keep one result of a check."""
    fresh = Check.objects.get(pk=check.pk)
    changes = result_store(fresh, Found(clock.now(), status, 42.0, f"said {status}"))
    Check.objects.filter(pk=check.pk).update(due_at=clock.now() + timedelta(hours=1), **changes)


@pytest.fixture
def platform(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Component:
    """Return one of the console's own parts, all of which are in some state or other."""
    # Rings cannot be sent from the thread that Playwright's event loop runs in; the pages are told by hand.
    monkeypatch.setattr("health.intake.results.live.ring", lambda _topic: None)
    ensure_own(now=clock.now())
    for place, check in enumerate(Check.objects.order_by("component__name", "name")):
        store(check, ("healthy", "degraded", "unhealthy")[place % 5 if place % 5 < 3 else 0])
    return Component.objects.get(name="console-redis")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_of_health_are_accessible_and_never_scroll_sideways(
    open_context: Any, platform: Component, theme: str, width: int
) -> None:
    page = open_context(theme, width).new_page()
    for path in ("/health/", f"/health/{platform.pk}/", "/health/report/"):
        page.goto(path)
        if path == "/health/":
            page.locator("details.score summary").first.click()
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path} {theme} {width}: {found.generate_report()}"
        assert not page.evaluate("() => document.documentElement.scrollWidth > innerWidth"), (path, width)


def test_what_was_folded_up_stays_so_over_a_live_refresh(open_context: Any, platform: Component) -> None:
    page = open_context().new_page()
    page.goto("/health/")
    part = page.locator('tr[data-name="console-redis"]')
    expect(part).to_be_visible()
    page.get_by_role("button", name="Parts of console", exact=True).click()
    expect(part).to_be_hidden()
    page.evaluate("() => window.ui.refreshRegion(document.querySelector('#health'))")
    expect(part).to_be_hidden()
    page.keyboard.press("o")
    expect(part).to_be_visible()
    page.keyboard.press("p")
    expect(part).to_be_hidden()


def test_run_now_shows_its_result_in_the_row(open_context: Any, platform: Component) -> None:
    memory = Check.objects.get(name="memory")
    page = open_context().new_page()
    page.goto("/health/")
    row = page.locator(f"#check-{memory.pk}")
    expect(row).to_contain_text("said")
    row.get_by_role("button", name="Run memory of console-host now").click()
    expect(row).to_contain_text("% in use")


def test_a_change_is_shown_and_an_open_score_stays_open(open_context: Any, platform: Component) -> None:
    check = Check.objects.get(component=platform)
    store(check, "healthy")
    page = open_context().new_page()
    page.goto("/health/")
    row = page.locator('tr[data-name="console-redis"]')
    expect(row).to_contain_text("healthy")
    row.locator("summary").click()
    expect(row).to_contain_text("Weighted mean")
    store(check, "unhealthy")
    page.evaluate("() => window.ui.refreshRegion(document.querySelector('#health'))")
    expect(row).to_contain_text("said unhealthy")
    expect(row.locator("details[open]")).to_have_count(1)
