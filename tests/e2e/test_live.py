"""Live pages over a real sockets process and a real Valkey: updates, staleness, polling, recovery."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aivillage_console.accounts.services import Actor
from alerts.engine.episodes import Seen
from alerts.models import Alert
from alerts.pipeline import Observation
from alerts.services import actions
from alerts.services.decide import observe
from tests.e2e.sockets import SocketsProcess, elsewhere

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def fire(name: str) -> None:
    """Let an alert begin, as the door for ready-made alerts does."""
    seen = Observation(name=name, labels={"host": "h9"}, seen=Seen.FIRING, severity="critical")
    elsewhere(lambda: observe(seen, now=datetime.now(UTC)))


def link(page: Any, state: str, seconds: int = 30) -> None:
    """Wait until the page says how it is connected."""
    page.locator(f"html[data-link={state}]").wait_for(state="attached", timeout=seconds * 1000)


def live(page: Any) -> None:
    """Wait until the page says it is live."""
    link(page, "live")


def test_a_new_alert_appears_in_an_open_inbox_and_on_the_overview(
    open_context: Any, alert: Alert, sockets: SocketsProcess
) -> None:
    context = open_context()
    inbox, overview = context.new_page(), context.new_page()
    inbox.goto("/alerts/")
    overview.goto("/")
    live(inbox)
    live(overview)
    inbox.mouse.move(5, 5)
    fire("FreshAlert")
    inbox.get_by_role("link", name="FreshAlert").wait_for()
    overview.get_by_text("2 critical").wait_for()
    assert inbox.locator("tbody tr").count() == 2


def test_a_new_alert_waits_behind_a_pill_under_the_pointer(
    open_context: Any, alert: Alert, sockets: SocketsProcess
) -> None:
    page = open_context().new_page()
    page.goto("/alerts/")
    live(page)
    page.get_by_role("link", name="DiskFull").hover()
    fire("FreshAlert")
    page.get_by_role("button", name="1 new").wait_for()
    assert page.get_by_role("link", name="FreshAlert").count() == 0
    page.get_by_role("button", name="1 new").click()
    page.get_by_role("link", name="FreshAlert").wait_for()


def test_an_acknowledgement_in_another_tab_shows_on_the_open_alert(
    open_context: Any, alert: Alert, sockets: SocketsProcess
) -> None:
    page = open_context().new_page()
    page.goto(f"/alerts/{alert.pk}/")
    live(page)
    actor = Actor(kind="user", label="bob@example.org")
    facts: dict[str, Any] = {"alert_id": alert.pk, "version": alert.version, "actor": actor}
    elsewhere(lambda: actions.alert_acknowledge(**facts, now=datetime.now(UTC)))
    page.get_by_text("Acknowledged by").first.wait_for()
    assert page.get_by_role("button", name="Undo acknowledge").count() == 1


def test_a_hung_sockets_process_makes_the_page_stale_then_polling_and_recovery_catches_up(
    open_context: Any, alert: Alert, sockets: SocketsProcess
) -> None:
    page = open_context().new_page()
    page.goto("/alerts/")
    live(page)
    page.mouse.move(5, 5)
    sockets.freeze()
    link(page, "stale")
    assert page.locator(".conn").inner_text() == "Stale"
    opacity = page.evaluate("getComputedStyle(document.querySelector('#alerts > *')).opacity")
    sockets.kill()
    fire("WhileAway")
    page.get_by_role("link", name="WhileAway").wait_for(timeout=20_000)
    link(page, "polling")
    sockets.start()
    live(page)
    fire("AfterReturn")
    page.get_by_role("link", name="AfterReturn").wait_for()
    assert float(opacity) < 1


def test_undo_after_an_acknowledgement_gives_the_alert_back(
    open_context: Any, alert: Alert, sockets: SocketsProcess
) -> None:
    page = open_context().new_page()
    page.goto(f"/alerts/{alert.pk}/")
    live(page)
    page.keyboard.press("a")
    page.get_by_role("button", name="Undo (").click()
    page.get_by_role("button", name="Acknowledge", exact=True).wait_for()
    alert.refresh_from_db()
    assert alert.acked_at is None
