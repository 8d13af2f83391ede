"""Any minute of an alert has exactly one reason; what stood around it is kept with it; people say if it was right."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from aivillage_console.accounts.models import Role, User
from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.engine.reasons import Why
from alerts.engine.states import Severity
from alerts.models import Alert, ChangeEvent, Notification, Rule, RuleGroup, Silence
from alerts.rules import asking
from alerts.rules.contexts import ContextItem
from alerts.services import (
    NOTHING,
    alert_acknowledge,
    alert_thumb,
    context_due,
    noise_of,
    response_times,
    retain,
    why_told,
)
from alerts.services.context import context_of
from alerts.services.measured import Measured
from metrics.promql.questions import operands_of
from tests.alerts.conftest import channel_at, clear, fire, policy_with

pytestmark = pytest.mark.django_db
ALICE = Actor(kind="user", id="1", label="alice")
NOW = clock.at_seconds(1_795_000_020)


def later(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def told() -> Alert:
    policy_with((0, [channel_at("http://127.0.0.1:9/")]))
    return fire(now=NOW)


def test_a_minute_in_which_a_message_was_owed_says_who_was_told() -> None:
    found = why_told(told(), NOW)
    assert (found.why, found.told, found.sentence) == (Why.TOLD, True, "hook had to be told")
    assert [gate["stage"] for gate in found.gates][:2] == ["fingerprint", "deduplicate"]
    assert (found.policy or {}).get("name") == "all"
    assert [message.channel for message in found.messages] == ["hook"]


@pytest.mark.parametrize(
    ("minutes", "why", "words"),
    [
        (-2, Why.NOT_FIRING, "nothing had been seen of it yet"),
        (2, Why.DUPLICATE, "nothing had changed since"),
        (5, Why.TOLD, "hook had to be told"),  # That it is over.
        (9, Why.NOT_FIRING, "it had been over since"),
    ],
)
def test_each_minute_has_one_reason(minutes: float, why: Why, words: str) -> None:
    alert = told()
    Notification.objects.update(state="done", attempts=1, sent_at=NOW, finished_at=NOW)
    clear(now=later(5))
    found = why_told(alert, later(minutes))
    assert (found.why, words in found.sentence) == (why, True)


def test_an_acknowledgement_is_the_reason_until_something_changes() -> None:
    alert = told()
    alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=later(1))
    assert why_told(alert, later(4)).why is Why.ACKNOWLEDGED


def test_a_silence_is_the_reason_in_its_minute_and_after() -> None:
    Silence.objects.create(
        matchers=[{"name": "alertname", "value": "Hot", "isRegex": False, "isEqual": True}],
        starts_at=later(-1), ends_at=later(60), author="bob", reason="a test of the fans",
    )  # fmt: skip
    alert = told()
    for minutes in (0, 3):
        found = why_told(alert, later(minutes))
        assert (found.why, "bob: a test of the fans" in found.sentence) == (Why.SILENCED, True)


def test_nobody_to_tell_is_a_reason_too() -> None:
    found = why_told(fire(now=NOW), NOW)
    assert (found.told, found.why) == (False, Why.NO_POLICY)


def test_a_minute_of_last_month_is_answered_from_the_history() -> None:
    alert = told()
    Notification.objects.update(state="done", attempts=1, sent_at=NOW, finished_at=NOW)
    clear(now=later(5))
    Notification.objects.update(state="done", attempts=1, sent_at=NOW, finished_at=later(5))
    assert retain(now=NOW + timedelta(days=9))["moved"] == 2
    found = why_told(alert, NOW)
    assert (found.why, [message.kind for message in found.messages]) == (Why.TOLD, ["fire"])


@pytest.fixture
def viewer() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("viewer@example.org", "a long password", role=Role.VIEWER))
    return client


def test_the_page_explains_a_minute_and_refuses_what_is_none(viewer: Client) -> None:
    alert = told()
    page = viewer.get(f"/alerts/{alert.pk}/why/", {"at": NOW.isoformat()}).content.decode()
    assert "Somebody was told." in page
    assert "Hook had to be told." in page
    for bad in ("soon", "2999-01-01T00:00", "0001-01-01T00:00", "2026-13-01T00:00", "\x00"):
        answer = viewer.get(f"/alerts/{alert.pk}/why/", {"at": bad})
        assert (answer.status_code, b"No such minute" in answer.content) == (422, True)
    assert viewer.get("/alerts/999999/why/").status_code == 404


def test_rest_answers_the_same(viewer: Client) -> None:
    alert = told()
    found = viewer.get(f"/api/console/v1/alerts/{alert.pk}/why/", {"at": NOW.isoformat()}).json()
    assert (found["why"], found["told"], found["messages"][0]["channel"]) == ("told", True, "hook")
    times = viewer.get("/api/console/v1/alerts/response-times/", {"days": 400})
    assert (times.status_code, "days" in times.content.decode()) == (400, True)


def change(name: str, minutes: float, **fields: Any) -> ChangeEvent:
    return ChangeEvent.objects.create(
        key=name, kind="deploy", name=name, at=later(minutes), received_at=later(minutes), **fields
    )


def test_changes_and_similar_alerts_are_kept_with_an_alert_that_begins() -> None:
    change("elsewhere", -1)
    change("shop", -30, labels={"service": "shop"}, status="succeeded")
    change("long ago", -90)
    fire(now=later(-300), labels={"service": "shop"})
    clear(now=later(-290), labels={"service": "shop"})
    alert = fire(now=NOW, labels={"service": "shop"})
    assert context_due(now=later(0.1)) == 1
    alert.refresh_from_db()
    assert [(one["name"], one["same"]) for one in alert.context["changes"]] == [("shop", True), ("elsewhere", False)]
    assert [(one["alert"], one["episode"]) for one in alert.context["similar"]] == [(alert.pk, 1)]
    assert context_due(now=later(0.2)) == 0
    ChangeEvent.objects.all().delete()
    alert.refresh_from_db()
    assert alert.context["changes"][0]["name"] == "shop"


def test_a_new_episode_asks_again_what_stands_around_it() -> None:
    fire(now=NOW)
    context_due(now=NOW)
    clear(now=later(5))
    alert = fire(now=later(200))
    assert (alert.context, alert.context_at) == ({}, None)


def test_what_a_wing_cannot_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> list[ContextItem]:
        raise ValueError("no store today")

    def told_of(*_: Any) -> list[ContextItem]:
        return [ContextItem(at=NOW, title="a slow span", url="/x/")]

    slots = {"traces": told_of, "logs": broken}
    monkeypatch.setattr("alerts.services.context.CONTEXTS.filled", lambda: iter(slots.items()))
    found = context_of(fire(now=NOW))
    assert found["traces"][0]["title"] == "a slow span"
    assert "logs" not in found


@pytest.mark.parametrize(
    ("query", "operands"),
    [
        ("up == 0", []),
        ("errors_total / requests_total > 0.1", ["errors_total", "requests_total"]),
        ("(sum(rate(a[5m])) - b) * 100 > 3", ["sum(rate(a[5m]))", "b"]),
        ("a > 1 and on (job) b", ["a", "b"]),
        ("a / a", []),
        ("1 + 1", []),
    ],
)
def test_what_a_query_reckons_with(query: str, operands: list[str]) -> None:
    assert operands_of(query) == operands


def test_the_evidence_has_the_value_of_each_operand() -> None:
    group = RuleGroup(name="g", interval_seconds=60)
    rule = Rule(group=group, name="Share", kind="promql", spec={"expr": "bad / all > 0.1"}, severity=Severity.LOW.value)
    answers = {
        "bad / all": [asking.Row({"job": "a"}, 0.5)], "bad": [asking.Row({"job": "b"}, 9), asking.Row({"job": "a"}, 5)],
        "all": [asking.Row({"job": "a"}, 10)],
    }  # fmt: skip
    measured = Measured(rule, NOW, lambda query, _at: answers.get(query, answers["bad / all"]), states=list)
    evidence = measured.evidence(measured.held[0])
    assert [(one["text"], one["value"]) for one in evidence["operands"]] == [("bad", 5), ("all", 10)]  # type: ignore[union-attr,index]


def test_thumbs_are_counted_and_are_no_action() -> None:
    group = RuleGroup.objects.create(name="g", due_at=NOW)
    rule = Rule.objects.create(group=group, name="Hot", spec={"expr": "up"})
    alert = fire(now=NOW, rule_id=rule.pk)
    for useful, minutes in ((True, 1), (False, 2), (False, 3)):
        alert = alert_thumb(alert_id=alert.pk, version=alert.version, actor=ALICE, useful=useful, now=later(minutes))
    clear(now=later(4), rule_id=rule.pk)
    noise = noise_of([rule.pk], now=later(5)).get(rule.pk, NOTHING)
    assert (noise.thumbs_up, noise.thumbs_down, noise.self_resolved) == (1, 2, 1)


def test_how_soon_people_took_alerts_on() -> None:
    first = fire("One", now=NOW)
    fire("Two", now=NOW)
    alert_acknowledge(alert_id=first.pk, version=first.version, actor=ALICE, now=later(2))
    second = Alert.objects.get(name="Two")
    alert_acknowledge(alert_id=second.pk, version=second.version, actor=ALICE, now=later(10))
    clear("One", now=later(20))
    found = response_times(now=later(30))
    assert (found.episodes, found.acknowledged, found.within_target, found.ended) == (2, 2, 1, 1)
    assert (found.mean_to_acknowledge_seconds, found.median_to_resolve_seconds) == (360, 1200)
    assert found.within_target_share == 0.5
    assert response_times([], now=later(30)).mean_to_acknowledge_seconds is None
