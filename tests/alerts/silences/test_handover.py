"""Before a silence ends somebody hears of it, once, whatever dies in between."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from aivillage_console.lib import clock
from alerts.channels import Letter
from alerts.channels.telling import story_of
from alerts.models import Alert, Channel, Notification, Silence
from alerts.services import dispatch_due, handovers_due, silences_look
from alerts.services.letters import letter_of
from alerts.services.silencing import silence_end, silence_until
from tests.alerts.silences.conftest import ADA, silenced

pytestmark = pytest.mark.django_db(transaction=True)


def notices() -> list[Notification]:
    return list(Notification.objects.filter(kind="handover"))


def test_the_channel_of_the_policy_is_told_once(channel: Channel, letterbox: Any, firing: Callable[..., Alert]) -> None:
    row = silenced(minutes=10)
    alert = firing(host="a")
    firing(host="b", severity="critical")
    now = clock.now()
    assert [handovers_due(now=now), handovers_due(now=now)] == [1, 0]
    dispatch_due(hand="web")
    (told,) = letterbox.got
    assert (told["kind"], told["silence_id"], told["firing_count"], told["severity"]) == (
        "handover", str(row.pk), 2, "critical",
    )  # fmt: skip
    assert "ends in 10 min, and 2 alerts it covers still fire." in told["summary"]
    assert told["url"].endswith(f"/silences/{row.pk}/")
    assert "told: hook" in alert.events.get(kind="handover").reason


def test_what_was_decided_twice_is_owed_once(channel: Channel, firing: Callable[..., Alert]) -> None:
    row = silenced(minutes=10)
    firing()
    handovers_due(now=clock.now())
    # As if the process had died after it wrote, and its memory of having done so had gone with it.
    Silence.objects.filter(pk=row.pk).update(handover_at=clock.now())
    handovers_due(now=clock.now())
    assert len(notices()) == 1


def test_where_nothing_fires_it_waits_until_something_does(channel: Channel, firing: Callable[..., Alert]) -> None:
    row = silenced(minutes=10)
    now = clock.now()
    assert handovers_due(now=now) == 0
    assert Silence.objects.get(pk=row.pk).handover_at == now + timedelta(seconds=30)
    firing()
    assert handovers_due(now=now + timedelta(seconds=31)) == 1
    assert Silence.objects.get(pk=row.pk).handover_at is None


def test_it_is_not_told_too_early_nor_of_a_silence_that_asks_for_none(
    channel: Channel, firing: Callable[..., Alert]
) -> None:
    silenced(minutes=60)
    silenced("host=~.*,alertname=DiskFull", minutes=10, handover_seconds=0)
    firing()
    assert handovers_due(now=clock.now()) == 0
    assert handovers_due(now=clock.now() + timedelta(minutes=46)) == 1


def test_an_extended_silence_is_told_of_anew_and_the_old_word_is_dropped(
    channel: Channel, letterbox: Any, firing: Callable[..., Alert]
) -> None:
    row = silenced(minutes=10)
    firing()
    handovers_due(now=clock.now())
    silence_until(row.pk, ends_at=row.ends_at + timedelta(hours=1), actor=ADA, now=clock.now())
    dispatch_due(hand="web")
    assert letterbox.got == []
    assert notices()[0].cancelled_because == "the silence got another end before this was sent"
    assert handovers_due(now=clock.now() + timedelta(minutes=56)) == 1
    assert len(notices()) == 2


def test_an_ended_silence_needs_no_word(channel: Channel, letterbox: Any, firing: Callable[..., Alert]) -> None:
    row = silenced(minutes=10)
    firing()
    handovers_due(now=clock.now())
    silence_end(row.pk, actor=ADA, now=clock.now())
    dispatch_due(hand="web")
    assert "handover" not in letterbox.kinds
    assert notices()[0].cancelled_because == "the silence ended before this was sent"


def test_mail_goes_to_author_and_assignee(channel: Channel, firing: Callable[..., Alert]) -> None:
    for name in ("ada", "bob"):
        get_user_model().objects.create_user(f"{name}@example.org", None, role="responder")
    mail = Channel.objects.create(
        name="mail", type="email", filters=[{"severity": ["low"]}],
        config={"smtp_server": "smtp.example.org", "from": "console@example.org", "to_emails": ["all@example.org"]},
    )  # fmt: skip
    silenced(minutes=10)
    alert = firing()
    Alert.objects.filter(pk=alert.pk).update(assignee=get_user_model().objects.get(email="bob@example.org"))
    assert handovers_due(now=clock.now()) == 1
    by_channel = {row.channel_name: row.payload["recipients"] for row in notices()}
    assert by_channel["hook"] == []
    assert by_channel[mail.name] == ["ada@example.org", "bob@example.org"]


def test_alerts_somebody_has_taken_need_no_word(channel: Channel, firing: Callable[..., Alert]) -> None:
    silenced(minutes=10)
    alert = firing()
    Alert.objects.filter(pk=alert.pk).update(acked_at=clock.now(), acked_by="ada")
    assert handovers_due(now=clock.now()) == 0


def test_it_reads_well_in_every_channel(channel: Channel, firing: Callable[..., Alert]) -> None:
    silenced(minutes=10)
    firing()
    handovers_due(now=clock.now())
    letter = letter_of(notices()[0], clock.now())
    assert isinstance(letter, Letter)
    story = story_of(letter)
    assert story.headline == "A silence ends soon, and alerts it covers still fire."
    assert [name for name, _ in story.links] == ["Extend the silence"]
    assert story.folded[0].endswith("high: DiskFull")


def test_silences_remember_when_they_last_covered_something(firing: Callable[..., Alert]) -> None:
    busy, idle = silenced(), silenced("host=z")
    firing()
    now = clock.now()
    assert silences_look(now=now) == 1
    assert Silence.objects.get(pk=busy.pk).matched_at == now
    assert Silence.objects.get(pk=idle.pk).matched_at is None
