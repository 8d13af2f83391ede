"""What of a configuration file the console can hold, as channels, policies and the like; and what it cannot."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from alerts.engine.alertmanager.config import Config, Integration, Receiver
from alerts.engine.alertmanager.matching import Matcher, Matchers
from alerts.engine.alertmanager.route_fields import RouteSpec
from alerts.engine.alertmanager.spans import show
from alerts.engine.alertmanager.times import DAYS, MONTHS, Range, TimeInterval

POST_MESSAGE = "https://slack.com/api/chat.postMessage"
# What of a receiver's settings becomes part of a channel; the rest is named as left out.
KNOWN = {
    "webhook": frozenset({"url", "send_resolved"}),
    "slack": frozenset({"api_url", "app_token", "app_url", "channel", "send_resolved"}),
    "email": frozenset({
        "to", "from", "smarthost", "auth_username", "auth_password", "hello", "require_tls", "send_resolved",
    }),
}  # fmt: skip
IMPLICIT_TLS_PORT = 465


@dataclass(frozen=True, slots=True)
class CarriedChannel:
    """A channel to be."""

    name: str
    type: str
    config: Mapping[str, Any]
    secret: str = ""


@dataclass(frozen=True, slots=True)
class CarriedPolicy:
    """A policy to be: the alerts it takes, and whom it tells."""

    name: str
    matchers: tuple[str, ...]
    channels: tuple[str, ...]
    mute_times: tuple[str, ...] = ()
    active_time: str = ""


@dataclass(frozen=True, slots=True)
class CarriedTime:
    """A mute time to be, or with `tells_inside` an active one."""

    name: str
    intervals: tuple[Mapping[str, Any], ...]
    tells_inside: bool = False


@dataclass(frozen=True, slots=True)
class CarriedRule:
    """An inhibition to be."""

    name: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    equal: tuple[str, ...]


@dataclass(slots=True)
class Carried:
    """Everything of a file that the console can hold, and in words what it cannot."""

    channels: list[CarriedChannel] = field(default_factory=list)
    policies: list[CarriedPolicy] = field(default_factory=list)
    times: dict[str, CarriedTime] = field(default_factory=dict)
    rules: list[CarriedRule] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def carry(config: Config) -> Carried:
    """Return what the console can hold of a configuration."""
    carried = Carried()
    names = {receiver.name: tuple(_channels(receiver, carried)) for receiver in config.receivers.values()}
    _policies(config.route, (), names, config, carried)
    for at, rule in enumerate(config.inhibit_rules):
        name = rule.name or f"imported inhibition {at + 1}"
        carried.rules.append(CarriedRule(name, _texts(rule.source), _texts(rule.target), rule.equal))
    if config.templates:
        carried.left_out.append(f"templates {', '.join(config.templates)}: the console words its messages itself")
    for name in ("http_config", "smtp_tls_config"):
        if config.section.get(name):
            carried.left_out.append(f"global {name}: the console's own way out is used")
    return carried


def _channels(receiver: Receiver, carried: Carried) -> Iterator[str]:
    if set(receiver.labels) != {"name"}:
        carried.left_out.append(f"receiver {receiver.name}: labels")
    if not receiver.integrations:
        carried.left_out.append(f"receiver {receiver.name}: it tells nobody")
    for at, integration in enumerate(receiver.integrations):
        where = f"receiver {receiver.name}: {integration.kind}_configs[{integration.index}]"
        name = receiver.name if len(receiver.integrations) == 1 else f"{receiver.name} {at + 1}"
        made = _channel(integration, name)
        if isinstance(made, str):
            carried.left_out.append(f"{where}: {made}")
            continue
        more = sorted(set(integration.settings) - KNOWN[integration.kind])
        if more:
            carried.left_out.append(f"{where}: {', '.join(more)}")
        if not integration.send_resolved:
            carried.left_out.append(
                f"{where}: send_resolved: false; the console tells the end to whoever heard the beginning"
            )
        carried.channels.append(made)
        yield made.name


def _channel(integration: Integration, name: str) -> CarriedChannel | str:
    """Return a channel, or why there is none."""
    settings = integration.settings
    if integration.kind == "webhook":
        return (
            CarriedChannel(name, "webhook", {"url": settings["url"]}) if settings.get("url") else "its URL is in a file"
        )
    if integration.kind == "slack":
        return _slack(settings, name)
    if integration.kind == "email":
        return _email(settings, name)
    return f"the console has no {integration.kind} channel"


def _slack(settings: Mapping[str, Any], name: str) -> CarriedChannel | str:
    config = {"channel": settings["channel"]} if settings.get("channel") else {}
    if settings.get("app_token"):
        return CarriedChannel(name, "slack", config, str(settings["app_token"]))
    if not settings.get("api_url"):
        return "its secret is in a file"
    if settings["api_url"] == POST_MESSAGE:
        return "the bot's token is not in the file"
    return CarriedChannel(name, "slack", config, str(settings["api_url"]))


def _email(settings: Mapping[str, Any], name: str) -> CarriedChannel | str:
    host, _, port = str(settings["smarthost"]).rpartition(":")
    if not port.isdigit():
        return f"the port {port} of the mail server is no number"
    config: dict[str, Any] = {
        "smtp_server": host.strip("[]"), "smtp_port": int(port), "from": settings["from"],
        "to_emails": [each.strip() for each in settings["to"].split(",") if each.strip()],
    }  # fmt: skip
    if settings.get("auth_username"):
        config["username"] = settings["auth_username"]
    if settings.get("require_tls") is False and int(port) != IMPLICIT_TLS_PORT:
        config["security"] = "none"
    return CarriedChannel(name, "email", config, str(settings.get("auth_password") or ""))


def _policies(
    spec: RouteSpec,
    above: Matchers,
    names: Mapping[str, tuple[str, ...]],
    config: Config,
    carried: Carried,
    at: str = "",
) -> None:
    """Add the nodes of a tree, the deeper first: so the first that matches is the node that takes an alert."""
    matchers = (*above, *(_unanchored(each) for each in spec.matchers))
    for place, child in enumerate(spec.routes):
        if not child.receiver:
            child.receiver = spec.receiver
        _policies(child, matchers, names, config, carried, f"{at}/{place + 1}" if at else f"{place + 1}")
    where = f"route {at or 'root'} to {spec.receiver}"
    _leave_out(spec, where, carried)
    active = ", ".join(spec.active_time_intervals)
    for name in spec.mute_time_intervals:
        carried.times.setdefault(name, CarriedTime(name, _written(config.intervals[name])))
    if active:
        intervals = [each for name in spec.active_time_intervals for each in config.intervals[name]]
        carried.times.setdefault(
            f"only {active}", CarriedTime(f"only {active}", _written(intervals), tells_inside=True)
        )
    carried.policies.append(
        CarriedPolicy(
            f"{spec.receiver} (route {at or 'root'})", _texts(matchers), names.get(spec.receiver, ()),
            tuple(spec.mute_time_intervals), f"only {active}" if active else "",
        )
    )  # fmt: skip


def _leave_out(spec: RouteSpec, where: str, carried: Carried) -> None:
    """Say what of a node the console does in another way."""
    if spec.go_on:
        carried.left_out.append(f"{where}: continue; the first policy that matches is the only one")
    for name in ("group_wait", "group_interval", "repeat_interval"):
        seconds = getattr(spec, f"{name}_seconds")
        if seconds is not None:
            carried.left_out.append(
                f"{where}: {name} {show(seconds)}; the first message never waits, a policy's steps repeat it"
            )
    if spec.group_by or spec.group_by_all:
        carried.left_out.append(f"{where}: group_by; each alert is told by itself")
    if spec.labels:
        carried.left_out.append(f"{where}: labels")


def _unanchored(each: Matcher) -> Matcher:
    """Return a matcher without the anchors that the older form of expressions carries twice."""
    if each.op == "=~" and each.value.startswith("^(?:") and each.value.endswith(")$"):
        return Matcher("=~", each.name, each.value[4:-2])
    return each


def _texts(matchers: Iterable[Matcher]) -> tuple[str, ...]:
    return tuple(str(_unanchored(each)) for each in matchers)


def _written(intervals: Iterable[TimeInterval]) -> tuple[Mapping[str, Any], ...]:
    return tuple(as_written(each) for each in intervals)


def as_written(interval: TimeInterval) -> dict[str, Any]:
    """Return an interval as a file writes it."""
    found: dict[str, Any] = {}
    if interval.times is not None:
        found["times"] = [{"start_time": _clock(begin), "end_time": _clock(end)} for begin, end in interval.times]
    for name, ranges, names in (
        ("weekdays", interval.weekdays, DAYS),
        ("days_of_month", interval.days_of_month, ()),
        ("months", interval.months, ("", *MONTHS)),
        ("years", interval.years, ()),
    ):
        if ranges is not None:
            found[name] = [_range(each, names) for each in ranges]
    if interval.location is not None:
        found["location"] = interval.location
    return found


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _range(ends: Range, names: tuple[str, ...]) -> str:
    begin, end = (names[each] if 0 <= each < len(names) else str(each) for each in ends)
    return begin if begin == end else f"{begin}:{end}"
