"""Pages in a real browser: accessibility in both themes and widths, and tasks by keyboard alone."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from alerts.models import Alert

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGES = ["/", "/alerts/", "/alerts/{id}/", "/explore/metrics/", "/explore/metrics/?q=rate(", "/setup/", "/styleguide/",
         "/notifications/", "/settings/", "/admin/", "/admin/alerts/rule/", "/admin/alerts/rule/add/",
         "/nowhere/"]  # fmt: skip


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_accessible_and_never_scrolls_sideways(
    open_context: Any, alert: Alert, theme: str, width: int
) -> None:
    context = open_context(theme, width)
    found = {}
    for path in PAGES:
        page = context.new_page()
        page.goto(path.format(id=alert.pk))
        problems = [(v["id"], v["nodes"][0]["target"]) for v in Axe().run(page).response["violations"]]
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        if problems or wide:
            found[path] = (problems, wide)
        page.close()
    assert found == {}


def test_the_oldest_critical_alert_is_acknowledged_by_keyboard_alone(open_context: Any, alert: Alert) -> None:
    page = open_context().new_page()
    page.goto("/alerts/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/alerts/{alert.pk}/")
    page.keyboard.press("a")
    page.get_by_text("Acknowledged by").first.wait_for()
    alert.refresh_from_db()
    assert alert.acked_by == "admin@example.org"


def test_a_live_refresh_keeps_focus_selection_and_shows_what_changed(open_context: Any, alert: Alert) -> None:
    page = open_context().new_page()
    page.goto("/alerts/")
    page.get_by_label(f"Select #{alert.pk}").check()
    Alert.objects.update(value=97.0)
    page.evaluate("ui.refreshRegion(document.getElementById('alerts'))")
    page.get_by_text("97").first.wait_for()
    box = page.get_by_label(f"Select #{alert.pk}")
    focused = page.evaluate("document.activeElement.value")
    assert (box.is_checked(), focused) == (True, str(alert.pk))


def test_new_rows_wait_behind_a_pill_while_something_is_selected(open_context: Any, alert: Alert) -> None:
    page = open_context().new_page()
    page.goto("/alerts/")
    page.get_by_label(f"Select #{alert.pk}").check()
    other = Alert.objects.get(pk=alert.pk)
    other.pk, other.fingerprint, other.name = None, "d" * 64, "SecondAlert"
    other.save()
    page.evaluate("ui.refreshRegion(document.getElementById('alerts'))")
    page.get_by_role("button", name="1 new").click()
    page.get_by_text("SecondAlert").wait_for()
    assert page.locator("tbody tr").count() == 2


def test_the_setup_makes_a_token_and_prefills_the_snippets(open_context: Any) -> None:
    page = open_context().new_page()
    page.goto("/setup/")
    page.get_by_label("Source").focus()
    page.keyboard.type("my-service")
    page.keyboard.press("Enter")
    token = page.locator("#new-token").inner_text()
    assert token in page.locator("#c-curl").inner_text()


def test_every_chart_has_a_summary_and_a_table_twin(open_context: Any) -> None:
    page = open_context().new_page()
    page.goto("/styleguide/")
    plots = page.locator("[data-chart] .chart-plot")
    assert plots.count() == page.locator("[data-chart] .chart-twin table").count() == 1
    assert page.locator("[data-chart] canvas").count() == 1


def test_arrow_keys_read_a_chart_aloud(open_context: Any) -> None:
    page = open_context().new_page()
    page.goto("/styleguide/")
    page.locator(".chart-plot").first.focus()
    page.keyboard.press("End")
    assert "worker" in page.locator("#announce").inner_text()
