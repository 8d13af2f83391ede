"""Rules in a browser: nothing for axe to say, fit for a phone, and a rule made, backtested and saved by keys alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from aivillage_console.accounts.models import Source
from alerts.models import Rule, RuleGroup
from metrics.ingest.rows import MetricRow
from metrics.services import partitions_prepare, samples_append

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rule(transactional_db: None) -> Rule:
    """Return a rule over samples that are stored: h1 is too hot."""
    now = datetime.now(UTC)
    partitions_prepare(now=now)
    rows = [
        MetricRow("heat", value, "gauge", {"host": host}, int((now - timedelta(seconds=ago)).timestamp() * 1000))
        for ago in range(0, 600, 15) for host, value in (("h1", 91.0), ("h2", 40.0))
    ]  # fmt: skip
    assert samples_append(rows, source=Source.objects.create(name="shop"), now=now) == []
    group = RuleGroup.objects.create(name="shop", due_at=now, interval_seconds=15)
    return Rule.objects.create(group=group, name="Heat", spec={"expr": "heat > 80"}, severity="high", health="ok")


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_the_pages_are_for_everyone_and_fit(open_context: Any, rule: Rule, theme: str, width: int) -> None:
    page = open_context(theme, width).new_page()
    said = []
    for path in ("", f"{rule.pk}/", f"{rule.pk}/edit/", f"{rule.pk}/edit/?as=yaml", f"groups/{rule.group_id}/"):
        page.goto(f"/alerts/rules/{path}")
        if "edit" in path:
            page.get_by_text("label sets hold now").wait_for()
            page.keyboard.press("Control+b")
            page.locator(".backtest-sum").wait_for()
        for details in page.locator("details:not(.menu)").all():
            details.evaluate("one => { one.open = true }")
        said += [(path, rule["id"]) for rule in Axe().run(page).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            said.append((path, "wider than the window"))
    assert said == []


def test_a_rule_is_made_backtested_and_saved_by_keyboard_alone(open_context: Any, rule: Rule) -> None:
    page = open_context(role="editor").new_page()
    page.goto("/alerts/rules/")
    page.keyboard.press("n")
    page.wait_for_url("**/alerts/rules/new/")
    page.locator("#f-name").focus()
    page.keyboard.type("Heat wave")
    page.locator("#f-promql-expr").focus()
    page.keyboard.type("heat > 85")
    page.keyboard.press("Escape")
    page.get_by_text("of 2 label sets hold now").wait_for()
    page.keyboard.press("Control+b")
    page.locator(".backtest-sum", has_text="it would have fired 1×").wait_for()
    page.keyboard.press("Control+s")
    page.get_by_role("heading", name="Heat wave", level=1).wait_for()
    made = Rule.objects.get(name="Heat wave")
    assert (made.spec, page.url.endswith(f"/alerts/rules/{made.pk}/")) == ({"expr": "heat > 85"}, True)


def test_a_rule_is_switched_off_in_the_list_by_a_key_and_on_again_by_undo(open_context: Any, rule: Rule) -> None:
    page = open_context(role="editor").new_page()
    page.goto("/alerts/rules/")
    page.keyboard.press("j")
    page.keyboard.press("t")
    page.get_by_text("Heat is switched off.").wait_for()
    assert page.evaluate("document.activeElement.closest('tr').id") == f"rule-{rule.pk}"
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Heat is switched on.").wait_for()
    rule.refresh_from_db()
    assert (rule.enabled, rule.version) == (True, 3)


def test_form_and_yaml_are_two_writings_of_one_rule(open_context: Any, rule: Rule) -> None:
    page = open_context(role="editor").new_page()
    page.goto(f"/alerts/rules/{rule.pk}/edit/")
    page.locator("#f-for").fill("3m")
    page.get_by_role("button", name="YAML").click()
    page.locator("#f-yaml").wait_for()
    text = page.locator("#f-yaml").input_value()
    assert ("for: 3m" in text, "expr: heat > 80" in text) == (True, True)
    page.locator("#f-yaml").fill(text.replace("heat > 80", "heat > 70"))
    page.get_by_role("button", name="Form", exact=True).click()
    page.locator("#f-promql-expr").wait_for()
    assert (page.locator("#f-promql-expr").input_value(), page.locator("#f-for").input_value()) == ("heat > 70", "3m")
