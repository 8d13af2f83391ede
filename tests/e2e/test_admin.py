"""The admin site and the API's page in a real browser, under the console's own content security policy."""

from typing import Any

import pytest

from aivillage_console.lib import clock
from alerts.models import Channel, Policy, PolicyStep, Rule, RuleGroup

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LISTS = ["/admin/", "/admin/alerts/rule/", "/admin/alerts/channel/add/", "/admin/accounts/apitoken/add/", "/api/docs/"]


@pytest.fixture
def configured(transactional_db: None) -> dict[str, Any]:
    group = RuleGroup.objects.create(name="mine", due_at=clock.now())
    rule = Rule.objects.create(group=group, name="DiskFull", severity="critical", spec={"expr": "disk_used > 90"})
    channel = Channel.objects.create(name="on-call hook", config={"url": "https://93.184.216.34/hook"})
    policy = Policy.objects.create(name="night")
    PolicyStep.objects.create(policy=policy, delay_seconds=300).channels.add(channel)
    return {"rule": f"/admin/alerts/rule/{rule.pk}/change/", "policy": f"/admin/alerts/policy/{policy.pk}/change/"}


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_no_page_breaks_the_policy_or_scrolls_sideways(
    open_context: Any, configured: dict[str, Any], theme: str, width: int
) -> None:
    context = open_context(theme, width)
    found = {}
    for path in [*LISTS, *configured.values()]:
        page, complaints = context.new_page(), []
        page.on(
            "console", lambda message, kept=complaints: kept.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error, kept=complaints: kept.append(str(error)))
        page.goto(path, wait_until="networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        if complaints or wide:
            found[path] = (complaints, wide)
        page.close()
    assert found == {}


def test_the_theme_of_the_console_holds_in_the_admin(open_context: Any, configured: dict[str, Any]) -> None:
    page = open_context("light").new_page()
    page.goto("/admin/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Theme").click()
    page.goto("/")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.goto("/admin/")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
