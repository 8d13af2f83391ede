"""Timelines: pushes, silences and reloads at moments, and which notifications must come when."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from alerts.engine.alertmanager.alerts import Alert, Pushed
from alerts.engine.alertmanager.config import load
from alerts.engine.alertmanager.dispatching import Dispatcher
from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.alertmanager.matching import BadMatcher, matcher
from alerts.engine.alertmanager.sending import Answer, Notification
from alerts.engine.alertmanager.silences import BadSilence, NoSilence, Silence
from alerts.engine.alertmanager.trials.cases import Case

# A local receiver answers in about this time; a repeat interval equal to the group interval depends on it.
ANSWER_SECONDS = 0.002
EPOCH = 1_767_225_600.0
AFTER_SECONDS = 1.0
LIMIT = re.compile(r"(<|<=|>|>=)\s*([0-9]+(?:\.[0-9]+)?)")  # noqa: TID251 - our own constant, linear
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")  # noqa: TID251 - our own constant, linear
SERVER_ERRORS = frozenset({500.0, 502.0, 503.0, 504.0})
# Where the kinds of receivers keep the address they call.
ADDRESSES = ("url", "api_url", "webhook_url")
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Deaf:
    """When a receiver takes a message and keeps nothing of it, or refuses it."""

    span: Span
    refuses: bool = False


@dataclass(slots=True)
class Collector:
    """A receiver that keeps what it was sent."""

    deaf: list[Deaf] = field(default_factory=list)
    batches: list[tuple[float, tuple[Alert, ...]]] = field(default_factory=list)

    def take(self, message: Notification) -> Answer:
        """Take a message."""
        at = message.at - EPOCH
        for each in self.deaf:
            if each.span[0] <= at < each.span[1]:
                return Answer("again" if each.refuses else "sent", ANSWER_SECONDS)
        self.batches.append((at, message.alerts))
        return Answer("sent", ANSWER_SECONDS)


def run(timelines: Iterable[Mapping[str, Any]]) -> Iterator[Case]:
    """Yield what came of each timeline."""
    for timeline in timelines:
        try:
            message = _fault(timeline)
        except (BadConfig, BadMatcher, BadSilence, KeyError, TypeError, ValueError) as problem:
            message = f"{type(problem).__name__}: {problem}"
        yield Case(str(timeline.get("test", "timeline")), not message, message)


def _fault(timeline: Mapping[str, Any]) -> str:
    names = [hook[0] if isinstance(hook, list) else str(hook) for hook in timeline.get("webhooks", [])]
    hosts = [f"collector-{at}" for at in range(len(names))]
    collectors = {name: Collector() for name in names}
    for name, spans in _behaviours(timeline.get("receiver_behaviour") or {}, timeline.get("webhooks", [])):
        collectors[name].deaf += spans
    by_host = dict(zip(hosts, names, strict=True))
    config = load(_filled(timeline["config"], hosts))

    def send(message: Notification) -> Answer:
        settings = dispatcher.config.receivers[message.receiver].integrations
        own = next(each for each in settings if (each.kind, each.index) == (message.kind, message.index))
        address = next(filter(None, map(own.settings.get, ADDRESSES)), "")
        return collectors[by_host[urlsplit(address).hostname or ""]].take(message)

    delay_seconds = float(timeline.get("start_delay_s") or 0)
    dispatcher = Dispatcher(config, send, started_at=EPOCH, start_delay_seconds=delay_seconds)
    player = Player(dispatcher, hosts)
    wants = [step for step in timeline["steps"] if step["op"] == "want"]
    for step in sorted((each for each in timeline["steps"] if each["op"] != "want"), key=lambda each: each["at"]):
        player.play(step)
    dispatcher.run(EPOCH + max((step["between"][1] for step in wants), default=0) + AFTER_SECONDS)
    tolerance = float(timeline.get("tolerance_s") or 0)
    return "; ".join(filter(None, (_unmet(want, collectors, tolerance) for want in wants)))


def _filled(config: str, hosts: list[str]) -> str:
    """Put the receivers' hosts where the configuration leaves them open."""
    for host in hosts:
        config = config.replace("%s", host, 1)
    return config


@dataclass(slots=True)
class Player:
    """Does the steps of a timeline in order."""

    dispatcher: Dispatcher
    hosts: list[str]
    silences: list[tuple[Any, str]] = field(default_factory=list)

    def play(self, step: Mapping[str, Any]) -> None:
        """Do one step at its moment."""
        now = EPOCH + step["at"]
        self.dispatcher.run(now)
        if step["op"] == "push":
            self.dispatcher.push([_pushed(alert) for alert in step["alerts"]], now)
        elif step["op"] == "silence":
            self._silence(step["silence"], now)
        elif step["op"] == "delete_silence":
            self._unsilence(step, now)
        else:
            text = step.get("config")
            config = load(_filled(text, self.hosts)) if isinstance(text, str) else self.dispatcher.config
            self.dispatcher.reload(config, now)

    def _silence(self, said: Mapping[str, Any], now: float) -> None:
        silence = Silence(
            identity=next((name for known, name in self.silences if known is said), ""),
            matchers=tuple(matcher(op, name, value) for name, op, value in said["matchers"]),
            starts_at=max(EPOCH + said.get("starts_at", 0), now),
            ends_at=EPOCH + said["ends_at"],
        )
        name = self.dispatcher.silences.put(silence, f"silence-{len(self.silences)}", now)
        self.silences.append((said, name))

    def _unsilence(self, step: Mapping[str, Any], now: float) -> None:
        told = [value for key, value in step.items() if key not in {"op", "at"}]
        same = [name for said, name in self.silences if any(value in (said, name) for value in told)]
        for name in same or [name for _, name in self.silences[-1:]]:
            try:
                self.dispatcher.silences.expire(name, now)
            except NoSilence:
                continue


def _pushed(alert: Mapping[str, Any]) -> Pushed:
    active = alert.get("active") or []
    return Pushed(
        labels=alert["labels"],
        annotations=alert.get("annotations") or {},
        starts_at=EPOCH + active[0] if active else None,
        ends_at=EPOCH + active[1] if len(active) > 1 else None,
    )


def _unmet(want: Mapping[str, Any], collectors: Mapping[str, Collector], tolerance: float) -> str:
    begin, end = want["between"]
    batches, wanted = collectors[want["collector"]].batches, want.get("alerts") or []
    if not wanted:
        inside = [at for at, _ in batches if begin <= at <= end]
        return f"{want['collector']} was told at {inside} between {begin} and {end}" if inside else ""
    near = [(at, alerts) for at, alerts in batches if begin - tolerance <= at <= end + tolerance]
    met = [at for at, alerts in near if _same(alerts, wanted, tolerance)]
    if len(met) == 1:
        return ""
    told = [(round(at, 3), [_shown(alert) for alert in alerts]) for at, alerts in near]
    return f"{want['collector']} between {begin} and {end}: {len(met)} of {len(near)} as wanted, told {told}"


def _same(alerts: tuple[Alert, ...], wanted: list[Mapping[str, Any]], tolerance: float) -> bool:
    left = list(alerts)
    for want in wanted:
        found = next((alert for alert in left if _is(alert, want, tolerance)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _is(alert: Alert, want: Mapping[str, Any], tolerance: float) -> bool:
    active = want.get("active") or []
    if dict(alert.labels) != want["labels"] or dict(alert.annotations) != (want.get("annotations") or {}):
        return False
    if active and abs(alert.starts_at - EPOCH - active[0]) > tolerance:
        return False
    if (alert.ends_at is None) != (len(active) < len(("start", "end"))):
        return False
    return alert.ends_at is None or abs(alert.ends_at - EPOCH - active[1]) <= tolerance


def _shown(alert: Alert) -> str:
    ended = "" if alert.ends_at is None else round(alert.ends_at - EPOCH, 3)
    return f"{dict(alert.labels)} {round(alert.starts_at - EPOCH, 3)}-{ended}"


def _behaviours(behaviour: Any, hooks: list[Any]) -> Iterator[tuple[str, list[Deaf]]]:
    """Yield for each receiver when it does not listen, however the file names and words it."""
    names = [hook[0] if isinstance(hook, list) else str(hook) for hook in hooks]
    for key, said in behaviour.items() if isinstance(behaviour, dict) else []:
        meant = [name for name, hook in zip(names, hooks, strict=True) if key == name or (key in hook)]
        # "wh2" stands for the second receiver where none is called so.
        digits = NUMBER.findall(key)
        if not meant and digits and 0 < int(float(digits[-1])) <= len(names):
            meant = [names[int(float(digits[-1])) - 1]]
        yield (meant or names[-1:])[0], list(_spans(said))


def _spans(said: Any) -> Iterator[Deaf]:
    """Yield when a receiver keeps nothing: `ts < 4.5`, a number of seconds from the start, or from and to."""
    text = said if isinstance(said, str) else repr(said)
    numbers = [float(each) for each in NUMBER.findall(text)]
    refuses = any(number in SERVER_ERRORS for number in numbers)
    limits = LIMIT.findall(text)
    for op, limit in limits:
        yield Deaf((0.0, float(limit)) if op.startswith("<") else (float(limit), float("inf")), refuses)
    left = [number for number in numbers if number not in SERVER_ERRORS]
    if not limits and left:
        yield Deaf((min(left), max(left)) if len(left) > 1 else (0.0, left[0]), refuses)
