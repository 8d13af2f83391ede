"""The doors and the pages while PostgreSQL is really gone: 503, never a yes, never a 500. Without Valkey: as ever."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bench import roles
from bench.harness import Console, running_console

# A whole console starts first, which takes its time where others are at work too.
pytestmark = pytest.mark.timeout(300)
PATIENCE_SECONDS = 60
# While the supervisor is stopped nobody reads what the roles log, so only so many errors fit: some of the pages.
AWAY = ("/alerts/", "/security/", "/forge/", "/health/", "/api/console/v1/findings/")
PAGES = ("/", "/alerts/", "/setup/", "/security/", "/security/blocks/", "/forge/", "/health/", "/health/report/")
NOUNS = ("alerts", "security-events", "findings", "blocks", "components", "checks", "runs", "hooks", "channels")
ROWS: dict[str, dict[str, Any]] = {
    "security-events": {"event_type": "auth_failure", "source_ip": "192.0.2.7"},
    "pipeline-events": {"event_id": "1", "run_id": "r", "kind": "log", "message": "x"},
    "health-results": {"component": "edge", "check": "answers", "status": "healthy"},
}
SCOPES = ["ingest:alerts", "ingest:security", "ingest:pipelines", "ingest:health"]


@dataclass
class Asker:
    """Somebody signed in, and a source with a token, at a running console."""

    console: Console
    token: str
    cookies: dict[str, str]
    sent: int = 0

    def page(self, path: str) -> httpx.Response:
        """Ask for a page, or something of the API."""
        return httpx.get(f"{self.console.url}{path}", cookies=self.cookies, timeout=30)

    def _post(self, path: str, body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.post(f"{self.console.url}{path}", json=body, headers=headers, timeout=30)

    def alert(self) -> httpx.Response:
        """Send an alert of its own name."""
        self.sent += 1
        return self._post("/api/v2/alerts", [{"labels": {"alertname": "Outage", "number": str(self.sent)}}])

    def row(self, kind: str) -> httpx.Response:
        """Send a row of a kind in a batch of its own."""
        self.sent += 1
        return self._post(f"/api/v1/ingest/{kind}", {"batch_id": str(self.sent), "rows": [ROWS[kind]]})

    def asked(self, *some: str) -> list[httpx.Response]:
        """Knock at every door, and ask for some pages or for every one."""
        paths = some or (*PAGES, *(f"/api/console/v1/{noun}/" for noun in NOUNS))
        return [self.alert(), *(self.row(kind) for kind in ROWS), *(self.page(path) for path in paths)]


@pytest.fixture(scope="module")
def asker() -> Iterator[Asker]:
    """Yield who asks, at a console of this module alone."""
    with running_console() as console:
        made = roles.furnish(roles.environment(console), {"scopes": SCOPES, "session": True})
        yield Asker(console, made["token"], made["cookies"])


@contextmanager
def killed(console: Console, server: str) -> Iterator[None]:
    """Kill a server, and nobody brings it back within this block."""
    console.process.send_signal(signal.SIGSTOP)
    try:
        assert roles.kill(roles.by_role(console)[server]) >= 1
        yield
    finally:
        console.process.send_signal(signal.SIGCONT)


def until(true: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def statuses(answers: list[httpx.Response]) -> dict[str, int]:
    return {f"{answer.request.method} {answer.request.url.path}": answer.status_code for answer in answers}


def test_while_postgresql_is_down_doors_and_pages_say_503_and_when_to_come_again(asker: Asker) -> None:
    before = statuses(asker.asked())
    assert set(before.values()) == {200}, before
    with killed(asker.console, "postgres"):
        # A token that is still remembered, and one that has to be looked up, which is after its four seconds.
        answers = [asker.alert(), *(asker.row(kind) for kind in ROWS)]
        time.sleep(4.5)
        answers += asker.asked(*AWAY)
    assert set(statuses(answers).values()) == {503}, statuses(answers)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert answers[0].json()["code"] == 503
    shown = [answer.text for answer in answers if answer.request.url.path in PAGES]
    assert all("<html" in text and "Traceback" not in text for text in shown)
    until(lambda: asker.alert().status_code == 200, "the door did not recover")


def test_while_valkey_is_down_doors_take_and_pages_are_shown(asker: Asker) -> None:
    until(lambda: asker.alert().status_code == 200, "the console is not up")
    with killed(asker.console, "valkey-server"):
        answers = asker.asked()
    assert set(statuses(answers).values()) == {200}, statuses(answers)
    assert all(answer.json()["accepted"] == 1 for answer in answers[1 : 1 + len(ROWS)])
    until(lambda: roles.by_role(asker.console).get("valkey-server"), "nobody brought the server back")
