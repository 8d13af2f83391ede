"""The same data through the live pipeline under a fake clock and through a backtest: the same stories and messages."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tuned
from hypothesis import strategies as st

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from alerts.models import (
    Alert,
    AlertEvent,
    Channel,
    Escalation,
    Inhibition,
    MuteTime,
    Notification,
    Quieted,
    Rule,
    RuleGroup,
    Silence,
)
from alerts.rules.kinds import ASKED_KINDS
from alerts.services import escalate_due, evaluate_due, lifecycle_due, unquiet_due
from alerts.services.backtest import Replay, backtest, span_of
from metrics.ingest.rows import MetricRow
from metrics.services import partitions_prepare, samples_append
from tests.alerts.asked import Events, attack
from tests.alerts.conftest import policy_with

MINUTES = 16
NUMBERS = count(1)
pytestmark = pytest.mark.django_db(transaction=True)
Told = tuple[object, ...]


@pytest.fixture(autouse=True)
def start(settings: Any) -> datetime:
    """Return a grid time in the recent past; the storage is ready for samples around it."""
    settings.CONFIG = replace(settings.CONFIG, celery_enabled=False, unknown_expires_seconds=480)
    now = clock.now()
    partitions_prepare(now=now)
    return clock.at_seconds(now.timestamp() - now.timestamp() % 60 - 3000)


def feed(start: datetime, name: str, hosts: dict[str, list[float | None]]) -> None:
    """Store one value a minute of each host, a second before the rule is asked; None is no value."""
    source, _ = Source.objects.get_or_create(name="test", defaults={"service": "test", "created_at": start})
    rows = [
        MetricRow(
            name=name, type="gauge", value=value, labels={"host": host},
            timestamp_ms=round(start.timestamp() * 1000) + minute * 60_000 - 1000,
        )
        for host, values in hosts.items()
        for minute, value in enumerate(values)
        if value is not None
    ]  # fmt: skip
    assert not rows or samples_append(rows, source=source, now=clock.now()) == []


def rule_of(start: datetime, **fields: Any) -> Rule:
    """Return a stored rule in a group of its own."""
    number = next(NUMBERS)
    of_group = {name: fields.pop(name) for name in ("limit", "query_offset_seconds") if name in fields}
    group = RuleGroup.objects.create(name=f"g{number}", interval_seconds=60, due_at=start, **of_group)
    values: dict[str, Any] = {"name": f"R{number}", "severity": "high", "cooldown_seconds": 0, **fields}
    return Rule.objects.create(group=group, **values)


def policy(*delays: int, **fields: Any) -> None:
    """Store a policy that tells a channel of its own at each step."""
    steps = [(delay, [Channel.objects.create(name=f"c{next(NUMBERS)}")]) for delay in delays]
    policy_with(*steps, name=f"p{next(NUMBERS)}", **fields)


@dataclass
class Live:
    """The live pipeline with a clock that is told: the evaluator, the sweeper's chores and a receiver that says yes."""

    rule: Rule
    start: datetime
    dead: frozenset[int] = frozenset()  # Ticks at which no process was there.
    since: int = field(init=False)
    told_since: int = field(init=False)

    def __post_init__(self) -> None:
        """Note what was there before."""
        self.since = max(AlertEvent.objects.values_list("id", flat=True), default=0)
        self.told_since = max(Notification.objects.values_list("id", flat=True), default=0)

    def run(self, minutes: int = MINUTES) -> None:
        """Let the time pass."""
        for minute in range(minutes):
            tick = self.start + timedelta(minutes=minute)
            self._between(tick)
            if minute not in self.dead:
                evaluate_due(hand="celery", read_clock=lambda: tick)  # noqa: B023 - called at once
                self._deliver()
        self._between(tick + timedelta(microseconds=1))

    def _between(self, end_at: datetime) -> None:
        """Carry out what falls due before a time, at the time it falls due."""
        while True:
            quiet = min(Quieted.objects.values_list("due_at", flat=True), default=end_at)
            wakes = min(Alert.objects.filter(wake_at__isnull=False).values_list("wake_at", flat=True), default=end_at)
            steps = Escalation.objects.filter(state="active").values_list("due_at", flat=True)
            now = min(wakes, quiet, min(steps, default=end_at))
            if now >= end_at:
                return
            self._do(now, wakes, quiet)
            self._deliver()

    def _do(self, now: datetime, wakes: datetime, quiet: datetime) -> None:
        if now == wakes:
            lifecycle_due(now=now)
        elif now == quiet:
            unquiet_due(now=now)
        else:
            escalate_due(hand="celery", read_clock=lambda: now)

    def _deliver(self) -> None:
        Notification.objects.filter(state="due").update(state="done", attempts=1)

    def story(self) -> list[Told]:
        """Return what was written of alerts."""
        return [story_of(event) for event in AlertEvent.objects.filter(id__gt=self.since).select_related("alert")]

    def messages(self) -> list[Told]:
        """Return whom was told what, or why not."""
        rows = Notification.objects.filter(id__gt=self.told_since, alert__isnull=False)
        return [message_of(row) for row in rows.select_related("alert")]


def story_of(event: AlertEvent) -> Told:
    alert = event.alert
    return alert.name, str(sorted(alert.labels.items())), event.episode, event.kind, event.at, said(event.reason)


def said(text: str) -> str:
    """Return a sentence without the numbers of alerts, which a backtest does not give."""
    return " ".join(word for word in text.split() if not word.startswith("#"))


def message_of(row: Notification) -> Told:
    alert = row.alert
    assert alert is not None
    return (
        alert.name, str(sorted(alert.labels.items())), row.episode, row.repeat_no, row.created_at, row.kind, row.step,
        row.channel_name, row.state, said(row.cancelled_because),
    )  # fmt: skip


def replayed(rule: Rule, start: datetime, minutes: int = MINUTES) -> tuple[list[Told], list[Told]]:
    """Return what a backtest says would have been written and told."""
    replay = Replay(rule, span_of(rule, start, start + timedelta(minutes=minutes - 1)))
    assert replay.advance()
    return [story_of(e) for e in replay.memory.events], [message_of(m) for m in replay.memory.messages if m.alert]


def assert_equal(rule: Rule, start: datetime, *, dead: frozenset[int] = frozenset()) -> list[Told]:
    """Compare both, whatever order the rows of one moment have; return the story."""
    story, messages = replayed(rule, start)
    live = Live(rule, start, dead)
    live.run()
    assert sorted(story, key=str) == sorted(live.story(), key=str)
    assert sorted(messages, key=str) == sorted(live.messages(), key=str)
    RuleGroup.objects.update(enabled=False)
    Escalation.objects.update(state="done")
    Quieted.objects.all().delete()
    Alert.objects.update(wake_at=None)
    return story


# Runs of one to eight minutes of the same, so that timers are met, gaps stale out and alerts flap.
VALUES = st.lists(
    st.tuples(st.sampled_from([None, 50.0, 90.0, 95.0]), st.sampled_from([1, 1, 2, 3, 8])), min_size=3, max_size=9
).map(lambda runs: ([value for value, minutes in runs for _ in range(minutes)] + [50.0] * MINUTES)[:MINUTES])
KINDS: list[dict[str, Any]] = [
    {"spec": {"expr": "{metric} > 80"}},
    {"spec": {"expr": "{metric} < 93 and {metric} > 80"}},
    {"spec": {"expr": "sum by (host) (max_over_time({metric}[3m])) >= 90"}},
    {"spec": {"expr": "{metric} > 80"}, "labels": {"at": "{{ $value }}"}},
    {"spec": {"expr": "absent({metric})"}},
    {"spec": {"metric_path": "{metric}.max", "condition": "gt", "threshold": 80}, "kind": "threshold",
     "window_seconds": 240},
    {"spec": {"expr": "{metric} > 80", "levels": [{"severity": "critical", "threshold": 93}]}},
    {"spec": {"expr": "{metric} > 92", "recovery_threshold": 80}},
    {"spec": {"expr": "{metric} > 80", "no_data": "ok"}},
    {"spec": {"expr": "{metric} > 80"}, "limit": 1},
]  # fmt: skip


def filled(spec: dict[str, Any], metric: str) -> dict[str, Any]:
    return {name: text.format(metric=metric) if isinstance(text, str) else text for name, text in spec.items()}


@tuned(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hosts=st.lists(VALUES, min_size=1, max_size=3), kind=st.sampled_from(KINDS),
    for_seconds=st.sampled_from([0, 0, 60, 150]), keep=st.sampled_from([0, 0, 120]),
    cooldown=st.sampled_from([0, 0, 400]), dead=st.booleans(), offset=st.sampled_from([0, 0, 60]),
)  # fmt: skip
def test_a_backtest_tells_what_the_live_pipeline_does(
    start: datetime, hosts: list[Any], kind: dict[str, Any], for_seconds: int, keep: int, cooldown: int, *, dead: bool,
    offset: int,
) -> None:  # fmt: skip
    Channel.objects.all().delete()
    policy(0) if dead else policy(0, 90)
    metric = f"heat_{next(NUMBERS)}"
    feed(start, metric, {f"h{place}": values for place, values in enumerate(hosts)})
    rule = rule_of(
        start, **{**kind, "spec": filled(kind["spec"], metric)}, for_seconds=for_seconds,
        keep_firing_for_seconds=keep, cooldown_seconds=cooldown, query_offset_seconds=offset,
    )  # fmt: skip
    assert_equal(rule, start, dead=frozenset({7}) if dead else frozenset())


HOT, COLD, GONE = 95.0, 50.0, None


def times(*runs: tuple[float | None, int]) -> list[float | None]:
    """Return values by the minute, the last one repeated."""
    values = [value for value, minutes in runs for _ in range(minutes)]
    return (values + [values[-1]] * MINUTES)[:MINUTES]


@pytest.fixture
def hot(start: datetime) -> Rule:
    """Return a rule over two hosts: one is hot twice and vanishes, the other comes and goes."""
    policy(0, 120)
    metric = f"heat_{next(NUMBERS)}"
    feed(start, metric, {
        "a": times((COLD, 2), (HOT, 5), (COLD, 2), (HOT, 4), (GONE, 9)),
        "b": times(*[(HOT, 1), (COLD, 1)] * 6, (HOT, 9)),
    })  # fmt: skip
    return rule_of(start, spec={"expr": f"{metric} > 80"})


def test_flapping_is_counted_and_told_once_it_has_come_to_rest(start: datetime, hot: Rule) -> None:
    story = assert_equal(hot, start)
    kinds = [kind for _, labels, _, kind, _, _ in story if "'b'" in str(labels)]
    assert kinds.count("reopened") >= 5


def test_silences_keep_quiet_as_they_did_then(start: datetime, hot: Rule) -> None:
    matchers = [{"name": "host", "value": "a", "isRegex": False, "isEqual": True}]
    Silence.objects.create(
        matchers=matchers, starts_at=start + timedelta(minutes=1), ends_at=start + timedelta(minutes=5, seconds=20),
        author="ada", reason="disks",
    )  # fmt: skip
    assert_equal(hot, start)
    found = backtest(hot, start_at=start, end_at=start + timedelta(minutes=MINUTES - 1))
    first = next(firing for firing in found.firings if firing.labels["host"] == "a")
    assert "silenced until" in first.told[0].withheld
    heard = [(told.kind, told.at - start.timestamp()) for told in first.told if not told.withheld]
    assert heard == [("fire", 320.0), ("resolve", 420.0)]
    unhushed = backtest(hot, start_at=start, end_at=start + timedelta(minutes=6), quieting="none")
    assert not any(told.withheld for told in unhushed.firings[0].told)


def test_inhibitions_and_mute_times_keep_quiet(start: datetime, hot: Rule) -> None:
    Inhibition.objects.create(name="b hides a", source_matchers=["host=b"], target_matchers=["host=a"])
    minute, until = start + timedelta(minutes=10), start + timedelta(minutes=13)
    MuteTime.objects.create(
        name="pause", matchers=["host=b"],
        intervals=[{"times": [{"start_time": f"{minute:%H:%M}", "end_time": f"{until:%H:%M}"}]}],
    )  # fmt: skip
    story = assert_equal(hot, start)
    assert "unquieted" in {kind for _, _, _, kind, _, _ in story}


def test_an_event_that_somebody_stored_is_asked_for_at_each_time(
    start: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = Events()
    monkeypatch.setitem(ASKED_KINDS._slots, "security_event", events.kind())
    policy(0, 60)
    events.cases = [
        (attack("medium"), start + timedelta(minutes=2), start + timedelta(minutes=6)),
        (attack("critical"), start + timedelta(minutes=4), start + timedelta(minutes=8)),
    ]
    rule = rule_of(start, kind="security_event", spec={"least": 3}, severity="medium", cooldown_seconds=300)
    story = assert_equal(rule, start)
    assert [kind for _, _, _, kind, _, _ in story if kind != "escalated"] == ["started", "worsened", "resolved"]
    events.error = ValueError("the table is gone")
    assert {name for name, *_ in assert_equal(asked_again(rule, start), start)} == {"RuleNotEvaluated"}


def asked_again(rule: Rule, start: datetime) -> Rule:
    """Return the same rule under another name, in a group that is evaluated."""
    return rule_of(start, kind=rule.kind, spec=rule.spec)


def test_a_query_that_fails_at_some_times_only_is_unknown_at_those(start: datetime) -> None:
    policy(0)
    metric = f"heat_{next(NUMBERS)}"
    feed(start, metric, {"a": times((HOT, 4), (COLD, 3), (HOT, 9)), "b": times((GONE, 5), (HOT, 4), (GONE, 7))})
    rule = rule_of(start, spec={"expr": f"sum({metric}) * on() {metric} > 80"})
    assert "unknown" in str(assert_equal(rule, start))


def test_what_fired_on_until_its_data_vanished_is_given_up_when_the_live_rule_gives_it_up(
    start: datetime, settings: Any
) -> None:
    settings.CONFIG = replace(settings.CONFIG, unknown_expires_seconds=240)
    policy(0)
    metric = f"heat_{next(NUMBERS)}"
    feed(start, metric, {"a": times((HOT, 5), (GONE, 11))})
    story = assert_equal(rule_of(start, spec={"expr": f"{metric} > 80"}), start)
    at = {kind: moment - start for name, _, _, kind, moment, _ in story if name != "RuleWithoutData"}
    assert at["became_unknown"] < at["resolved"] - timedelta(minutes=2)
