"""Alerts by people and by the clock: taken, put off, given back; why each ended, and why each message was not sent."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from aivillage_console.accounts.models import Role, User
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.episodes import Seen
from alerts.engine.reasons import Why
from alerts.models import Alert, Escalation, Notification, Policy, Rule, RuleGroup, Silence
from alerts.services import (
    alert_acknowledge,
    alert_resolve,
    alert_snooze,
    alert_unsnooze,
    audit_and_repair,
    dispatch_due,
    escalate_due,
    lifecycle_due,
    observe,
)
from alerts.services.actions import NotPossible
from alerts.services.configuration import Invalid, configured_delete, group_save, policy_save, rule_save
from alerts.services.intake import Incoming, alerts_intake, resolve_timed_out
from tests.alerts.conftest import Letterbox, channel_at, clear, fire, policy_with, seen

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor(kind="user", id="1", label="alice")


def work(at: datetime) -> None:
    """Do what is due at a time."""
    lifecycle_due(now=at)
    escalate_due(hand="celery", read_clock=lambda: at)
    dispatch_due(hand="celery", read_clock=lambda: at)


def after(start: datetime, **span: float) -> datetime:
    return start + timedelta(**span)


def rule() -> Rule:
    group = RuleGroup.objects.create(name="g", due_at=clock.now())
    return Rule.objects.create(group=group, name="Disk", spec={"expr": "disk > 80"})


def kinds(alert: Alert) -> list[str]:
    return list(alert.events.order_by("id").values_list("kind", flat=True))


def test_an_acknowledgement_ends_with_its_reminder_and_the_policy_begins_again(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    alert = fire(now=now)
    work(now)
    alert_acknowledge(
        alert_id=alert.pk, version=alert.version, actor=ALICE, until=after(now, hours=1), now=after(now, seconds=1)
    )
    work(after(now, minutes=59))
    assert letterbox.kinds == ["fire"]
    work(after(now, minutes=61))
    alert.refresh_from_db()
    assert (alert.acked_at, alert.acked_by, alert.ack_until, alert.wake_at) == (None, "", None, None)
    assert kinds(alert)[1:] == ["acknowledged", "ack_ended", "escalated"]
    assert letterbox.kinds == ["fire", "fire"]


def test_the_usual_reminder_is_a_setting(letterbox: Letterbox) -> None:
    now = clock.now()
    alert = fire(now=now)
    acked = alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=now)
    assert acked.ack_until == after(now, days=1)
    with pytest.raises(NotPossible, match="between now and 30 days"):
        alert_acknowledge(alert_id=alert.pk, version=acked.version, actor=ALICE, until=now, now=now)


def test_an_acknowledgement_ends_when_another_alert_of_the_rule_fires(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]), (900, [channel_at(letterbox.url, "boss")]))
    made, now = rule(), clock.now()
    first = fire("First", now=now, rule_id=made.pk)
    other = fire("Other", now=now, labels={"host": "b"})
    work(now)
    for alert in (first, other):
        alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=after(now, seconds=1))
    fire("Second", now=after(now, seconds=60), rule_id=made.pk, labels={"host": "c"})
    work(after(now, seconds=61))
    first.refresh_from_db()
    other.refresh_from_db()
    assert (first.acked_at, other.acked_by) == (None, "alice")
    ended = first.events.get(kind="ack_ended")
    assert (ended.data["why"], "Second fired" in ended.reason) == ("group", True)
    # The message about the second one speaks for the first step; the next step is ahead.
    assert sorted(message["alert_name"] for message in letterbox.got) == ["First", "Other", "Second"]
    armed = Escalation.objects.get(alert=first)
    assert (armed.state, armed.step, armed.due_at) == ("active", 1, after(now, seconds=961))
    work(after(now, seconds=62))
    assert kinds(first).count("ack_ended") == 1


def test_a_snoozed_alert_is_told_again_at_its_end_if_it_still_fires(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    alert, gone = fire(now=now), fire("Gone", now=now, labels={"host": "b"})
    work(now)
    for each in (alert, gone):
        snoozed = alert_snooze(
            alert_id=each.pk, version=each.version, actor=ALICE, until=after(now, hours=1), now=after(now, seconds=1)
        )
    assert (snoozed.shown_state, snoozed.snoozed_by) == ("snoozed", "alice")
    clear("Gone", now=after(now, seconds=2), labels={"host": "b"})
    work(after(now, minutes=59))
    assert sorted(letterbox.kinds) == ["fire", "fire", "resolve"]
    work(after(now, minutes=61))
    alert.refresh_from_db()
    assert (alert.snoozed_until, alert.snoozed_by, alert.shown_state) == (None, "", "firing")
    assert [(m["alert_name"], m["kind"]) for m in letterbox.got][3:] == [("Hot", "fire")]
    assert "still fires" in alert.events.get(kind="snooze_ended").reason


def test_a_fire_while_snoozed_waits_for_the_end_and_getting_worse_does_not(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    alert = fire(now=now)
    alert_snooze(alert_id=alert.pk, version=alert.version, actor=ALICE, until=after(now, hours=1), now=now)
    clear(now=after(now, seconds=10))
    alert = fire(now=after(now, seconds=20))
    assert alert.last_pass["why"] == Why.SNOOZED
    work(after(now, seconds=30))
    assert letterbox.got == []
    alert = fire(now=after(now, seconds=40), severity="critical")
    assert (alert.snoozed_until, alert.last_pass["why"]) == (None, "told")
    work(after(now, seconds=41))
    assert [message["severity"] for message in letterbox.got] == ["critical"]


def test_a_snooze_is_ended_by_hand_and_only_what_fires_is_snoozed(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    alert = fire(now=now)
    work(now)
    snoozed = alert_snooze(alert_id=alert.pk, version=alert.version, actor=ALICE, until=after(now, hours=1), now=now)
    alert_unsnooze(alert_id=alert.pk, version=snoozed.version, actor=ALICE, now=after(now, seconds=5))
    work(after(now, seconds=6))
    assert letterbox.kinds == ["fire", "fire"]
    over = clear(now=after(now, seconds=7))
    with pytest.raises(NotPossible, match="only one that fires"):
        alert_snooze(alert_id=over.pk, version=over.version, actor=ALICE, until=after(now, hours=1), now=now)


def test_an_alert_that_comes_and_goes_is_told_and_then_counted(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    for number in range(8):
        fire(now=after(now, seconds=60 * number))
        work(after(now, seconds=60 * number + 1))
        clear(now=after(now, seconds=60 * number + 30))
        work(after(now, seconds=60 * number + 31))
    # Four times told as ever; the fifth fire is told and says that it flaps; what follows is counted.
    assert letterbox.kinds == ["fire", "resolve"] * 4 + ["fire"]
    assert letterbox.got[-1]["flapping"]["changes"] == 0
    alert = Alert.objects.get()
    assert (alert.flaps, alert.modifiers, alert.last_pass["why"]) == (7, ["flapping"], "flapping")
    audit_and_repair(now=after(now, seconds=520))
    work(after(now, seconds=7 * 60 + 30 + 601))
    alert.refresh_from_db()
    assert (alert.flaps, alert.flapping_since, alert.flapping_until) == (0, None, None)
    assert letterbox.kinds[9:] == ["resolve"]
    assert "after 7 changes" in alert.events.get(kind="settled").reason


def test_one_that_rests_firing_is_told_once_that_it_fires(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    for number in range(7):
        fire(now=after(now, seconds=60 * number))
        clear(now=after(now, seconds=60 * number + 30))
    fire(now=after(now, seconds=420))
    work(after(now, seconds=421))
    before = len(letterbox.got)
    work(after(now, seconds=420 + 601))
    work(after(now, seconds=420 + 602))
    assert letterbox.kinds[before:] == ["fire"]
    assert Notification.objects.filter(withheld="flapping").count() >= 1


def causes() -> dict[str, tuple[str, str]]:
    return {alert.name: (alert.resolved_cause, alert.resolved_because) for alert in Alert.objects.all()}


def test_each_end_has_its_cause() -> None:
    now, made = clock.now(), rule()
    fire("Recovered", now=now, labels={})
    clear("Recovered", now=now, labels={})
    alert = fire("ByHand", now=now, labels={})
    alert_resolve(alert_id=alert.pk, version=alert.version, actor=ALICE, reason="disk swapped", now=now)
    for name, ends_at in (("Said", now), ("Silent", None)):
        alerts_intake([Incoming(labels={"alertname": name})], now=now)
        alerts_intake([Incoming(labels={"alertname": name}, ends_at=ends_at)], now=now)
    resolve_timed_out(now=after(now, hours=1))
    fire("Deleted", now=now, labels={}, rule_id=made.pk)
    configured_delete(made, actor=ALICE, now=now)
    assert causes() == {
        "Recovered": ("recovered", "recovered"),
        "ByHand": ("manual", "disk swapped"),
        "Said": ("upstream", "its sender says it is over"),
        "Silent": ("expired", "its sender stopped sending it"),
        "Deleted": ("rule_off", "its rule was deleted"),
    }


def test_switching_a_rule_or_its_group_off_ends_what_is_open_at_once() -> None:
    made, now = rule(), clock.now()
    fire(now=now, rule_id=made.pk)
    made.enabled = False
    rule_save(made, actor=ALICE, now=now)
    assert causes()["Hot"] == ("rule_off", "its rule was switched off")
    fire("Late", now=now, rule_id=made.pk)
    made.group.enabled = False
    group_save(made.group, actor=ALICE, now=now)
    assert causes()["Late"] == ("rule_off", "the group of its rule was switched off")


def test_lost_data_is_shown_as_stale_with_its_last_value() -> None:
    now = clock.now()
    fire(now=now, value=91.5)
    observe(seen(Seen.UNKNOWN), now=after(now, seconds=60))
    alert = Alert.objects.get()
    assert (alert.shown_state, alert.stale_since, alert.value) == ("stale", after(now, seconds=60), 91.5)
    assert alert.last_pass["why"] == Why.STALE
    alert = fire(now=after(now, seconds=120), value=92.0)
    assert (alert.shown_state, alert.stale_since) == ("firing", None)


def test_a_pass_keeps_its_gates_its_end_and_its_configuration(letterbox: Letterbox) -> None:
    policy: Policy = policy_with((0, [channel_at(letterbox.url)]))
    now = clock.now()
    Silence.objects.create(
        matchers=[{"name": "alertname", "value": "Hot", "isRegex": False, "isEqual": True}],
        starts_at=after(now, seconds=-60), ends_at=after(now, seconds=3600), author="bob", reason="a test",
    )  # fmt: skip
    alert = fire(rule_version=7)
    told = alert.events.get(kind="started").data
    assert (told["why"], told["rule_version"]) == ("silenced", 7)
    assert told["policy"] == {"id": str(policy.pk), "name": "all", "version": 1}
    stages = [gate["stage"] for gate in told["decisions"]]
    assert [name for name in stages if name != "correlate"] == [
        "fingerprint", "deduplicate", "taken", "flapping", "route", "escalate", "notify", "silence",
    ]  # fmt: skip
    row = Notification.objects.get()
    assert (row.state, row.withheld) == ("cancelled", "silenced")
    fire(rule_version=7)
    alert.refresh_from_db()
    assert (alert.last_pass["why"], len(alert.decisions)) == ("duplicate", len(stages))


def test_a_step_that_names_a_channel_means_it_whatever_its_filters(letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url, filters=[{"severity": "critical"}])]))
    alert = fire(severity="low")
    assert (alert.last_pass["why"], Notification.objects.get().state) == ("told", "due")


def test_why_nobody_is_told_is_one_of_the_list(letterbox: Letterbox) -> None:
    assert fire("NoPolicy").last_pass["why"] == Why.NO_POLICY
    policy_with(name="empty", triggers=[{"alertname": "NoStep"}], position=0)
    policy_with((0, []), name="nobody", triggers=[{"alertname": "NoChannel"}], position=1)
    off = channel_at(letterbox.url, "off", enabled=False)
    policy_with((0, [off]), name="off", triggers=[{"alertname": "ChannelOff"}], position=2)
    policy_with((600, [off]), name="later", triggers=[{"alertname": "Later"}], position=3)
    wanted = {"NoStep": "no_step", "NoChannel": "no_channel", "ChannelOff": "channel_off", "Later": "later"}
    assert {name: fire(name).last_pass["why"] for name in wanted} == wanted


def test_a_trigger_that_cannot_be_read_is_refused_with_a_sentence() -> None:
    for triggers, said in (
        ([{"matchers": ["team=~["]}], "cannot be read"),
        ([{"matchers": "team=web"}], "is a list of texts"),
        ("severity", "list of maps"),
        ([{"severity": {"is": "low"}}], "'severity' names a text"),
    ):
        with pytest.raises(Invalid) as caught:
            policy_save(Policy(name="p", triggers=triggers), actor=ALICE, now=clock.now())
        assert said in caught.value.problems["triggers"]
    policy_save(Policy(name="p", triggers=[{"matchers": ["a=~x|y"]}]), actor=ALICE, now=clock.now())
    assert Policy.objects.get().triggers == [{"matchers": ["a=~x|y"]}]


def test_the_page_snoozes_and_answers_a_stale_version_with_the_fresh_card(client: Client) -> None:
    client.force_login(User.objects.create_user("eva@example.org", None, role=Role.RESPONDER))
    alert = fire(value=91.0)
    page = f"/alerts/{alert.pk}/snooze/"
    answer = client.post(
        page, {"version": alert.version, "for": "custom", "at": "nonsense"}, headers={"HX-Request": "true"}
    )
    assert (answer.status_code, "Enter a day and a time" in answer.content.decode()) == (422, True)
    answer = client.post(page, {"version": alert.version, "for": "4h"}, headers={"HX-Request": "true"})
    assert "told again in" in answer.content.decode()
    stale = client.post(page, {"version": alert.version, "for": "1h"}, headers={"HX-Request": "true"})
    assert (stale.status_code, "Somebody changed this alert" in stale.content.decode()) == (409, True)
    alert.refresh_from_db()
    bulk = {"action": "acknowledge", "id": alert.pk, f"version-{alert.pk}": alert.version, "snooze_for": "1h"}
    assert "1 of 1 acknowledged" in client.post("/alerts/bulk/", bulk).content.decode()
    alert.refresh_from_db()
    assert alert.ack_until is not None
    assert alert.acked_at is not None
    assert (alert.snoozed_until, (alert.ack_until - alert.acked_at).total_seconds()) == (None, 86_400)
    observe(seen(Seen.UNKNOWN), now=clock.now())
    shown = client.get(f"/alerts/{alert.pk}/").content.decode()
    assert "Stale since" in shown
    assert "The last value was <b>91</b>" in shown
    assert "since" in client.get("/alerts/?state=stale").content.decode()
    resolved = Alert.objects.get()
    alert_resolve(alert_id=resolved.pk, version=resolved.version, actor=ALICE, now=clock.now())
    assert "by hand" in client.get("/alerts/?state=resolved&cause=manual").content.decode()
    assert "No alert matches" in client.get("/alerts/?state=resolved&cause=upstream").content.decode()
