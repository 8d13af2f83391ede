"""The dispatcher: groups alerts by route, and tells receivers what is new, on a clock it is given."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count

from alerts.engine.alertmanager import alerts as pushes
from alerts.engine.alertmanager.alerts import Alert, Identity, Pushed
from alerts.engine.alertmanager.config import Config, Integration
from alerts.engine.alertmanager.inhibition import Inhibitor
from alerts.engine.alertmanager.notification_log import Entry, NotificationLog, parted, reason
from alerts.engine.alertmanager.routes import Route, group_key, tree
from alerts.engine.alertmanager.sending import Notification, Send, deadline_seconds, pauses
from alerts.engine.alertmanager.silences import Silences
from alerts.engine.alertmanager.times import muted

Action = Callable[[float], None]


@dataclass(slots=True)
class Group:
    """The alerts of one route with the same group labels; told about together."""

    route: Route
    labels: dict[str, str]
    key: str
    alerts: dict[Identity, Alert] = field(default_factory=dict)
    destroyed: bool = False
    started: bool = False
    busy: bool = False
    due_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Alerts that a flush did not tell about, and the one reason."""

    at: float
    group_key: str
    alert: Alert | None
    reason: str
    by: str


@dataclass(slots=True)
class Flush:
    """One flush under way: the alerts taken, and the integrations still to answer."""

    group: Group
    at: float
    taken: tuple[Alert, ...]
    waiting: int = 0
    failed: bool = False


class Dispatcher:
    """Everything between a push and a message; nothing here looks at a clock of its own."""

    def __init__(self, config: Config, send: Send, *, started_at: float, start_delay_seconds: float = 0.0) -> None:
        """Begin with a configuration, empty of alerts."""
        self.send = send
        self.log = NotificationLog()
        self.silences = Silences()
        self.known: dict[Identity, Alert] = {}
        self.suppressed: list[Suppressed] = []
        self._events: list[tuple[float, int, Action]] = []
        self._numbers = count()
        self._generation = 0
        self._adopt(config)
        self._running_from = started_at + start_delay_seconds
        if start_delay_seconds > 0:
            self.schedule(self._running_from, self._start_all)

    def _adopt(self, config: Config) -> None:
        self.config = config
        self.root = tree(config.route)
        self.inhibitor = Inhibitor(config.inhibit_rules)
        self.groups: dict[tuple[str, tuple[tuple[str, str], ...]], Group] = {}

    def reload(self, config: Config, now: float) -> None:
        """Take a new configuration: groups begin anew, what was told stays known."""
        self._generation += 1
        self._events.clear()
        self._adopt(config)
        if self._running_from > now:
            self.schedule(self._running_from, self._start_all)
        for alert in list(self.known.values()):
            self._take(alert, now)

    def push(self, pushed: Iterable[Pushed], now: float) -> list[str]:
        """Take alerts; returns what is wrong with those that are refused."""
        faults = []
        for each in pushed:
            alert = pushes.received(each, now, self.config.resolve_timeout_seconds)
            said = pushes.fault(alert)
            if said:
                faults.append(said)
                continue
            whole = pushes.together(self.known.get(alert.identity()), alert, now)
            self.known[alert.identity()] = whole
            self._take(whole, now)
        return faults

    def _take(self, alert: Alert, now: float) -> None:
        self.inhibitor.update(alert)
        for route in self.root.reached(alert.labels):
            self._group(alert, route, now)

    def _group(self, alert: Alert, route: Route, now: float) -> None:
        labels = route.group_labels(alert.labels)
        place = (route.identity(), tuple(sorted(labels.items())))
        group = self.groups.get(place)
        if group is not None and not group.destroyed:
            group.alerts[alert.identity()] = alert
            return
        group = self.groups[place] = Group(route, labels, group_key(route, labels))
        group.alerts[alert.identity()] = alert
        wait = route.options.group_wait_seconds
        # An alert that began long ago has been waited for already.
        group.due_at = now if alert.starts_at + wait < now else now + wait
        if now >= self._running_from:
            self._start(group)

    def _start_all(self, _now: float) -> None:
        for group in self.groups.values():
            self._start(group)

    def _start(self, group: Group) -> None:
        if not group.started:
            group.started = True
            self.schedule(max(group.due_at, self._running_from), lambda now: self._flush(group, now))

    def schedule(self, at: float, action: Action) -> None:
        """Do something at a moment."""
        heappush(self._events, (at, next(self._numbers), action))

    def next_at(self) -> float | None:
        """Return when something is due next."""
        return self._events[0][0] if self._events else None

    def run(self, until: float) -> None:
        """Do everything that is due before or at a moment, each at its own time."""
        while self._events and self._events[0][0] <= until:
            at, _, action = heappop(self._events)
            action(at)

    def _flush(self, group: Group, now: float) -> None:
        if group.busy or group.destroyed:
            return
        interval = group.route.options.group_interval_seconds
        group.due_at = now + interval
        if not group.alerts:
            self.schedule(group.due_at, lambda at: self._flush(group, at))
            return
        taken = tuple(sorted((_told(alert, now) for alert in group.alerts.values()), key=Alert.order))
        flush = Flush(group, now, taken)
        group.busy = True
        alerts = self._unmuted(group, taken, now)
        receiver = self.config.receivers[group.route.options.receiver]
        for integration in receiver.integrations if alerts else ():
            self._begin(flush, integration, alerts)
        if not flush.waiting:
            self._finish(flush, now)

    def _unmuted(self, group: Group, taken: tuple[Alert, ...], now: float) -> tuple[Alert, ...]:
        """Return the alerts to tell about: not inhibited, in their time, not silenced."""
        left = []
        for alert in taken:
            found = self.inhibitor.inhibited_by(alert.labels, now)
            if found is None:
                left.append(alert)
            else:
                self._note(now, group, alert, "inhibited", found[0].name or "a firing alert")
        if left and self._time_muted(group, now):
            return ()
        told = []
        for alert in left:
            names = self.silences.silenced_by(alert.labels, now)
            if names:
                self._note(now, group, alert, "silenced", names[0])
            else:
                told.append(alert)
        return tuple(told)

    def _time_muted(self, group: Group, now: float) -> bool:
        options, at = group.route.options, datetime.fromtimestamp(now, UTC)
        if options.active_time_intervals and not muted(options.active_time_intervals, self.config.intervals, at):
            self._note(now, group, None, "not in an active time", ", ".join(options.active_time_intervals))
            return True
        names = muted(options.mute_time_intervals, self.config.intervals, at)
        if names:
            self._note(now, group, None, "in a mute time", names[0])
        return bool(names)

    def _note(self, now: float, group: Group, alert: Alert | None, why: str, by: str) -> None:
        self.suppressed.append(Suppressed(now, group.key, alert, why, by))

    def _begin(self, flush: Flush, integration: Integration, alerts: tuple[Alert, ...]) -> None:
        group, options = flush.group, flush.group.route.options
        firing, resolved = parted(alerts, flush.at)
        key = (group.key, options.receiver, integration.kind, integration.index)
        why = reason(
            self.log.entries.get(key),
            firing,
            resolved,
            send_resolved=integration.send_resolved,
            repeat_seconds=options.repeat_interval_seconds,
            now=flush.at,
        )
        if not why:
            return
        told = alerts if integration.send_resolved else tuple(each for each in alerts if not each.resolved_at(flush.at))
        if not told:
            self.log.write(key, Entry(flush.at, firing, resolved))
            return
        most = int(integration.settings.get("max_alerts") or 0)
        told = told[:most] if most else told
        message = Notification(
            flush.at, options.receiver, integration.kind, integration.index, group.key, group.labels, told, why
        )
        flush.waiting += 1
        attempt = Attempt(self, flush, message, lambda at: self.log.write(key, Entry(at, firing, resolved)))
        self.schedule(flush.at, attempt.run)

    def done(self, flush: Flush, now: float, *, sent: bool) -> None:
        """Take the last word of one integration of a flush."""
        flush.waiting -= 1
        flush.failed = flush.failed or not sent
        if not flush.waiting:
            self._finish(flush, now)

    def _finish(self, flush: Flush, now: float) -> None:
        group = flush.group
        group.busy = False
        if not flush.failed:
            for alert in flush.taken:
                # One that fired again meanwhile is another state and stays.
                held = group.alerts.get(alert.identity())
                if alert.resolved_at(flush.at) and held is not None and held.updated_at == alert.updated_at:
                    del group.alerts[alert.identity()]
            group.destroyed = not group.alerts
        if not group.destroyed:
            self.schedule(max(group.due_at, now), lambda at: self._flush(group, at))


class Attempt:
    """One message, tried until it is taken, refused for good, or the flush has run out of time."""

    def __init__(self, dispatcher: Dispatcher, flush: Flush, message: Notification, written: Action) -> None:
        """Begin with no attempt made."""
        self.dispatcher, self.flush, self.message, self.written = dispatcher, flush, message, written
        self.pauses = pauses()
        self.gives_up_at = flush.at + deadline_seconds(flush.group.route.options.group_interval_seconds)

    def run(self, now: float) -> None:
        """Try once."""
        answer = self.dispatcher.send(replace(self.message, at=now))
        at = now + answer.took_seconds
        if answer.verdict == "sent":
            self.written(at)
            self.dispatcher.done(self.flush, at, sent=True)
            return
        again_at = at + next(self.pauses)
        if answer.verdict == "never" or again_at > self.gives_up_at:
            ended_at = at if answer.verdict == "never" else self.gives_up_at
            self.dispatcher.schedule(ended_at, lambda when: self.dispatcher.done(self.flush, when, sent=False))
            return
        self.dispatcher.schedule(again_at, self.run)


def _told(alert: Alert, now: float) -> Alert:
    """Return an alert as it is told: one that has not ended has no end."""
    return alert if alert.resolved_at(now) else replace(alert, ends_at=None)
