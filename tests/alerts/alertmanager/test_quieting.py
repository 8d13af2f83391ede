"""Silences, inhibitions and mute times in the live pipeline: nothing is sent, one reason is kept, and it comes back."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from aivillage_console.accounts.models import AuditEntry
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.alertmanager.matching import Matcher
from alerts.engine.episodes import Seen
from alerts.models import Alert, Channel, Inhibition, MuteTime, Notification, Policy, Quieted, Silence
from alerts.pipeline import Observation
from alerts.services import (
    BadSilence,
    Incoming,
    NoSilence,
    Wanted,
    alerts_intake,
    dispatch_due,
    escalate_due,
    observe,
    silence_expire,
    silence_save,
    unquiet_due,
)

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Actor(kind="system", label="test", role="admin")


def wanted(now: datetime, *matchers: Matcher, minutes: float = 60, **fields: Any) -> Wanted:
    held = matchers or (Matcher("=", "alertname", "DiskFull"),)
    until = now + timedelta(minutes=minutes)
    return Wanted(matchers=held, starts_at=now, ends_at=until, author="ada", reason="new disks", **fields)


def fire(name: str = "DiskFull", severity: str = "high", now: datetime | None = None, **labels: str) -> Alert:
    seen = Observation(name=name, labels=labels, seen=Seen.FIRING, severity=severity)
    observe(seen, now=now or clock.now())
    return Alert.objects.order_by("-id").get(name=name, **({"labels": labels} if labels else {}))


def end(alert: Alert, now: datetime) -> None:
    observe(Observation(name=alert.name, labels=alert.labels, seen=Seen.CLEAR, severity=alert.severity), now=now)


def test_a_silence_keeps_the_message_back_with_its_one_reason(channel: Channel, letterbox: Any) -> None:
    now = clock.now()
    silence = silence_save(wanted(now), actor=ROOT, now=now)
    alert = fire()
    row = Notification.objects.get(alert=alert)
    assert row.state == "cancelled"
    assert row.cancelled_because.startswith("silenced until ")
    assert row.cancelled_because.endswith("by ada: new disks")
    kept = Quieted.objects.get(alert=alert)
    assert (kept.kind, kept.by, kept.due_at) == ("silence", str(silence.pk), silence.ends_at)
    dispatch_due(hand="web")
    assert letterbox.got == []
    assert AuditEntry.objects.filter(action="silence.create", object_id=str(silence.pk)).exists()


def test_when_a_silence_ends_and_it_still_fires_somebody_is_told(channel: Channel, letterbox: Any) -> None:
    now = clock.now()
    silence = silence_save(wanted(now), actor=ROOT, now=now)
    alert = fire()
    silence_expire(silence.pk, actor=ROOT, now=clock.now())
    assert unquiet_due(now=clock.now()) == 1
    escalate_due(hand="web")
    dispatch_due(hand="web")
    assert letterbox.kinds == ["fire"]
    assert not Quieted.objects.exists()
    assert alert.events.filter(kind="unquieted").exists()


def test_nobody_is_told_of_what_ended_under_a_silence(channel: Channel, letterbox: Any) -> None:
    now = clock.now()
    silence = silence_save(wanted(now), actor=ROOT, now=now)
    end(fire(), clock.now())
    silence_expire(silence.pk, actor=ROOT, now=clock.now())
    assert unquiet_due(now=clock.now()) == 0
    dispatch_due(hand="web")
    assert letterbox.got == []
    assert not Quieted.objects.exists()


def test_a_silence_that_begins_before_the_message_is_sent_holds_it_back(channel: Channel, letterbox: Any) -> None:
    alert = fire()
    now = clock.now()
    silence_save(wanted(now), actor=ROOT, now=now)
    dispatch_due(hand="web")
    assert letterbox.got == []
    assert Notification.objects.get(alert=alert).cancelled_because.startswith("silenced until ")


def test_the_end_is_told_to_whom_the_beginning_was(channel: Channel, letterbox: Any) -> None:
    alert = fire()
    dispatch_due(hand="web")
    now = clock.now()
    silence_save(wanted(now), actor=ROOT, now=now)
    end(alert, clock.now())
    dispatch_due(hand="web")
    assert letterbox.kinds == ["fire", "resolve"]


def test_a_silence_may_let_critical_alerts_through(channel: Channel) -> None:
    now = clock.now()
    silence_save(wanted(now, Matcher("=~", "host", ".+"), lets_critical_through=True), actor=ROOT, now=now)
    assert Notification.objects.get(alert=fire("A", "critical", host="a")).state == "due"
    assert Notification.objects.get(alert=fire("B", "high", host="a")).state == "cancelled"


def test_matchers_see_the_severity_as_it_was_sent(channel: Channel) -> None:
    now = clock.now()
    silence_save(wanted(now, Matcher("=", "severity", "warning")), actor=ROOT, now=now)
    alerts_intake([Incoming(labels={"alertname": "X", "severity": "warning"})], now=now)
    assert Alert.objects.get().severity == "medium"
    assert Notification.objects.get().state == "cancelled"


def test_a_silence_is_changed_in_place_or_ended_and_replaced() -> None:
    now = clock.now()
    first = silence_save(wanted(now), actor=ROOT, now=now)
    longer = silence_save(wanted(first.starts_at, minutes=90), actor=ROOT, now=clock.now(), silence_id=first.pk)
    assert (longer.pk, longer.version) == (first.pk, 2)
    other = silence_save(wanted(now, Matcher("=", "host", "b")), actor=ROOT, now=clock.now(), silence_id=first.pk)
    assert other.pk != first.pk
    assert Silence.objects.get(pk=first.pk).ends_at <= clock.now()


def test_a_silence_of_everything_or_of_nothing_known_is_refused() -> None:
    now = clock.now()
    with pytest.raises(BadSilence):
        silence_save(wanted(now, Matcher("=~", "a", ".*")), actor=ROOT, now=now)
    with pytest.raises(NoSilence):
        silence_expire(Silence().pk, actor=ROOT, now=now)
    with pytest.raises(NoSilence):
        silence_save(wanted(now), actor=ROOT, now=now, silence_id=Silence().pk)


def test_an_inhibited_alert_is_told_when_its_source_is_over(channel: Channel, letterbox: Any) -> None:
    Inhibition.objects.create(
        name="node down", source_matchers=['alertname="NodeDown"'], target_matchers=['severity!="critical"'],
        equal=["node"],
    )  # fmt: skip
    source = fire("NodeDown", "critical", node="1")
    target = fire("DiskFull", "high", node="1")
    other = fire("DiskFull2", "high", node="2")
    assert Notification.objects.get(alert=other).state == "due"
    row = Notification.objects.get(alert=target)
    assert row.cancelled_because == f"inhibited by #{source.pk} NodeDown (node down)"
    assert unquiet_due(now=clock.now() + timedelta(minutes=1)) == 0
    end(source, clock.now())
    assert unquiet_due(now=clock.now() + timedelta(minutes=2)) == 1


def test_an_alert_on_both_sides_inhibits_no_other_on_both_sides(channel: Channel) -> None:
    Inhibition.objects.create(name="both", source_matchers=['node="1"'], target_matchers=['node="1"'], equal=[])
    fire("A", node="1")
    fire("B", node="1")
    assert set(Notification.objects.values_list("state", flat=True)) == {"due"}


def test_a_mute_time_concerns_its_policies_and_alerts(channel: Channel) -> None:
    always: list[dict[str, list[str]]] = [{}]
    never = [{"years": ["2001"]}]
    everyone = Policy.objects.get(is_default=True)
    mute = MuteTime.objects.create(name="nights", intervals=always, matchers=['team="x"'])
    assert Notification.objects.get(alert=fire("A", team="x")).cancelled_because == "in the mute time nights"
    assert Notification.objects.get(alert=fire("B", team="y")).state == "due"
    mute.policies.add(Policy.objects.create(name="other", triggers=[{"alertname": "None"}]))
    assert Notification.objects.get(alert=fire("C", team="x")).state == "due"
    mute.policies.add(everyone)
    assert Notification.objects.get(alert=fire("D", team="x")).state == "cancelled"
    MuteTime.objects.filter(pk=mute.pk).update(intervals=never, tells_inside=True)
    row = Notification.objects.get(alert=fire("E", team="x"))
    assert row.cancelled_because == "outside of the active time nights"


def test_later_steps_are_kept_back_as_well(channel: Channel) -> None:
    policy = Policy.objects.get(is_default=True)
    policy.steps.create(position=1, delay_seconds=1)
    alert = fire()
    now = clock.now()
    silence_save(wanted(now), actor=ROOT, now=now)
    escalate_due(hand="web", read_clock=lambda: now + timedelta(seconds=2))
    repeat = Notification.objects.get(alert=alert, kind="repeat")
    assert repeat.state == "cancelled"
    assert Quieted.objects.filter(alert=alert).exists()
