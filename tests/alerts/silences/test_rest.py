"""Silences, mute times and inhibitions over REST."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from aivillage_console.lib import clock
from alerts.models import Alert, Inhibition, MuteTime, Policy, Silence

pytestmark = pytest.mark.django_db
API = "/api/console/v1/"


@pytest.fixture
def call(db: None) -> Callable[..., Any]:
    """Return a caller with the role of an editor."""
    user = get_user_model().objects.create_user("eva@example.org", None, role="editor")
    client = Client()
    client.force_login(user)

    def ask(method: str, path: str, body: Any = None) -> Any:
        return client.generic(
            method, API + path, data=orjson.dumps(body) if body is not None else b"", content_type="application/json"
        )

    return ask


def ends(hours: float) -> str:
    return (clock.now() + timedelta(hours=hours)).isoformat()


def test_a_silence_is_made_changed_extended_and_ended(call: Callable[..., Any]) -> None:
    body = {"matchers": "alertname=DiskFull", "reason": "new disks", "ends_at": ends(1)}
    made = call("POST", "silences/", body)
    assert made.status_code == 201, made.content
    said = made.json()
    assert (said["text"], said["state"], said["author"]) == ('alertname="DiskFull"', "active", "eva@example.org")
    one = f"silences/{said['id']}/"
    longer = call("POST", f"{one}extend/", {"ends_at": ends(5), "expected_version": 1})
    assert longer.json()["version"] == 2
    stale = call("POST", f"{one}end/", {"expected_version": 1})
    assert stale.status_code == 409
    changed = call("PUT", one, {**body, "matchers": "alertname=NodeDown"}).json()
    assert changed["id"] != said["id"]
    ended = call("POST", f"silences/{changed['id']}/end/", {})
    assert ended.json()["state"] == "expired"
    assert len(call("GET", "silences/").json()["results"]) == 2
    assert call("DELETE", one).status_code == 405


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"matchers": 'a=~"("'}, "matchers", "error parsing regexp"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at", "has passed"),
        ({"colour": "red"}, "colour", "not known"),
    ],
)
def test_a_wrong_silence_is_refused(call: Callable[..., Any], change: dict[str, Any], field: str, said: str) -> None:
    body = {"matchers": "alertname=DiskFull", "reason": "new disks", "ends_at": ends(1), **change}
    answer = call("POST", "silences/", body)
    assert answer.status_code == 400
    assert said in str(answer.json())
    assert field in str(answer.json())
    assert not Silence.objects.exists()


def test_matchers_are_tried_before(call: Callable[..., Any]) -> None:
    now = clock.now()
    alert = Alert.objects.create(
        fingerprint="f" * 64, name="DiskFull", state="firing", severity="critical", started_at=now, updated_at=now
    )
    found = call("GET", "silences/preview/?matchers=alertname%3DDiskFull").json()
    assert (found["covered"], found["critical"], found["alerts"], found["messages"]) == (1, 1, [alert.pk], 0)
    assert call("GET", "silences/preview/?matchers=%28").status_code == 400


def test_mute_times_tell_when_they_hold(call: Callable[..., Any]) -> None:
    policy = Policy.objects.create(name="night")
    nights = [{"times": [{"start_time": "22:00", "end_time": "24:00"}], "location": "Europe/Berlin"}]
    made = call("POST", "mute-times/", {"name": "nights", "intervals": nights, "policies": [str(policy.pk)]})
    assert made.status_code == 201, made.content
    row = MuteTime.objects.get()
    assert list(row.policies.all()) == [policy]
    assert len(call("GET", f"mute-times/{row.pk}/occurrences/?limit=3").json()) == 3
    wrong = call("PATCH", f"mute-times/{row.pk}/", {"intervals": [{"location": "Mars/Olympus"}]})
    assert (wrong.status_code, "unknown time zone" in str(wrong.json())) == (400, True)
    assert call("PATCH", f"mute-times/{row.pk}/", {"enabled": False, "expected_version": 1}).json()["version"] == 2
    assert call("DELETE", f"mute-times/{row.pk}/").status_code == 204


def test_inhibitions_tell_what_they_keep_quiet(call: Callable[..., Any]) -> None:
    now = clock.now()
    target, source = (
        Alert.objects.create(
            fingerprint=name * 8, name=name, state="firing", severity="high", started_at=now, updated_at=now
        )
        for name in ("DiskFull", "NodeDown")
    )
    body = {"name": "node", "source_matchers": ["alertname=NodeDown"], "target_matchers": ["alertname=DiskFull"]}
    assert call("POST", "inhibitions/", body).status_code == 201
    row = Inhibition.objects.get()
    kept = call("GET", f"inhibitions/{row.pk}/inhibits/").json()
    assert kept == [{"target": target.pk, "source": source.pk}]
    assert call("POST", "inhibitions/", body).status_code == 400
