"""The memory a backtest keeps its alerts in, in the place of the tables, and what falls due there by the clock.

It decides nothing. What it takes for granted, and the tables do not: a message is delivered the moment it is owed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from operator import attrgetter
from typing import Any

from aivillage_console.lib import clock
from alerts.engine.states import AlertState, EscalationState, NotificationKind, NotificationState
from alerts.models import Alert, AlertEvent, Channel, Escalation, Notification, Quieted, Rule, RuleState
from alerts.pipeline import Case
from alerts.services.backtest_quiet import QuietHistory, QuietThen
from alerts.services.escalate import carry_out
from alerts.services.ledger import TOLD_KINDS
from alerts.services.lifecycle import woken
from alerts.services.quieting import LOOK_AGAIN, OPEN
from alerts.services.routes import Routes
from alerts.services.unquieting import look_again

# What is done first of what is due at one time.
WAKES, LOOKS, STEPS = range(3)
Due = tuple[datetime, int, str]


@dataclass(frozen=True, slots=True)
class Facts:
    """How an alert stood when something was told of it."""

    severity: str
    labels: dict[str, str]
    policy: str
    key: tuple[str, int, int]


class Memory:
    """A ledger that is gone with the process."""

    shows = False

    def __init__(self, history: QuietHistory, interval_seconds: float, *, lower_is_worse: bool = False) -> None:
        """Begin with nothing but the policies and channels as they are."""
        self.history = history
        self.events: list[AlertEvent] = []
        self.messages: list[Notification] = []
        self.facts: dict[int, Facts] = {}
        self.policy_names: dict[str, str] = {}  # By the key of a message.
        self.peaks: dict[tuple[str, int, int], float] = {}
        self._interval_seconds, self._worst = interval_seconds, min if lower_is_worse else max
        self._ids = count(1)
        self._routes = Routes()
        self._channels = {channel.pk: channel for channel in Channel.objects.filter(enabled=True)}
        self._alerts: dict[str, Alert] = {}
        self._states: dict[str, RuleState] = {}
        self._policies: dict[tuple[str, int], Escalation] = {}
        self._running: dict[tuple[str, int], Escalation] = {}
        self._keys: set[str] = set()
        self._told: dict[tuple[str, int], set[Any]] = defaultdict(set)
        self._last_told: dict[str, float] = {}
        self._quieted: dict[str, Quieted] = {}
        self._waking: dict[str, Alert] = {}

    # What a ledger does.

    def together(self) -> AbstractContextManager[Any]:
        """Return nothing in particular: there is nobody else."""
        return nullcontext()

    def states(self, rule: Rule) -> Sequence[RuleState]:  # noqa: ARG002 - there is one rule only
        """Return where the label sets stand."""
        return list(self._states.values())

    def keep_state(self, state: RuleState) -> None:
        """Keep where a label set stands."""
        state.pk = state.pk or next(self._ids)
        self._states[state.fingerprint] = state

    def drop_state(self, state: RuleState) -> None:
        """Forget a label set."""
        self._states.pop(state.fingerprint, None)
        state.pk = None

    def keep_health(self, rule: Rule, **fields: Any) -> None:
        """Write into the rule in hand."""
        for name, value in fields.items():
            setattr(rule, name, value)

    def alert(self, print_of: str) -> Alert | None:
        """Return an alert."""
        return self._alerts.get(print_of)

    def fresh(self, blank: Alert) -> Alert:
        """Keep an alert nobody has seen before."""
        blank.pk = next(self._ids)
        self._alerts[blank.fingerprint] = blank
        return blank

    def save(self, alert: Alert) -> None:
        """Note how bad the value has become, and when to look at it; the alert itself is here already."""
        self._waking.pop(alert.fingerprint, None)
        if alert.wake_at is not None:
            self._waking[alert.fingerprint] = alert
        if alert.state in OPEN and alert.value is not None:
            self.peak(alert, alert.value)

    def peak(self, alert: Alert, value: float) -> None:
        """Note a value that was seen while an alert fired; a value that is no number is none."""
        key = (alert.fingerprint, alert.episode, alert.repeat_no)
        known = self.peaks.get(key)
        if value == value:  # noqa: PLR0124 - false for NaN alone
            self.peaks[key] = value if known is None else self._worst(known, value)

    def forget(self, alert: Alert) -> None:
        """Drop an alert that never fired."""
        del self._alerts[alert.fingerprint]

    def tell(self, event: AlertEvent) -> None:
        """Append to the story, with how its alert stood, which changes."""
        alert = event.alert
        policy = next((each["verdict"] for each in alert.decisions if each["stage"] == "route"), "")
        self.events.append(event)
        self.facts[id(event)] = Facts(
            alert.severity, dict(alert.labels), policy, (alert.fingerprint, alert.episode, alert.repeat_no)
        )

    def changed(self, alert: Alert) -> None:
        """Tell nobody: no page shows it."""

    def routes(self) -> Routes:
        """Return the policies as they were when the backtest began."""
        return self._routes

    def followed(self, alert: Alert) -> str:
        """Return the id of the episode's policy."""
        row = self._policies.get((alert.fingerprint, alert.episode))
        return str(row.policy_snapshot.get("id") or "") if row else ""

    def arm(self, row: Escalation) -> None:
        """Start a policy."""
        self._keep_policy((row.alert.fingerprint, row.episode), row)

    def rearm(self, alert: Alert, **fields: Any) -> bool:
        """Begin a policy again."""
        key = (alert.fingerprint, alert.episode)
        row = self._policies.get(key)
        if row is None:
            return False
        _put(row, fields)
        self._keep_policy(key, row)
        return True

    def advance(self, row: Escalation, **fields: Any) -> None:
        """Keep which step is ahead."""
        _put(row, fields)
        self._keep_policy((row.alert.fingerprint, row.episode), row)

    def stop(self, alert: Alert, because: str) -> None:
        """Stop the policies of an alert."""
        for key in [key for key in self._running if key[0] == alert.fingerprint]:
            row = self._running.pop(key)
            row.state, row.stopped_because = EscalationState.STOPPED.value, because

    def _keep_policy(self, key: tuple[str, int], row: Escalation) -> None:
        self._policies[key] = row
        self._running.pop(key, None)
        if row.state == EscalationState.ACTIVE:
            self._running[key] = row

    def channels(self, ids: Iterable[Any]) -> list[Channel]:
        """Return channels that are on, by their names."""
        wanted = {str(pk) for pk in ids}
        return sorted((each for pk, each in self._channels.items() if str(pk) in wanted), key=attrgetter("name"))

    def told(self, alert: Alert) -> list[Channel]:
        """Return the channels that were told in this episode."""
        return self.channels(self._told.get((alert.fingerprint, alert.episode), ()))

    def last_told_at(self, alert: Alert) -> float | None:
        """Return when it was last told that the alert began."""
        return self._last_told.get(alert.fingerprint)

    def told_of_late(self, channel: Channel, since: datetime, most: int) -> int:
        """Count messages of this rule to a channel, from the newest."""
        found = 0
        for row in reversed(self.messages):
            if row.created_at <= since or found >= most:
                break
            told = row.kind in TOLD_KINDS and row.state != NotificationState.CANCELLED
            found += told and row.channel_id == channel.pk
        return found

    def owe(self, rows: list[Notification]) -> None:
        """Keep messages, and call delivered what is not kept back."""
        for row in rows:
            if row.key in self._keys:
                continue
            self._keys.add(row.key)
            if row.state == NotificationState.DUE:
                row.state, row.attempts, row.sent_at = NotificationState.DONE.value, 1, row.created_at
            self.messages.append(row)
            policy = self._policies.get((row.alert.fingerprint, row.episode)) if row.alert is not None else None
            self.policy_names[row.key] = policy.policy_snapshot.get("name", "") if policy is not None else ""
            if row.alert is not None and row.kind in TOLD_KINDS and row.state != NotificationState.CANCELLED:
                self._note_told(row.alert.fingerprint, row)

    def _note_told(self, print_of: str, row: Notification) -> None:
        self._told[print_of, row.episode].add(row.channel_id)
        if row.kind == NotificationKind.FIRE:
            self._last_told[print_of] = row.created_at.timestamp()

    def digest(self, candidates: Iterator[Notification]) -> str:
        """Keep the digest of a minute, which tells of what was folded."""
        row = next(candidates)
        self.owe([row])
        return row.key

    def cancel_unsent(self, alert: Alert, **_why: Any) -> int:  # noqa: ARG002 - nothing is ever unsent
        """Cancel nothing: what is owed is delivered already."""
        return 0

    def correlating(self, routes: Routes) -> None:
        """Put alerts into no incident."""

    def joined(self, decided: Sequence[tuple[Alert, Case]], now: datetime) -> None:
        """Keep no incident."""

    def incident_told(self, alert: Alert) -> None:
        """Know of no incident."""

    def quiet(self, now: datetime) -> QuietThen:
        """Return what kept alerts quiet at a time."""
        return QuietThen(now, history=self.history, alerts=self._alerts.values())

    def keep_quieted(self, row: Quieted) -> None:
        """Remember that an alert was not told, since when it first was not."""
        known = self._quieted.get(row.alert.fingerprint)
        row.since_at = known.since_at if known else row.since_at
        self._quieted[row.alert.fingerprint] = row

    def drop_quieted(self, row: Quieted) -> None:
        """Forget that an alert was not told."""
        self._quieted.pop(row.alert.fingerprint, None)

    # What falls due by the clock.

    def firing(self, print_of: str) -> Alert | None:
        """Return the alert of a label set that fires."""
        found = self._alerts.get(print_of)
        return found if found is not None and found.state == AlertState.FIRING else None

    def work_until(self, end_at: datetime, *, inclusive: bool = False) -> None:
        """Do what falls due before a time, in its order."""
        while True:
            due = min(self._dues(), default=None)
            if due is None or due[0] > end_at or (due[0] == end_at and not inclusive):
                return
            self._do(*due)

    def _do(self, at: datetime, what: int, key: str) -> None:
        if what == WAKES:
            woken(self._waking[key], at, self)
        elif what == LOOKS:
            row = self._quieted[key]
            look_again(row.alert, row, at, self)
        else:
            policies = [row for (print_of, _), row in self._running.items() if print_of == key]
            policy = min(policies, key=attrgetter("due_at"))
            carry_out(policy, policy.alert, at, self)

    def _dues(self) -> Iterator[Due]:
        for key, alert in self._waking.items():
            if alert.wake_at is not None:
                yield alert.wake_at, WAKES, key
        for key, row in self._quieted.items():
            yield self._look_at(row), LOOKS, key
        for (key, _), policy in self._running.items():
            yield policy.due_at, STEPS, key

    def _look_at(self, row: Quieted) -> datetime:
        """Return the first of the times it is looked at, every few seconds, at which the answer may be another one."""
        if self.history.knows_until(row):
            return row.due_at
        look_seconds, due = LOOK_AGAIN.total_seconds(), row.due_at.timestamp()
        may_change_at = self.history.changes_from(due - look_seconds, self._interval_seconds)
        if may_change_at <= due:
            return row.due_at
        looks = -((due - may_change_at) // look_seconds)
        return clock.at_seconds(due + looks * look_seconds)


def _put(row: Escalation, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
