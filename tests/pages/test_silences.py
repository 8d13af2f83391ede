"""The pages of silences, mute times, inhibitions and the calendar."""

from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from aivillage_console.lib import clock
from alerts.models import Alert, Inhibition, MuteTime, Notification, Policy, Silence

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
DISK = 'alertname="DiskFull", host="h1"'
FORM = {"matchers": DISK, "reason": "new disks", "lasts": "1h", "handover_minutes": "15"}
TIMES = {
    "name": "Backups", "enabled": "on", "i-TOTAL_FORMS": "1", "i-INITIAL_FORMS": "0",
    "i-0-times": "22:00-24:00, 0-6:00", "i-0-weekdays": ["saturday", "sunday"], "i-0-location": "Europe/Berlin",
}  # fmt: skip
INHIBITION = {"name": "node down", "source_matchers": "alertname=NodeDown", "target_matchers": 'severity=~"h.*"',
              "equal": "host, cluster", "enabled": "on"}  # fmt: skip
QUERIES = {"": 7, "?state=expired&q=new": 6, "<silence>/": 11, "calendar/": 6, "calendar/?view=week": 6,
           "mute-times/": 6, "mute-times/<times>/": 6, "inhibitions/": 6, "inhibitions/<rule>/": 5}  # fmt: skip


def text_of(page: bytes | str) -> str:
    text = page.decode() if isinstance(page, bytes) else page
    return " ".join(unescape(strip_tags(text.replace("<", " <"))).split())


@pytest.fixture
def made(alert: Alert) -> dict[str, Any]:
    """Return one silence, mute time and inhibition."""
    now = clock.now()
    held = [{"name": "alertname", "value": "DiskFull", "isRegex": False, "isEqual": True}]
    silence = Silence.objects.create(
        matchers=held, starts_at=now - timedelta(days=1), ends_at=now + timedelta(hours=2), author="ada@example.org",
        reason=f"new disks {HOSTILE}", handover_at=now + timedelta(hours=1),
    )  # fmt: skip
    times = MuteTime.objects.create(name=f"nights {HOSTILE}", intervals=[{"times": [
        {"start_time": "22:00", "end_time": "24:00"}]}])  # fmt: skip
    rule = Inhibition.objects.create(name="node", source_matchers=["alertname=X"], target_matchers=["host=h1"])
    return {"silence": silence, "times": times, "rule": rule}


def path_of(tail: str, made: dict[str, Any]) -> str:
    for name, row in made.items():
        tail = tail.replace(f"<{name}>", str(row.pk))
    return f"/silences/{tail}"


@pytest.mark.parametrize("tail", QUERIES)
def test_a_viewer_reads_each_page_with_the_queries_it_is_known_for(person: Any, made: Any, tail: str) -> None:
    viewer, path = person("viewer"), path_of(tail, made)
    viewer.get(path)
    with CaptureQueriesContext(connection) as queries:
        answer = viewer.get(path)
    asked = [each["sql"] for each in queries if "SAVEPOINT" not in each["sql"] and "set_config" not in each["sql"]]
    assert (answer.status_code, len(asked)) == (200, QUERIES[tail]), asked
    body = answer.content.decode()
    assert HOSTILE not in body
    assert 'type="submit"' not in body.partition("<main")[2]


def test_the_list_tells_states_counts_and_what_is_stale(person: Any, made: Any) -> None:
    Silence.objects.filter(pk=made["silence"].pk).update(matched_at=clock.now() - timedelta(hours=7))
    body = text_of(person("responder").get("/silences/").content)
    assert 'alertname="DiskFull"' in body
    assert "1 alert" in body
    assert "nothing for 7 h" in body
    assert "Active 1 Pending 0 Expired 0" in body


@pytest.mark.parametrize(("text", "found"), [("alertname=DiskFull", 1), ("diskf", 1), ("ada@", 1), ("host=h1", 0)])
def test_silences_are_found_by_matcher_reason_and_author(person: Any, made: Any, text: str, found: int) -> None:
    body = person("viewer").get("/silences/", {"q": text}).content.decode()
    assert (f'id="silence-{made["silence"].pk}"' in body) is bool(found)


@pytest.mark.parametrize("state", ["active", "pending", "expired"])
def test_empty_states_say_what_silences_are_for(person: Any, state: str) -> None:
    body = person("viewer").get(f"/silences/?state={state}").content.decode()
    assert ("Nothing is silenced" if state == "active" else f"No silence is {state}") in body


def test_an_alert_is_silenced_in_two_steps_and_taken_back_in_one(person: Any, alert: Alert) -> None:
    responder = person("responder")
    assert f"/silences/new/?alert={alert.pk}" in responder.get(f"/alerts/{alert.pk}/").content.decode()
    page = responder.get(f"/silences/new/?alert={alert.pk}&lasts=1h").content.decode()
    assert "alertname=&quot;DiskFull&quot;, host=&quot;h1&quot;" in page
    assert f"Looking into #{alert.pk} DiskFull" in page
    assert "Now: 1 of 1 open alert" in text_of(page)
    saved = responder.post("/silences/new/", FORM, follow=True)
    silence = Silence.objects.get()
    assert (silence.author, silence.reason) == ("responder@example.org", "new disks")
    assert silence.ends_at - silence.starts_at == timedelta(hours=1)
    assert "Undo" in text_of(saved.content)
    responder.post(f"/silences/{silence.pk}/end/", {"until": ""})
    assert Silence.objects.get().ends_at <= clock.now()


def test_an_end_is_taken_back_with_the_end_it_had(person: Any, made: Any) -> None:
    responder, row = person("responder"), made["silence"]
    shown = responder.post(f"/silences/{row.pk}/end/", {"version": row.version}, follow=True)
    assert f'value="{row.ends_at.isoformat()}"' in shown.content.decode()
    responder.post(f"/silences/{row.pk}/again/", {"until": row.ends_at.isoformat()})
    assert Silence.objects.get(ends_at__gt=clock.now()).ends_at == row.ends_at


def test_a_silence_is_extended_and_a_stale_page_changes_nothing(person: Any, made: Any) -> None:
    responder, row = person("responder"), made["silence"]
    shown = responder.post(f"/silences/{row.pk}/extend/", {"by": "4h", "version": 1}, follow=True)
    assert "The silence is extended" in shown.content.decode()
    assert Silence.objects.get().ends_at == row.ends_at + timedelta(hours=4)
    refused = responder.post(f"/silences/{row.pk}/extend/", {"by": "4h", "version": 1}, follow=True)
    assert "Somebody changed this silence meanwhile" in refused.content.decode()
    stale = responder.post(f"/silences/{row.pk}/save/", {**FORM, "version": 1})
    assert stale.status_code == 409
    assert responder.post(f"/silences/{row.pk}/burn/").status_code == 404


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"matchers": 'host=~"a("'}, "error parsing regexp"),
        ({"matchers": " "}, "at least one matcher"),
        ({"reason": ""}, "Say why, for those who wonder later."),
        ({"lasts": "until"}, "Say when it ends"),
        ({"lasts": "until", "ends_at": "2020-01-01T00:00"}, "This end has passed already"),
        ({"lasts": "until", "ends_at": "2999-01-01T00:00"}, "A silence lasts at most 30 days"),
        ({"lasts": "until", "ends_at": "soon"}, "Write a time as 2026-11-21T18:30."),
        ({"handover_minutes": "9999"}, "less than or equal to 1440"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(person: Any, change: dict[str, str], said: str) -> None:
    answer = person("responder").post("/silences/new/", {**FORM, **change})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Silence.objects.exists()


def test_times_are_read_in_the_zone_of_the_reader(person: Any) -> None:
    responder = person("responder")
    get_user_model().objects.update(time_zone="Asia/Kolkata")
    until = (datetime.now(UTC) + timedelta(days=2)).replace(hour=6, minute=0, second=0, microsecond=0)
    answer = responder.post("/silences/new/", {**FORM, "lasts": "until", "ends_at": f"{until:%Y-%m-%d}T11:30"})
    assert answer.status_code == 302
    assert Silence.objects.get().ends_at == until


def test_the_preview_tells_what_is_covered_and_rewrites_the_rows(person: Any, alert: Alert) -> None:
    now = clock.now()
    Notification.objects.create(
        key="k", alert=alert, channel_name="hook", kind="fire", state="done", created_at=now, due_at=now,
        deadline_at=now, payload={"severity": "critical"},
    )  # fmt: skip
    client, htmx = person("responder"), {"HX-Request": "true"}
    body = client.post("/silences/preview/", {"matchers": 'alertname=~"Disk.*"', "lasts": "1h"}, headers=htmx).content
    said = text_of(body)
    assert "It covers" not in said
    assert "it would have hidden 1 message" in said
    assert "1 of the messages was critical." in said
    assert b'hx-swap-oob="innerHTML"' in body
    assert b'value="Disk.*"' in body
    typed = {"matchers": DISK, "edited": "rows", "lasts": "1h"}
    assert b"hx-swap-oob" not in client.post("/silences/preview/", typed, headers=htmx).content
    wide = client.post("/silences/preview/", {"matchers": 'alertname=~".+"', "lasts": "1h"}, headers=htmx)
    assert "It covers every alert there is" in text_of(wide.content)
    none = client.post("/silences/preview/", {"matchers": "host=z", "lasts": "30d"}, headers=htmx)
    assert "covers none of the alerts that are open" in text_of(none.content)


def test_alerts_chosen_in_the_inbox_and_filters_become_matchers(person: Any, alert: Alert) -> None:
    other = Alert.objects.create(
        fingerprint="g" * 64, name="NodeDown", state="firing", severity="high", labels={"host": "h1"},
        started_at=alert.started_at, updated_at=alert.updated_at,
    )  # fmt: skip
    responder = person("responder")
    sent = responder.post("/silences/chosen/", {"id": [alert.pk, other.pk, "x"]})
    assert sent["Location"] == f"/silences/new/?alert={alert.pk}&alert={other.pk}&lasts=1h"
    page = responder.get(sent["Location"]).content.decode()
    assert "alertname=~&quot;DiskFull|NodeDown&quot;, host=&quot;h1&quot;" in page
    filtered = responder.get("/silences/new/?q=disk+host=h1&sev=critical").content.decode()
    assert "alertname=~&quot;(?i).*disk.*&quot;, host=&quot;h1&quot;, severity=&quot;critical&quot;" in filtered


def test_the_inbox_and_the_alert_say_what_is_silenced(person: Any, made: Any, alert: Alert) -> None:
    viewer = person("viewer")
    assert "silenced" in text_of(viewer.get("/alerts/").content)
    page = viewer.get(f"/alerts/{alert.pk}/").content.decode()
    assert f"/silences/{made['silence'].pk}/" in page
    now = clock.now()
    Silence.objects.update(ends_at=now - timedelta(minutes=5), handover_at=None)
    assert "A silence ended" in text_of(viewer.get(f"/alerts/{alert.pk}/").content)


def test_a_mute_time_is_made_previewed_changed_and_deleted(person: Any) -> None:
    editor = person("editor")
    policy = Policy.objects.create(name="night")
    shown = editor.post("/silences/mute-times/preview/", TIMES, headers={"HX-Request": "true"})
    assert text_of(shown.content).count(" to ") == 10
    made = editor.post("/silences/mute-times/new/", {**TIMES, "policies": [str(policy.pk)]})
    row = MuteTime.objects.get()
    assert made["Location"] == f"/silences/mute-times/{row.pk}/"
    spans = [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "6:00"}]
    assert row.intervals[0]["weekdays"] == ["sunday", "saturday"]
    assert [each["end_time"] for each in row.intervals[0]["times"]] == [spans[0]["end_time"], "06:00"]
    assert list(row.policies.all()) == [policy]
    page = editor.get(made["Location"]).content.decode()
    assert 'value="22:00-24:00, 00:00-06:00"' in page
    changed = {**TIMES, "i-INITIAL_FORMS": "1", "i-TOTAL_FORMS": "2", "i-1-months": "december", "version": "1"}
    editor.post(f"/silences/mute-times/{row.pk}/save/", changed)
    assert [sorted(each) for each in MuteTime.objects.get().intervals] == [
        ["location", "times", "weekdays"], ["months"],
    ]  # fmt: skip
    assert editor.post(f"/silences/mute-times/{row.pk}/save/", changed).status_code == 409
    editor.post(f"/silences/mute-times/{row.pk}/delete/")
    assert not MuteTime.objects.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"i-0-location": "Mars/Olympus"}, "There is no time zone"),
        ({"i-0-times": "25:00-26:00"}, "Write hours and minutes as 09:30"),
        ({"i-0-times": "22:00-06:00"}, "Write hours and minutes as 09:30"),
        ({"i-0-times": "noon"}, "is no span of time"),
        ({"i-0-days_of_month": "40"}, "Days are 1 to 31"),
        ({"i-0-months": "smarch"}, "Months are their names"),
        ({"matchers": 'host=~"("'}, "error parsing regexp"),
        ({"name": ""}, "This field is required."),
        ({"i-0-times": "", "i-0-weekdays": [], "i-0-location": ""}, "Fill in at least one interval"),
    ],
)
def test_a_wrong_mute_time_is_refused_at_its_field(person: Any, change: dict[str, Any], said: str) -> None:
    answer = person("editor").post("/silences/mute-times/new/", {**TIMES, **change})
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not MuteTime.objects.exists()


def test_an_inhibition_is_made_changed_and_deleted(person: Any, alert: Alert) -> None:
    editor = person("editor")
    made = editor.post("/silences/inhibitions/new/", INHIBITION)
    row = Inhibition.objects.get()
    assert (row.source_matchers, row.equal) == (['alertname="NodeDown"'], ["host", "cluster"])
    assert "Nothing: no alert" in editor.get(made["Location"]).content.decode()
    editor.post(f"/silences/inhibitions/{row.pk}/save/", {**INHIBITION, "equal": "", "version": "1"})
    assert (Inhibition.objects.get().version, Inhibition.objects.get().equal) == (2, [])
    twice = editor.post("/silences/inhibitions/new/", INHIBITION)
    assert (twice.status_code, "already exists" in twice.content.decode()) == (422, True)
    empty = editor.post("/silences/inhibitions/new/", {"name": "all", "enabled": "on"})
    assert "would keep all others quiet" in empty.content.decode()
    editor.post(f"/silences/inhibitions/{row.pk}/delete/")
    assert not Inhibition.objects.exists()


def test_the_calendar_shows_each_day_in_the_zone_of_the_reader(person: Any, made: Any) -> None:
    viewer = person("viewer")
    get_user_model().objects.update(time_zone="Europe/Berlin")
    Silence.objects.update(
        starts_at=datetime(2026, 12, 24, 12, tzinfo=UTC), ends_at=datetime(2026, 12, 25, 23, tzinfo=UTC)
    )
    month = text_of(viewer.get("/silences/calendar/?at=2026-12-02").content)
    assert "December 2026" in month
    assert "Europe/Berlin" in month
    assert "13:00–24:00 new disks" in month
    assert "all day new disks" in month
    assert "23:00–24:00 nights" in month
    week = text_of(viewer.get("/silences/calendar/?view=week&at=2026-12-24").content)
    assert "21 December to 27 December 2026" in week
    assert "00:00–01:00 nights" in week
    odd = viewer.get("/silences/calendar/?view=year&at=9999-99-99")
    assert odd.status_code == 200
