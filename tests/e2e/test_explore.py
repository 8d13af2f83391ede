"""Explore by keyboard alone: completion, running, the place of an error, and the ways on from an answer."""

import json
import re
import shlex
import subprocess
from typing import Any

import httpx
import pytest

from aivillage_console.accounts.models import Source
from aivillage_console.accounts.services import Actor, token_issue
from aivillage_console.lib import clock

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
ROOT = Actor(kind="system", label="test", role="admin")


def token(kind: str, scope: str, source: Source | None = None) -> str:
    """Return a fresh token."""
    _, plain = token_issue(name=scope, kind=kind, scopes=[scope], actor=ROOT, now=clock.now(), source=source)
    return plain


@pytest.fixture
def queue_depth(live_server: Any, transactional_db: None) -> None:
    """Store one metric of two queues through the real door."""
    source = Source.objects.create(name="shop", created_at=clock.now())
    at_ms = int(clock.now().timestamp() * 1000) - 60_000
    rows = [{"name": "queue_depth", "type": "gauge", "value": n, "labels": {"queue": name},
             "timestamp_ms": at_ms}
            for n, name in enumerate(("invoices", "mails"), 3)]  # fmt: skip
    body = {"batch_id": "explore", "rows": rows}
    headers = {"Authorization": f"Bearer {token('ingest', 'ingest:metrics', source)}"}
    answer = httpx.post(f"{live_server.url}/api/v1/ingest/metrics", json=body, headers=headers)
    assert answer.json()["accepted"] == len(rows)


def typed(page: Any, keys: str) -> None:
    """Type into the query box and take the first completion."""
    page.keyboard.type(keys)
    page.keyboard.press("Control+Space")
    page.locator("#query-suggest [role=option]").first.wait_for()
    page.keyboard.press("Enter")
    page.locator("#query-suggest").wait_for(state="hidden")


def test_a_query_is_completed_and_run_by_keyboard_alone(open_context: Any, queue_depth: None) -> None:
    page = open_context().new_page()
    page.goto("/explore/metrics/")
    page.locator("#query").focus()
    typed(page, "queue_d")
    typed(page, "{que")
    page.keyboard.press("Control+Space")
    page.get_by_role("option", name="mails").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type('"}')
    assert page.locator("#query").input_value() == 'queue_depth{queue="mails"}'
    page.keyboard.press("Enter")
    page.wait_for_url("**q=queue_depth%7Bqueue%3D%22mails%22%7D", timeout=8_000)
    assert "mails" in page.locator("#result .legend-table").inner_text()


def test_an_error_points_at_its_place(open_context: Any, queue_depth: None) -> None:
    page = open_context().new_page()
    page.goto("/explore/metrics/")
    page.locator("#query").focus()
    page.keyboard.type("sum(queue_depth")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    page.locator("#query-error").wait_for()
    first, second = page.locator("#query-error .caret").inner_text().split("\n")[:2]
    assert (first, second.strip(), page.locator("#query").get_attribute("aria-invalid")) == (
        "sum(queue_depth", "^", "true"
    )  # fmt: skip


def test_the_copied_curl_answers_with_a_token(open_context: Any, queue_depth: None) -> None:
    page = open_context().new_page()
    page.goto("/explore/metrics/?q=queue_depth%7Bqueue%3D~%22m.*%22%7D%20or%20vector(0)")
    command = page.locator("button", has_text="Copy as curl").get_attribute("data-copy")
    words = shlex.split(command.replace("TOKEN", token("service", "query")))
    done = subprocess.run([words[0], "-s", *words[1:]], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert (answer["status"], "mails" in done.stdout) == ("success", True)


def test_create_rule_opens_the_form_with_the_query_filled_in(open_context: Any, queue_depth: None) -> None:
    page = open_context().new_page()
    page.goto("/explore/metrics/?q=queue_depth%20%3E%202")
    page.get_by_role("link", name="Create rule").click()
    page.wait_for_url(re.compile("/alerts/rules/new/"))
    filled = page.evaluate("[...document.querySelectorAll('input, textarea')].map(field => field.value)")
    assert any("queue_depth > 2" in value for value in filled)
