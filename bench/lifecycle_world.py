"""A small world of alerts, over the tables or in memory: what may happen to them, and what must hold whatever happens.

Three alerts of one rule, three channels (one keeps its message up to date, one hears of critical alerts alone), two
policies. `World` offers everything that can happen as a method, has a clock of its own, carries out what falls due as
the processes would, and `look` raises Broken where a state is lost or contradicts another. Receivers are lists:
nothing is sent. Used by the machine in `tests/alerts/test_lifecycle_machine.py` and by `bench.lifecycle`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from django.db import connection

from aivillage_console.accounts.services import Actor
from alerts.engine.episodes import Seen
from alerts.engine.reasons import Held, ResolvedCause, Why
from alerts.engine.states import EscalationState, NotificationState
from alerts.models import (
    Alert,
    AlertEvent,
    Channel,
    Escalation,
    Notification,
    Policy,
    PolicyStep,
    Quieted,
    Rule,
    RuleGroup,
)
from alerts.pipeline import Observation
from alerts.services import actions, escalate, lifecycle, unquieting
from alerts.services.decide import observe
from alerts.services.ledger import TABLES
from alerts.services.owing import reason_to_cancel
from alerts.services.quieting import matchers_of

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ("DiskA", "DiskB", "DiskC")
ALICE = Actor(kind="user", id="1", label="alice")
OPEN = ("firing", "unknown")
VERBS = ("acknowledge", "unacknowledge", "snooze", "unsnooze", "resolve", "reopen", "assign", "note")
SEVERITIES = ("low", "high", "critical")
WAITS = (5, 30, 200, 700, 4000, 90_000)
# Silences that end and begin again in a moment would stop the clock.
MOST_STOPS = 40
NEXT_DUE = """
SELECT least((SELECT min(wake_at) FROM alerts_alert),
    (SELECT min(due_at) FROM alerts_escalation WHERE state = 'active'), (SELECT min(due_at) FROM alerts_quieted))
"""
TRACED = ("started", "reopened", "resolved", "worsened", "acknowledged", "snoozed", "escalated")
CAUSES = {cause.value for cause in ResolvedCause}
WHYS = {why.value for why in Why}


class Broken(AssertionError):
    """Something that must hold does not."""


def hold(holds: object, said: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(said)


def furnish() -> Rule:
    """Store what the world stands on: a rule, channels and policies."""
    group = RuleGroup.objects.create(name="world", due_at=START, enabled=False)
    rule = Rule.objects.create(group=group, name="Disk", spec={"expr": "disk > 80"}, cooldown_seconds=0)
    pager = Channel.objects.create(name="pager", config={"url": "http://127.0.0.1:9/"})
    chat = Channel.objects.create(name="chat", type="slack", config={"channel": "C0"})
    loud = Channel.objects.create(name="loud", filters=[{"severity": "critical"}])
    for name, triggers, steps in (
        ("urgent", [{"severity": "critical"}], ((0, [pager, loud]), (300, [chat]))),
        ("usual", [], ((0, [chat, loud]), (600, [pager]))),
    ):
        policy = Policy.objects.create(name=name, triggers=triggers, position=len(steps[0][1]) + (name == "usual"))
        for place, (delay, channels) in enumerate(steps):
            step = PolicyStep.objects.create(policy=policy, position=place, delay_seconds=delay)
            step.channels.set(channels)
    return rule


class Rows:
    """The world in the tables, with the services that carry out what is due."""

    ledger = TABLES

    def alerts(self) -> Sequence[Alert]:
        """Return every alert."""
        return list(Alert.objects.all())

    def policies(self) -> Iterable[Escalation]:
        """Return the policies of all episodes."""
        return Escalation.objects.select_related("alert")

    def story(self, kinds: Sequence[str]) -> Iterable[AlertEvent]:
        """Return what happened."""
        return AlertEvent.objects.filter(kind__in=kinds)

    def quieted(self) -> Iterable[Quieted]:
        """Return what is kept quiet."""
        return Quieted.objects.all()

    @property
    def messages(self) -> Iterable[Notification]:
        """Return every message."""
        return Notification.objects.defer("payload")

    def silence(self, name: str, now: datetime, until: datetime) -> None:
        """Ask for quiet."""
        wanted = unquieting.Wanted(
            matchers=matchers_of([f"alertname={name}"]),
            starts_at=now,
            ends_at=until,
            author="alice",
            reason="new disks",
        )
        unquieting.silence_save(wanted, actor=ALICE, now=now)

    def next_due(self) -> datetime | None:
        """Return when something falls due by the clock."""
        with connection.cursor() as cursor:
            cursor.execute(NEXT_DUE)
            found: datetime | None = cursor.fetchone()[0]
        return found

    def work(self, now: datetime) -> None:
        """Do what is due, as the processes do."""
        lifecycle.lifecycle_due(now=now)
        unquieting.unquiet_due(now=now)
        escalate.escalate_due(hand="bench", read_clock=lambda: now)

    def due_messages(self, now: datetime) -> Sequence[Notification]:
        """Return what is owed."""
        due = Notification.objects.filter(state="due", due_at__lte=now).select_related("alert", "channel")
        return list(due.order_by("pk"))

    def why_not(self, row: Notification, now: datetime) -> Held | None:
        """Return why a message is no longer owed."""
        return reason_to_cancel(row, now)

    def tried(self, row: Notification, outcome: str, now: datetime) -> None:
        """Keep how a try ended."""
        row.tries.create(channel=row.channel, at=now, outcome=outcome)

    def kept(self, row: Notification) -> None:
        """Store a message as it is."""
        row.save()


@dataclass
class World:
    """One run of the world; `log` says what happened, for the report of what went wrong."""

    rule: Rule
    store: Any  # Rows, or a memory with the same methods that is a ledger itself.
    now: datetime = START
    log: list[str] = field(default_factory=list)
    heard: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    cooldown_seconds: int = 0
    fails: bool = False  # Whether receivers do not answer now.

    def _alert(self, name: str) -> Alert | None:
        return next((alert for alert in self.store.alerts() if alert.name == name), None)

    @property
    def _ledger(self) -> Any:
        return getattr(self.store, "ledger", self.store)

    # What is seen.

    def see(self, name: str, seen: Seen, severity: str = "high") -> None:
        """Have an evaluation see something of an alert."""
        self.log.append(f"{seen.value} {name} {severity}")
        known = self._alert(name)
        # A rule knows nothing of a label set that never fired.
        if seen in (Seen.UNKNOWN, Seen.CLEAR) and known is None:
            return
        observation = Observation(
            name=name, labels={"disk": name}, seen=seen, severity=severity, rule_id=self.rule.pk, rule_version=1,
            cooldown_seconds=self.cooldown_seconds, value=90.0,
        )  # fmt: skip
        observe(observation, now=self.now, ledger=self._ledger)

    # What people do.

    def act(self, name: str, verb: str, *, stale: bool = False, seconds: int = 1800) -> None:
        """Have a person do something; what makes no sense is refused, and a stale version always."""
        alert = self._alert(name)
        if alert is None:
            return
        self.log.append(f"{verb} {name}{' stale' if stale else ''}")
        more: dict[str, Any] = {}
        if verb in ("acknowledge", "snooze"):
            more["until"] = self.now + timedelta(seconds=seconds)
        if verb == "note":
            more["reason"] = "hm"
        if verb == "assign":
            more["assignee_id"] = None
        service: Callable[..., Alert] = getattr(actions, f"alert_{verb}")
        try:
            service(
                alert_id=alert.pk, version=alert.version - stale, actor=ALICE, now=self.now, ledger=self._ledger, **more
            )
        except actions.NotPossible:
            hold(not stale, "a stale action was judged before its version")
        except actions.StaleVersion as refused:
            hold(stale and refused.alert.version == alert.version, "a fresh action was refused")
        else:
            hold(not stale, "a stale action was done")

    def silence(self, name: str, seconds: int) -> None:
        """Have somebody ask for quiet."""
        self.log.append(f"silence {name} {seconds}")
        self.store.silence(name, self.now, self.now + timedelta(seconds=seconds))

    # What the processes do.

    def wait(self, seconds: int) -> None:
        """Let time pass; what falls due is done when it does."""
        self.log.append(f"wait {seconds}")
        until = self.now + timedelta(seconds=seconds)
        for _ in range(MOST_STOPS):
            due_at = self.store.next_due()
            if due_at is None or due_at > until:
                break
            self.now = max(self.now, due_at)
            self.work()
        self.now = until
        self.work()

    def work(self) -> None:
        """Do what is due."""
        self.store.work(self.now)
        self.send()

    def send(self) -> None:
        """Send what is owed, each receiver in order; where they do not answer, what was tried stays owed."""
        waiting: set[tuple[int, str]] = set()
        for row in self.store.due_messages(self.now):
            to = (row.alert_id or 0, row.channel_name)
            if row.kind == "resolve" and to in waiting:
                continue
            row.attempts += 1
            held = self.store.why_not(row, self.now)
            if held is not None:
                row.state, row.withheld, row.cancelled_because = "cancelled", held.why.value, held.text
                row.finished_at, row.attempts = self.now, row.attempts - 1
            elif self.fails:
                waiting.add(to)
                self.store.tried(row, "refused", self.now)
            else:
                row.state, row.sent_at, row.finished_at = "done", self.now, self.now
                self.store.tried(row, "delivered", self.now)
                self._hear(row)
            self.store.kept(row)

    def _hear(self, row: Notification) -> None:
        if row.alert_id is not None:
            self.heard.setdefault((row.alert_id, row.channel_name), []).append(row.kind)
        self.told[row.kind] += 1

    # What must hold.

    def look(self) -> None:
        """Look at everything; raises Broken."""
        policies: dict[str, list[Escalation]] = {}
        for policy in self.store.policies():
            policies.setdefault(policy.alert.fingerprint, []).append(policy)
        for alert in self.store.alerts():
            self._look_at(alert, policies.get(alert.fingerprint, []))
        for row in self.store.messages:
            cancelled = row.state == NotificationState.CANCELLED
            hold((row.withheld in WHYS) == cancelled, f"{row.kind} is {row.state}, withheld {row.withheld!r}")
            hold(row.withheld != Why.TOLD, "kept back for being told")
            hold(bool(row.cancelled_because) == cancelled, "a reason without words, or words without one")
        for kinds in self.heard.values():
            _in_order(kinds)
        for event in self.store.story(TRACED):
            hold(event.data.get("why") in WHYS, "a change that does not say who is told")
            hold(event.data.get("decisions"), "a change without a trace")

    def _look_at(self, alert: Alert, policies: Sequence[Escalation]) -> None:
        is_open, taken, snoozed = alert.state in OPEN, alert.acked_at is not None, alert.snoozed_until is not None
        hold(not (taken and snoozed), "acknowledged and snoozed")
        hold(is_open == (alert.resolved_at is None) or alert.state == "pending", "open and over, at once")
        hold((alert.state == "unknown") == (alert.stale_since is not None), "stale and not, at once")
        hold((alert.flapping_until is None) == (alert.flapping_since is None), "flaps with one end")
        hold(not alert.flaps or alert.flapping_since is not None, "counts and does not flap")
        if is_open:
            hold(not alert.resolved_cause, "open with a cause of its end")
            hold(not alert.resolved_because, "open with a reason of its end")
        elif alert.episode and alert.state == "resolved":
            hold(alert.resolved_cause in CAUSES, "over without a cause")
            hold(alert.resolved_because, "over without a reason")
        hold(alert.version >= self.versions.get(alert.pk, 0), "a version went back")
        self.versions[alert.pk] = alert.version
        _look_at_policies(alert, policies, is_open=is_open)

    def rest(self) -> None:
        """End everything, let two days pass, and look whether everybody who heard of a beginning heard of its end."""
        self.log.append("rest")
        self.fails = False
        for name in NAMES:
            alert = self._alert(name)
            if alert is not None:
                self.see(name, Seen.CLEAR)
        for _ in range(4):
            self.now += timedelta(hours=12)
            self.work()
        self.look()
        hold(all(row.state != "due" for row in self.store.messages), "something is owed for ever")
        late = self.now - timedelta(hours=1)
        hold(all(row.due_at > late for row in self.store.quieted()), "kept quiet and forgotten")
        hold(all(alert.flapping_until is None for alert in self.store.alerts()), "flaps for ever")
        hold(all((alert.snoozed_until or self.now) >= self.now for alert in self.store.alerts()), "snoozed for ever")
        for (alert_id, channel), kinds in self.heard.items():
            last = next((kind for kind in reversed(kinds) if kind != "update"), "update")
            hold(last == "resolve", f"{channel} never heard that #{alert_id} is over: {kinds}")


def _look_at_policies(alert: Alert, policies: Sequence[Escalation], *, is_open: bool) -> None:
    active = [each for each in policies if each.state == EscalationState.ACTIVE]
    hold(len(active) <= 1, "two policies run")
    if alert.acked_at is not None or not is_open:
        hold(not active, f"a policy runs though the alert is {alert.shown_state}")
    if not is_open or alert.acked_at is not None or alert.flapping_until is not None or not alert.episode:
        return
    running = [each for each in policies if each.episode == alert.episode]
    hold(running, "nobody will be told")
    hold(running[0].state != EscalationState.STOPPED, f"stopped for good: {running[0].stopped_because}")


def _in_order(kinds: list[str]) -> None:
    fires = False
    for kind in kinds:
        if kind == "resolve":
            hold(fires, f"an end without a beginning: {kinds}")
            fires = False
        elif kind in ("fire", "repeat"):
            fires = True


STEPS: Mapping[str, Callable[[World, Random], None]] = {
    "fire": lambda world, dice: world.see(dice.choice(NAMES), Seen.FIRING, dice.choice(SEVERITIES)),
    "clear": lambda world, dice: world.see(dice.choice(NAMES), Seen.CLEAR),
    "unknown": lambda world, dice: world.see(dice.choice(NAMES), Seen.UNKNOWN),
    "pending": lambda world, dice: world.see(dice.choice(NAMES), Seen.PENDING),
    "flap": lambda world, dice: flap(world, dice.choice(NAMES), dice.randint(3, 8)),
    "act": lambda world, dice: world.act(
        dice.choice(NAMES), dice.choice(VERBS), stale=dice.random() < 0.1, seconds=dice.choice(WAITS)
    ),
    "silence": lambda world, dice: world.silence(dice.choice(NAMES), dice.choice(WAITS)),
    "wait": lambda world, dice: world.wait(dice.choice(WAITS)),
    "work": lambda world, _: world.work(),
    "outage": lambda world, dice: setattr(world, "fails", dice.random() < 0.5),
}  # fmt: skip
WEIGHTS = {"fire": 6, "clear": 4, "act": 6, "wait": 4, "flap": 2}


def flap(world: World, name: str, times: int) -> None:
    """Have an alert come and go."""
    for _ in range(times):
        world.see(name, Seen.FIRING)
        world.now += timedelta(seconds=20)
        world.see(name, Seen.CLEAR)
        world.now += timedelta(seconds=20)
        world.send()


def run(world: World, seed: int) -> int:
    """Run one random sequence to its rest; return how many steps it had."""
    dice = Random(seed)
    world.cooldown_seconds = dice.choice((0, 0, 600))
    count = dice.randint(4, 14)
    names = list(STEPS)
    for name in dice.choices(names, [WEIGHTS.get(each, 1) for each in names], k=count):
        STEPS[name](world, dice)
        world.look()
    world.rest()
    return count
