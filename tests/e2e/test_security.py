"""Security in a real browser: accessible in every state, live, and a block is made and lifted without a mouse."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from aivillage_console.lib import live
from security.models import AllowEntry, Block, Finding, SecurityEvent
from tests.e2e.sockets import SocketsProcess, elsewhere

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = "' UNION SELECT password FROM users -- <script>alert(1)</script>"
PAGES = ("/security/", "/security/findings/", "/security/findings/?ip=203.0.113.9", "/security/blocks/")
MOST_TABS = 60


def find(address: str = "203.0.113.9", band: str = "critical", minutes: float = 1) -> Finding:
    """Store an event and what was found in it."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    event = SecurityEvent.objects.create(
        at=at, received_at=at, due_at=at, detected_at=at, event_type="sql_injection_attempt", signal="other",
        user_id="mallory", source_ip=address, endpoint="/api/search", threat_score=1.0, band=band,
        details={"input_data": HOSTILE, "user_agent": "sqlmap/1.7 " + "x" * 200},
    )  # fmt: skip
    reasons = [
        {"code": "union", "text": "joins the rows of another query", "weight": 0.9, "excerpt": "' UNION SELECT"},
        {"code": "comment", "text": "ends in a comment " * 8, "weight": 0.3, "excerpt": HOSTILE * 3},
    ]
    return Finding.objects.create(
        event=event, detector="sql_injection", score=1.0, band=band, reasons=reasons, at=at, found_at=at,
        event_type=event.event_type, user_id="mallory", source_ip=address, endpoint="/api/search",
    )  # fmt: skip


def attack() -> Finding:
    """Store an attack, a block that stands, one that is over, and somebody who is never blocked."""
    now = datetime.now(UTC)
    for place, band in enumerate(("critical", "high", "medium", "low")):
        find(f"2001:db8:85a3:8d3:1319:8a2e:370:73{place:02x}", band, minutes=5 * place)
    for address, ended in (("203.0.113.9", None), ("203.0.113.8", now)):
        Block.objects.create(
            scope="ip", value=address, reason="Brute force: 13 failed tries", automatic=ended is None,
            created_by="automatic response", created_at=now, changed_at=now,
            expires_at=now + timedelta(hours=1), ended_at=ended,
            lifted_at=ended, lifted_by="bob@example.org" if ended else "", lifted_because="mistake" if ended else "",
        )  # fmt: skip
    AllowEntry.objects.create(scope="cidr", value="10.0.0.0/8", reason="our own", created_by="bob", created_at=now)
    return find()


def problems(page: Any, path: str, width: int) -> list[str]:
    """Return what the tool finds on one page, and a sideways scroll."""
    page.goto(path)
    found = Axe().run(page)
    wide = page.evaluate("() => document.documentElement.scrollWidth > innerWidth")
    said = [f"{path} {width}: {found.generate_report()}"] if found.violations_count else []
    return [*said, f"{path} {width}: sideways scroll"] if wide else said


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_of_security_are_accessible_empty_and_under_attack(open_context: Any, theme: str, width: int) -> None:
    page = open_context(theme, width).new_page()
    assert [said for path in PAGES for said in problems(page, path, width)] == []
    finding = attack()
    preview = "/security/blocks/?scope=cidr&value=203.0.113.0%2F24"
    shown = (*PAGES, preview, f"/security/events/{finding.event_id}/")
    assert [said for path in shown for said in problems(page, path, width)] == []


def test_no_column_of_the_findings_is_cut_off_on_a_wide_screen(open_context: Any) -> None:
    attack()
    page = open_context().new_page()
    for path in ("/security/", "/security/findings/"):
        page.goto(path)
        inside = "box => [...box.querySelectorAll('th, td')].every(cell => cell.getBoundingClientRect().right"
        assert page.locator(".table-wrap").first.evaluate(f"{inside} <= box.getBoundingClientRect().right + 1)"), path


def test_a_new_finding_appears_on_open_pages(open_context: Any, sockets: SocketsProcess) -> None:
    find()
    context = open_context()
    overview, findings = context.new_page(), context.new_page()
    for page, path in ((overview, "/security/"), (findings, "/security/findings/")):
        page.goto(path)
        page.locator("html[data-link=live]").wait_for(state="attached")
        page.mouse.move(5, 5)

    def another() -> None:
        find("198.51.100.7", minutes=0)
        live.ring("security")

    elsewhere(another)
    overview.get_by_role("heading", name="2 critical events from 2 addresses").wait_for()
    expect(findings.get_by_role("link", name="198.51.100.7").first).to_be_visible()
    assert findings.locator("tbody tr").count() == 2


def tab_to(page: Any, what: str) -> None:
    """Press Tab until something is focused, as somebody without a mouse does."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("what => document.activeElement.matches(what)", what):
            return
    raise AssertionError(f"Tab never reached {what}")


def test_somebody_is_blocked_and_let_in_again_by_keyboard_alone(open_context: Any) -> None:
    page = open_context("light", 1440, "responder").new_page()
    page.goto("/")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/security/")
    page.goto("/security/blocks/")
    tab_to(page, "#value")
    page.keyboard.type("203.0.113.77")
    page.get_by_text("Nobody signed in from there").wait_for()
    tab_to(page, "#reason")
    page.keyboard.type("scans us")
    page.keyboard.press("Enter")
    page.get_by_text("203.0.113.77 is kept out until").wait_for()
    tab_to(page, "summary[aria-label='Lift the block of 203.0.113.77']")
    page.keyboard.press("Enter")
    tab_to(page, "form[action*='/lift/'] input[name=reason]")
    page.keyboard.type("it was our own scanner")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Nobody is blocked").wait_for()
    assert page.get_by_text("it was our own scanner").count() >= 1


@pytest.mark.parametrize(
    ("typed", "leads_to"),
    [
        ("203.0.113.9", "/security/findings/?ip=203.0.113.9"),
        ("2001:db8::7", "/security/findings/?ip=2001%3Adb8%3A%3A7"),
    ],
)
def test_an_address_typed_into_the_search_leads_to_its_findings(open_context: Any, typed: str, leads_to: str) -> None:
    page = open_context().new_page()
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type(typed)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{leads_to}")
    assert page.get_by_role("heading", name="Findings", exact=True).count() == 1
