"""An alert whose case gets worse is raised in place, and tells others only where another policy takes it."""

from datetime import datetime
from typing import Any

import pytest

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts import selectors
from alerts.engine import episodes
from alerts.engine.episodes import Change, Episode, Seen
from alerts.engine.severity import worse
from alerts.engine.states import AlertState
from alerts.models import Alert, Channel, Escalation, Notification
from alerts.pipeline import Case, Observation, PolicyFacts, Step, run
from alerts.rules.kinds import ASKED_KINDS
from alerts.services import alert_acknowledge, alert_resolve, dispatch_due, observe
from tests.alerts.asked import Events, asked_rule, attack, grid_time, tick
from tests.alerts.conftest import Letterbox, channel_at, fire, policy_with, seen

ALICE = Actor(kind="user", id="1", label="alice")
RUNS = Episode(state=AlertState.FIRING, episode=2, repeat_no=1, severity="medium")
CRITICAL = [{"severity": "critical"}]


@pytest.mark.parametrize(
    ("severity", "than", "expected"),
    [("critical", "high", True), ("high", "high", False), ("low", "medium", False), ("high", "", False),
     ("", "low", False)],
)  # fmt: skip
def test_worse_is_further_up(severity: str, than: str, expected: bool) -> None:
    assert worse(severity, than) is expected


def test_a_running_episode_gets_worse_and_never_better() -> None:
    up = episodes.observe(RUNS, Seen.FIRING, 100, severity="critical")
    assert (up.change, up.after.severity, up.after.episode, up.after.repeat_no) == (Change.WORSENED, "critical", 2, 1)
    assert up.reason == "it got worse, from medium to critical"
    down = episodes.observe(up.after, Seen.FIRING, 101, severity="low")
    assert (down.change, down.after.severity) == (Change.NONE, "critical")


def test_an_unknown_alert_that_is_back_and_worse_fires_again() -> None:
    unknown = Episode(state=AlertState.UNKNOWN, episode=1, severity="low")
    outcome = episodes.observe(unknown, Seen.FIRING, 100, severity="high")
    assert (outcome.change, outcome.after.state, outcome.after.severity) == (Change.WORSENED, "firing", "high")


@pytest.mark.parametrize("state", [AlertState.RESOLVED, AlertState.PENDING])
def test_what_does_not_run_cannot_get_worse(state: AlertState) -> None:
    outcome = episodes.observe(Episode(state=state, severity="low"), Seen.FIRING, 100, severity="critical")
    assert (outcome.change, outcome.after.severity) == (Change.STARTED, "critical")


def policy(name: str, *severities: str) -> PolicyFacts:
    return PolicyFacts(name, name, 1, [{"severity": list(severities)}] if severities else [], (Step(0, ("c",)),))


@pytest.mark.parametrize(
    ("followed", "acked_by", "chosen", "said"),
    [
        ("all", "", "pager", "its triggers match"),
        ("pager", "", None, "nobody is told again"),
        ("all", "alice", "pager", "its triggers match"),
        ("pager", "alice", "pager", "its triggers match"),
    ],
)
def test_a_policy_begins_where_it_is_another_or_somebody_had_taken_the_alert(
    followed: str, acked_by: str, chosen: str | None, said: str
) -> None:
    observation = Observation(name="Hot", labels={}, seen=Seen.FIRING, severity="critical")
    case = run(Case(observation=observation, known=RUNS, now=100, policies=[policy("pager", "critical"), policy("all")],
                    followed=followed, acked_by=acked_by))  # fmt: skip
    assert (case.policy.name if case.policy else None) == chosen
    assert said in next(decision.reason for decision in case.decisions if decision.stage == "route")
    assert case.notify_step == (0 if chosen else None)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> Events:
    rows = Events()
    monkeypatch.setitem(ASKED_KINDS._slots, "security_event", rows.kind())
    return rows


@pytest.fixture
def start(transactional_db: None) -> datetime:
    return grid_time()


def fires() -> list[tuple[str, int]]:
    rows = Notification.objects.filter(kind="fire").order_by("id")
    return [(row.channel_name, row.repeat_no) for row in rows]


def test_the_same_policy_is_not_begun_again(start: datetime, events: Events, letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url)]), (600, [channel_at(letterbox.url, "later")]))
    asked_rule(start)
    events.put(attack("medium"))
    tick(start, 5)
    version = Alert.objects.get().version
    events.put(attack("critical", value=90.0, annotations={"summary": "90 tries"}, evidence={"tries": 90}))
    tick(start, 10)
    alert = Alert.objects.get()
    assert (alert.severity, alert.episode, alert.repeat_no, alert.version) == ("critical", 1, 0, version + 1)
    assert alert.evidence["facts"] == {"tries": 90}
    event = alert.events.get(kind="worsened")
    assert event.reason == "it got worse, from medium to critical: 90 tries"
    assert fires() == [("hook", 0)]
    assert Escalation.objects.get().step == 1
    tick(start, 15)
    assert Alert.objects.get().version == alert.version


def test_another_policy_that_matches_first_is_begun_under_new_keys(
    start: datetime, events: Events, letterbox: Letterbox
) -> None:
    chat, pager = channel_at(letterbox.url, "chat"), channel_at(letterbox.url, "pager")
    policy_with((0, [pager]), (300, [pager]), name="urgent", position=0, triggers=CRITICAL)
    policy_with((0, [chat]), name="usual", position=1)
    asked_rule(start)
    events.put(attack("medium"))
    tick(start, 5)
    events.put(attack("critical"))
    tick(start, 10, 15)
    assert fires() == [("chat", 0), ("pager", 1)]
    assert len(set(Notification.objects.values_list("key", flat=True))) == 2
    armed = Escalation.objects.get()
    assert (armed.policy_snapshot["name"], armed.step, armed.repeat_no) == ("urgent", 1, 1)
    assert selectors.reopened_times(Alert.objects.get()) == 0
    dispatch_due(hand="celery", read_clock=lambda: start)
    events.put()
    tick(start, 20)
    assert Alert.objects.get().state == "resolved"


def test_everyone_who_was_told_under_either_policy_hears_of_the_end(
    start: datetime, events: Events, letterbox: Letterbox
) -> None:
    policy_with((0, [channel_at(letterbox.url, "pager")]), name="urgent", position=0, triggers=CRITICAL)
    policy_with((0, [channel_at(letterbox.url, "chat")]), name="usual", position=1)
    asked_rule(start)
    for severity, second in (("medium", 5), ("critical", 10)):
        events.put(attack(severity))
        tick(start, second)
        dispatch_due(hand="celery")
    events.put()
    tick(start, 15)
    resolves = Notification.objects.filter(kind="resolve").values_list("channel_name", flat=True)
    assert sorted(resolves) == ["chat", "pager"]


def test_it_is_not_lowered_while_the_episode_lasts(start: datetime, events: Events) -> None:
    asked_rule(start)
    for severity, second in (("high", 5), ("low", 10), ("medium", 15)):
        events.put(attack(severity))
        tick(start, second)
    alert = Alert.objects.get()
    assert (alert.severity, [event.kind for event in alert.events.all()]) == ("high", ["started"])


def test_getting_worse_ends_the_acknowledgement(start: datetime, events: Events, letterbox: Letterbox) -> None:
    policy_with((0, [channel_at(letterbox.url, "pager")]), name="urgent", position=0, triggers=CRITICAL)
    asked_rule(start)
    events.put(attack("medium"))
    tick(start, 5)
    alert = Alert.objects.get()
    alert_acknowledge(alert_id=alert.pk, version=alert.version, actor=ALICE, now=clock.now())
    events.put(attack("critical"))
    tick(start, 10)
    alert.refresh_from_db()
    assert (alert.severity, alert.acked_by, alert.acked_at, alert.ack_until) == ("critical", "", None, None)
    assert Notification.objects.get(kind="fire").channel_name == "pager"
    kept = alert.events.get(kind="worsened").data
    assert (kept["why"], kept["policy"]["name"]) == ("told", "urgent")
    assert {"stage": "taken", "verdict": "ends", "reason": "it got worse, which ends the acknowledgement by alice"} in (
        kept["decisions"]
    )


def test_resolved_by_hand_it_stays_resolved(start: datetime, events: Events) -> None:
    asked_rule(start)
    events.put(attack("medium"))
    tick(start, 5)
    alert = Alert.objects.get()
    alert_resolve(alert_id=alert.pk, version=alert.version, actor=ALICE, now=clock.now())
    events.put(attack("critical"))
    tick(start, 10)
    alert.refresh_from_db()
    assert (alert.state, alert.severity) == ("resolved", "medium")


@pytest.mark.django_db(transaction=True)
def test_a_reopened_episode_is_as_bad_as_it_is_now() -> None:
    fire(severity="critical")
    observe(seen(Seen.CLEAR), now=clock.now())
    alert = fire(severity="low")
    assert (alert.severity, alert.episode, alert.repeat_no) == ("low", 1, 1)
    assert selectors.reopened_times(alert) == 1


@pytest.mark.django_db(transaction=True)
def test_a_policy_is_armed_where_the_milder_alert_had_none(letterbox: Letterbox) -> None:
    channel: Any = channel_at(letterbox.url, "pager")
    policy_with((0, [channel]), name="urgent", triggers=CRITICAL)
    fire(severity="low")
    assert Escalation.objects.count() == 0
    fire(severity="critical")
    assert fires() == [("pager", 1)]
    assert Channel.objects.count() == 1
