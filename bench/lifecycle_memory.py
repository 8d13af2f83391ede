"""The memory of one random life: a ledger as the backtest has, in which messages are owed before they are delivered."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any

from aivillage_console.accounts.services import Actor
from alerts.engine.states import EscalationState, NotificationState, QuietKind
from alerts.models import Alert, AlertEvent, Channel, Escalation, Notification, Quieted
from alerts.services import lifecycle
from alerts.services.backtest_memory import Memory
from alerts.services.escalate import carry_out
from alerts.services.ledger import TOLD_KINDS
from alerts.services.owing import reason_to_cancel
from alerts.services.quieting import OPEN, Hush
from alerts.services.unquieting import look_again


@dataclass
class Hushed:
    """Who asked for quiet until when, by the names of alerts."""

    now: datetime
    until: dict[str, datetime]

    def reason(self, alert: Alert, _policy_id: Callable[[], str] = str) -> Hush | None:
        """Return why nobody may be told of an alert now."""
        until = self.until.get(alert.name)
        if until is None or until <= self.now:
            return None
        return Hush(QuietKind.SILENCE, alert.name, f"silenced until {until:%H:%M} UTC by alice: new disks", until)


class Lives(Memory):
    """A ledger that is gone with the sequence; what is owed waits until it is sent."""

    def __init__(self) -> None:
        """Begin with the policies and channels as they are."""
        super().__init__(None, 60.0)  # type: ignore[arg-type] # silences are asked for here, not remembered
        self.hushed: dict[str, datetime] = {}
        self.tries: dict[int, list[str]] = {}
        self._numbers = count(1)
        self._rows: dict[str, list[Notification]] = defaultdict(list)
        self._owed: set[str] = set()

    # What a ledger does otherwise than in a backtest.

    def owe(self, rows: list[Notification]) -> None:
        """Keep messages that are not kept under the same key yet."""
        for row in rows:
            if row.key in self._owed:
                continue
            self._owed.add(row.key)
            row.pk = next(self._numbers)
            self.messages.append(row)
            if row.alert is not None:
                self._rows[row.alert.fingerprint].append(row)

    def cancel_unsent(self, alert: Alert, **asked: Any) -> int:
        """Cancel what is owed."""
        waiting = [row for row in self._rows[alert.fingerprint]
                   if row.state == NotificationState.DUE and row.kind in asked["kinds"]]  # fmt: skip
        for row in waiting:
            row.state, row.withheld, row.finished_at = "cancelled", asked["held"].why.value, asked["now"]
            row.cancelled_because = asked["held"].text
        return len(waiting)

    def told(self, alert: Alert) -> list[Channel]:
        """Return the channels that were, or may have been, told in this episode."""
        rows = self._rows[alert.fingerprint]
        tried = {row.channel_id for row in rows
                 if row.episode == alert.episode and row.kind in TOLD_KINDS and row.attempts}  # fmt: skip
        return self.channels(tried)

    def last_told_at(self, alert: Alert) -> float | None:
        """Return when it was last told that the alert began."""
        rows = (row for row in self._rows[alert.fingerprint] if row.kind == "fire" and row.state != "cancelled")
        return max((row.created_at.timestamp() for row in rows), default=None)

    def told_of_late(self, channel: Channel, since: datetime, most: int) -> int:
        """Count what a channel was owed lately."""
        late = (row for row in self.messages if row.created_at > since and row.channel_id == channel.pk)
        return min(most, sum(row.kind in TOLD_KINDS and row.state != "cancelled" for row in late))

    def quiet(self, now: datetime) -> Any:
        """Return who asked for quiet."""
        return Hushed(now, self.hushed)

    # What a desk does.

    def held(self, alert_id: int) -> Alert:
        """Return an alert."""
        return next(alert for alert in self.alerts() if alert.pk == alert_id)

    def policy(self, alert: Alert) -> Escalation | None:
        """Return the policy of the running episode."""
        return self._policies.get((alert.fingerprint, alert.episode))

    def earlier(self, row: Notification) -> Sequence[Notification]:
        """Return what the receiver was owed before."""
        rows = self._rows[row.alert.fingerprint] if row.alert is not None else []
        return [each for each in rows
                if each.pk < row.pk and each.episode == row.episode and each.channel_id == row.channel_id]  # fmt: skip

    def has_later_word(self, row: Notification) -> bool:
        """Say whether a later word is owed."""
        rows = self._rows[row.alert.fingerprint] if row.alert is not None else []
        return any(each.kind == "update" and each.pk > row.pk and each.channel_id == row.channel_id for each in rows)

    def outcomes(self, row: Notification) -> Sequence[str]:
        """Return how each try ended."""
        return self.tries.get(row.pk, [])

    def audited(self, actor: Actor, action: str, alert: Alert, **facts: Any) -> None:
        """Write no audit trail."""

    # What the world asks.

    def alerts(self) -> Sequence[Alert]:
        """Return every alert."""
        return list(self._alerts.values())

    def policies(self) -> Iterable[Escalation]:
        """Return the policies of all episodes."""
        return self._policies.values()

    def story(self, kinds: Sequence[str]) -> Iterator[AlertEvent]:
        """Yield what happened."""
        return (event for event in self.events if event.kind in kinds)

    def quieted(self) -> Iterable[Quieted]:
        """Return what is kept quiet."""
        return self._quieted.values()

    def silence(self, name: str, now: datetime, until: datetime) -> None:
        """Ask for quiet."""
        self.hushed[name] = max(until, self.hushed.get(name, now))

    def next_due(self) -> datetime | None:
        """Return when something falls due by the clock."""
        times = [alert.wake_at for alert in self._waking.values() if alert.wake_at is not None]
        times += [row.due_at for row in self._quieted.values()]
        times += [row.due_at for row in self._running.values()]
        return min(times, default=None)

    def work(self, now: datetime) -> None:
        """Do what is due, as the processes would."""
        for alert in [each for each in self._waking.values() if each.wake_at is not None and each.wake_at <= now]:
            lifecycle.woken(alert, now, self)
        self._grow(now)
        for row in [each for each in self._quieted.values() if each.due_at <= now]:
            look_again(row.alert, row, now, self)
        for policy in [each for each in self._running.values() if each.due_at <= now]:
            if policy.state == EscalationState.ACTIVE:
                carry_out(policy, policy.alert, now, self)

    def _grow(self, now: datetime) -> None:
        for alert in self.alerts():
            if alert.acked_at is None or alert.state not in OPEN:
                continue
            since, mine = alert.acked_at, self.followed(alert)
            others = (each for each in self.alerts() if each is not alert and each.state == "firing")
            grown = [
                each for each in others if each.fired_at and each.fired_at > since and self.followed(each) == mine
            ]  # fmt: skip
            if grown:
                lifecycle.grown(alert, f"#{grown[-1].pk} {grown[-1].name}", now, self)

    def due_messages(self, now: datetime) -> list[Notification]:
        """Return what is owed."""
        return [row for row in self.messages if row.state == NotificationState.DUE and row.due_at <= now]

    def why_not(self, row: Notification, now: datetime) -> Any:
        """Return why a message is no longer owed."""
        return reason_to_cancel(row, now, self)

    def tried(self, row: Notification, outcome: str, _now: datetime) -> None:
        """Keep how a try ended."""
        self.tries.setdefault(row.pk, []).append(outcome)

    def kept(self, row: Notification) -> None:
        """Keep a message as it is."""
