"""The pages of Agent Forge in a real browser: they grow while one looks, never lose one's place, and read for all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from aivillage_console.lib import live
from forge_dashboard.models import PhaseRun, Run
from forge_dashboard.selectors import following
from tests.e2e.sockets import SocketsProcess
from tests.pages.forge_runs import add_curve, add_lines, add_outcome, add_phases, make_run, touch

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
TABS = ("overview", "metrics", "logs", "config", "artifacts")
AT_END = "(b => b.scrollHeight - b.scrollTop - b.clientHeight < 24)(document.querySelector('.tail-box'))"


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    """Begin with nothing remembered of any run."""
    following.forget()


@pytest.fixture
def whole(transactional_db: None) -> Run:
    """Return a run at work that has some of everything."""
    run = make_run(config={"lr": 0.1}, tags=["nightly"], owner="eva")
    add_phases(run)
    add_curve(run, "loss", [2.0 - place / 40 for place in range(40)])
    add_curve(run, "success_rate", [0.5 + place / 100 for place in range(20)])
    add_lines(run, 120)
    add_lines(run, 1, level="error", text="broken")
    add_lines(run, 60, text="after")
    add_outcome(run)
    return run


@pytest.fixture
def sockets(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[SocketsProcess]:
    """Return a sockets process that pages of the live server connect to."""
    process = SocketsProcess(live_server.url, connection.settings_dict)
    origin = f"ws://{live_server.thread.host}:{process.port}"
    monkeypatch.setattr(type(settings.CONFIG), "sockets_origin", property(lambda _: origin))
    monkeypatch.setitem(settings.CONTENT_SECURITY_POLICY["DIRECTIVES"], "connect-src", ["'self'", origin])
    process.start()
    yield process
    process.kill()


def elsewhere(work: Callable[[], object]) -> None:
    """Do something in a thread of its own, for Playwright's event loop runs in this one."""

    def then_close() -> None:
        try:
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(then_close).result()


def told(run: Run, work: Callable[[], object]) -> None:
    """Change a run as its door does: one transaction, a new version, and the pages are rung."""

    def change() -> None:
        with transaction.atomic():
            work()
            touch(run)
            live.ring(f"run:{run.pk}")
            live.ring("forge")

    elsewhere(change)


def open_live(context: Any, path: str) -> Any:
    """Open a page and wait until it is live."""
    page = context.new_page()
    page.goto(path)
    page.locator("html[data-link=live]").wait_for(state="attached", timeout=30_000)
    return page


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_is_accessible_and_never_scrolls_sideways(
    open_context: Any, whole: Run, theme: str, width: int
) -> None:
    failed = make_run("night-0", "failed")
    add_phases(failed, ("succeeded", "failed"))
    context = open_context(theme, width)
    found = {}
    paths = ["/forge/", "/forge/?q=nothing", f"/forge/runs/{failed.pk}/"]
    for path in [*paths, *(f"/forge/runs/{whole.pk}/?tab={tab}" for tab in TABS)]:
        page = context.new_page()
        page.goto(path)
        problems = [(v["id"], v["nodes"][0]["target"]) for v in Axe().run(page).response["violations"]]
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        if problems or wide:
            found[path] = (problems, wide)
        page.close()
    assert found == {}


def test_an_empty_list_is_accessible(open_context: Any) -> None:
    page = open_context(width=390).new_page()
    page.goto("/forge/")
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert ([v["id"] for v in Axe().run(page).response["violations"]], wide) == ([], False)


def test_a_new_run_appears_in_an_open_list_and_the_row_one_is_at_stays(
    open_context: Any, whole: Run, sockets: SocketsProcess
) -> None:
    page = open_live(open_context(), "/forge/")
    page.keyboard.press("j")
    told(whole, lambda: make_run("fresh-run", minutes=1))
    page.get_by_role("button", name="1 new").click()
    page.get_by_role("link", name="fresh-run").wait_for()
    cursor = page.locator("tr.cursor").inner_text()
    assert (page.locator("tbody tr").count(), "night-1" in cursor) == (2, True)


def test_lines_points_and_progress_reach_an_open_page(open_context: Any, whole: Run, sockets: SocketsProcess) -> None:
    page = open_live(open_context(), f"/forge/runs/{whole.pk}/")
    curve = whole.curves.get(name="loss")

    def change() -> None:
        add_lines(whole, 3, text="fresh")
        PhaseRun.objects.filter(run=whole, state="running").update(step=777, last_event_at=timezone.now())

    told(whole, change)
    page.get_by_text("fresh 2").wait_for()
    page.locator("[data-step='777']").wait_for(state="attached")
    holder = page.locator(f"[data-curve='{curve.pk}']")
    assert (page.evaluate(AT_END), holder.count()) == (True, 1)


def test_the_bar_of_the_phase_at_work_grows_by_the_clock(open_context: Any, whole: Run) -> None:
    page = open_context().new_page()
    page.goto(f"/forge/runs/{whole.pk}/")
    read = "document.querySelector('rect[data-since]').getAttribute('width')"
    first = page.evaluate(read)
    page.wait_for_timeout(2_500)
    assert float(page.evaluate(read).rstrip("%")) > float(first.rstrip("%"))


def test_scrolling_up_pauses_the_log_says_so_and_the_full_stop_resumes(
    open_context: Any, whole: Run, sockets: SocketsProcess
) -> None:
    page = open_live(open_context(), f"/forge/runs/{whole.pk}/?tab=logs")
    page.locator(".tail-box").hover()
    page.mouse.wheel(0, -600)
    page.locator(".tail-bar").wait_for()
    place = page.evaluate("document.querySelector('.tail-box').scrollTop")
    told(whole, lambda: add_lines(whole, 4, text="held"))
    page.get_by_text("4 new").wait_for()
    kept = page.evaluate("document.querySelector('.tail-box').scrollTop")
    hidden = page.get_by_text("held 3").count()
    page.keyboard.press(".")
    page.get_by_text("held 3").wait_for()
    assert (kept, hidden, page.evaluate(AT_END), page.locator(".tail-bar").is_visible()) == (place, 0, True, False)


def test_n_leads_to_the_error_and_its_address_leads_back(open_context: Any, whole: Run) -> None:
    page = open_context().new_page()
    page.goto(f"/forge/runs/{whole.pk}/?tab=logs")
    page.keyboard.press("n")
    chosen = page.locator(".line.chosen")
    text = chosen.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**line=*")
    again = page.locator(".line.chosen").inner_text()
    assert ("broken 0" in text, "broken 0" in again, page.get_by_role("button", name="Go to the end").count()) == (
        True, True, 1)  # fmt: skip


def test_p_leads_through_the_phases_from_the_one_at_work(open_context: Any, whole: Run) -> None:
    page = open_context().new_page()
    page.goto(f"/forge/runs/{whole.pk}/")
    names = []
    for _ in range(2):
        page.keyboard.press("p")
        names.append(page.evaluate("document.activeElement.textContent"))
    assert names == ["Quiet-STaR", "BitNet"]


def test_what_is_selected_stays_selected_while_the_page_is_refreshed(
    open_context: Any, whole: Run, sockets: SocketsProcess
) -> None:
    page = open_live(open_context(), f"/forge/runs/{whole.pk}/")
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#run-now .big'))")
    told(whole, lambda: PhaseRun.objects.filter(run=whole, state="running").update(step=555))
    told(whole, lambda: add_lines(whole, 1, text="later"))
    page.get_by_text("later 0").wait_for()
    chosen = page.evaluate("String(getSelection())")
    page.evaluate("getSelection().removeAllRanges()")
    page.locator("[data-step='555']").wait_for(state="attached")
    assert chosen == "Quiet-STaR"


def test_a_silent_socket_makes_the_page_say_how_old_it_is(
    open_context: Any, whole: Run, sockets: SocketsProcess
) -> None:
    page = open_live(open_context(), f"/forge/runs/{whole.pk}/")
    sockets.freeze()
    page.get_by_text("Nothing was heard from the console since").wait_for(timeout=30_000)
    sockets.kill()
    sockets.start()
    page.locator("html[data-link=live]").wait_for(state="attached", timeout=30_000)
    page.locator(".stale-bar").wait_for(state="hidden")
    assert page.locator(".stale-bar").is_hidden()


def test_without_scripts_every_view_can_be_read(open_context: Any, whole: Run, live_server: Any) -> None:
    signed_in = open_context()
    context = signed_in.browser.new_context(java_script_enabled=False, base_url=live_server.url)
    context.add_cookies(signed_in.cookies())
    page = context.new_page()
    texts = []
    for tab in TABS:
        page.goto(f"/forge/runs/{whole.pk}/?tab={tab}")
        texts.append(page.locator("main").inner_text())
    context.close()
    wanted = ("430 of 1,000", "View as table", "after 59", "0.1", "merged.safetensors")
    assert [word in text for word, text in zip(wanted, texts, strict=True)] == [True] * 5
