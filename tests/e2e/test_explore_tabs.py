"""Explore's tabs in a browser: accessible in both themes and widths; dots, cells and the form by keyboard."""

import os
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.pages.explored import store

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SHOTS = os.environ.get("EXPLORE_SHOTS", "")
BUCKETS = "rate(request_seconds_bucket%5B5m%5D)"
PAGES = {
    "start": "",
    "graph": f"?q={BUCKETS}&range=1h",
    "native": "?q=native_seconds&tab=table",
    "heat": "?q=request_seconds&tab=heatmap&range=1h",
    "explain": f"?q=sum%20by%20(le)%20({BUCKETS})%20/%20on()%20group_left%20sum(errors_total)&tab=explain",
    "path": "?q=request_seconds.p95&tab=table",
    "hint": "?q=cpu_usage_percent%7Benv%3D%22prd%22%7D",
    "wrong": "?q=cpu_usage_percent.p42",
}


@pytest.fixture
def stored(transactional_db: None) -> None:
    """Store metrics of every kind."""
    store()


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_tab_is_accessible_and_never_scrolls_sideways(
    live_server: Any, open_context: Any, stored: None, theme: str, width: int
) -> None:
    page = open_context(theme, width).new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    found = {}
    for name, address in PAGES.items():
        page.goto(f"/explore/metrics/{address}")
        page.wait_for_load_state("networkidle")
        if SHOTS:
            page.screenshot(path=f"{SHOTS}/{name}_{theme}_{width}.png", full_page=True)
        violations = [
            f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in Axe().run(page).response["violations"]
        ]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if violations or wide > 0:
            found[name] = (violations, wide)
    assert (found, said) == ({}, [])


def test_a_dot_leads_to_its_trace(live_server: Any, open_context: Any, stored: None) -> None:
    page = open_context().new_page()
    page.goto(f"/explore/metrics/{PAGES['graph']}")
    page.locator(".exemplar-dot").click()
    focused = page.evaluate("document.activeElement.id + ' ' + document.activeElement.innerText")
    assert focused.startswith("exemplar-1") and "abc123def" in focused  # noqa: PT018 - one text


def test_arrow_keys_read_the_cells_of_a_heat_map(live_server: Any, open_context: Any, stored: None) -> None:
    page = open_context().new_page()
    page.goto(f"/explore/metrics/{PAGES['heat']}")
    page.locator(".heat-plot").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert "0.1 to 0.5" in page.locator(".heatmap .chart-read").inner_text()


def test_the_form_is_filled_in_and_asked_by_keyboard_alone(live_server: Any, open_context: Any, stored: None) -> None:
    page = open_context().new_page()
    page.goto("/explore/metrics/")
    page.locator("#ask-metric").focus()
    page.keyboard.type("request_seconds_b")
    option = page.locator("#ask-metric-suggest [role=option]").first
    option.wait_for()
    assert "How long requests take" in option.inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("p95")
    made = "histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5m])))"
    page.locator(".ask-preview", has_text=made).wait_for()
    page.locator("#ask-over").press("Enter")
    page.wait_for_url("**q=histogram_quantile**")
    assert page.locator("#query").input_value() == made
