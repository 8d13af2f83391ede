"""A Chromium of the system, a live server, and an alert to look at."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from alerts.models import Alert
from tests.e2e.sockets import SocketsProcess

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Return a browser; where the system has none the tests are skipped."""
    path = next((found for found in map(shutil.which, NAMES) if found), None)
    if path is None:
        pytest.skip("no Chromium on this machine: `make browser` installs one")
    # Playwright's event loop runs in this thread, and Django would refuse the ORM beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        # uPlot throws at load under the locale of a bare container, hence the language.
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--lang=en-US"])
        yield launched
        launched.close()


@pytest.fixture
def alert(transactional_db: None) -> Alert:
    """Return a critical alert that fires."""
    at = datetime.now(UTC) - timedelta(minutes=5)
    return Alert.objects.create(
        fingerprint="e" * 64, name="DiskFull", state="firing", severity="critical", labels={"host": "h1"},
        annotations={"runbook": "1. Look"}, value=91.0, threshold=85.0, started_at=at, updated_at=at,
    )  # fmt: skip


@pytest.fixture
def open_context(chromium: Browser, live_server: Any, transactional_db: None) -> Iterator[Any]:
    """Return a maker of signed-in browser windows."""
    made: list[BrowserContext] = []

    def make(theme: str = "light", width: int = 1440, role: str = "admin") -> BrowserContext:
        user = get_user_model().objects.create_user(f"{role}@example.org", "a-long-password-1", role=role)
        client = Client()
        client.force_login(user)
        context = chromium.new_context(
            base_url=live_server.url, color_scheme=theme, viewport={"width": width, "height": 900}, locale="en-US"
        )  # type: ignore[arg-type]
        cookie = client.cookies["session"].value
        context.add_cookies([{"name": "session", "value": cookie, "url": live_server.url}])
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


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
