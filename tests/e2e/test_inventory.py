"""Cardinality, storage and naming in a browser: nothing for axe to say, fit for a phone, and keys alone suffice."""

from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from aivillage_console.accounts.models import Source
from metrics.ingest.rows import MetricRow
from metrics.inventory.held import forget_counts
from metrics.services import partitions_prepare, samples_append

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PAGES = ("cardinality/", "cardinality/?metric=http_requests_total&label=path", "cardinality/?metric=none", "storage/",
         "naming/")  # fmt: skip


@pytest.fixture
def shop(transactional_db: None) -> None:
    """Store a metric with many paths."""
    now = datetime.now(UTC)
    partitions_prepare(now=now)
    sent = [
        MetricRow("http_requests_total", 1.0, "gauge", {"path": f"/item/{n}"}, int(now.timestamp() * 1000))
        for n in range(30)
    ]
    assert samples_append(sent, source=Source.objects.create(name="shop"), now=now) == []
    forget_counts()


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_the_pages_are_for_everyone_and_fit(open_context: Any, shop: None, theme: str, width: int) -> None:
    page = open_context(theme, width).new_page()
    said = []
    for path in PAGES:
        page.goto(f"/explore/metrics/{path}")
        for details in page.locator("details.chart-details").all():
            details.evaluate("one => { one.open = true }")
        said += [(path, rule["id"]) for rule in Axe().run(page).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            said.append((path, "wider than the window"))
    assert said == []


def test_keys_alone_lead_from_the_list_into_a_metric_and_on_to_explore(open_context: Any, shop: None) -> None:
    page = open_context().new_page()
    page.goto("/explore/metrics/cardinality/")
    page.get_by_role("link", name="http_requests_total", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**metric=http_requests_total")
    page.get_by_role("link", name="Count series by path in Explore").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/explore/metrics/?q=count*")
