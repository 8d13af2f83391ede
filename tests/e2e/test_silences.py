"""Silences in a browser: nothing for axe to say, fit for a phone, and keys alone suffice."""

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from aivillage_console.lib import clock
from alerts.models import Alert, Inhibition, MuteTime, Silence

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def disk(transactional_db: None) -> Alert:
    """Return an alert that fires; there is one silence, one mute time and one inhibition."""
    now = clock.now()
    Silence.objects.create(
        matchers=[{"name": "component", "value": "p2p", "isRegex": False, "isEqual": True}], author="ada@example.org",
        starts_at=now - timedelta(hours=9), ends_at=now + timedelta(hours=2), reason="The mesh is rebuilt",
    )  # fmt: skip
    MuteTime.objects.create(name="Weekends", intervals=[{"weekdays": ["saturday", "sunday"]}])
    Inhibition.objects.create(name="node", source_matchers=["alertname=NodeDown"], equal=["host"])
    return Alert.objects.create(
        fingerprint="f" * 64, name="DiskFull", state="firing", severity="critical", labels={"host": "h1"},
        started_at=now, updated_at=now,
    )  # fmt: skip


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_the_pages_are_for_everyone_and_fit(open_context: Any, disk: Alert, theme: str, width: int) -> None:
    page = open_context(theme, width).new_page()
    said = []
    paths = [
        "", "?state=expired", f"new/?alert={disk.pk}", f"{Silence.objects.get().pk}/", "calendar/",
        "calendar/?view=week", "mute-times/", f"mute-times/{MuteTime.objects.get().pk}/", "inhibitions/",
        f"inhibitions/{Inhibition.objects.get().pk}/",
    ]  # fmt: skip
    for path in paths:
        page.goto(f"/silences/{path}")
        said += [(path, rule["id"], rule["nodes"][0]["html"][:120]) for rule in Axe().run(page).response["violations"]]
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            said.append((path, "wider than the window", ""))
    assert said == []


def test_s_and_enter_silence_an_alert_and_u_takes_it_back(open_context: Any, disk: Alert) -> None:
    Silence.objects.all().delete()
    page = open_context().new_page()
    page.goto(f"/alerts/{disk.pk}/")
    page.keyboard.press("s")
    page.wait_for_url("**/silences/new/**")
    assert "Now: 1 of 1 open alert" in page.locator("#preview").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url("**/silences/?done=made**")
    assert Silence.objects.get().ends_at > clock.now() + timedelta(minutes=50)
    page.keyboard.press("u")
    page.wait_for_url("**/silences/?done=ended**")
    assert Silence.objects.get().ends_at <= clock.now()


def test_text_and_rows_follow_each_other(open_context: Any, disk: Alert) -> None:
    page = open_context().new_page()
    page.goto("/silences/new/")
    page.get_by_label("Which alerts").fill('alertname=~"Disk.*"')
    page.get_by_label("Value 1", exact=True).wait_for()
    assert page.get_by_label("Value 1", exact=True).input_value() == "Disk.*"
    page.get_by_role("button", name="Add a matcher").click()
    page.get_by_label("Label 2", exact=True).fill("host")
    page.get_by_label("Value 2", exact=True).fill('h"2')
    assert page.get_by_label("Which alerts").input_value() == 'alertname=~"Disk.*", host="h\\"2"'
    page.get_by_text("Now: 0 of 1 open alert").wait_for()
    assert page.get_by_label("Value 2", exact=True).input_value() == 'h"2'
