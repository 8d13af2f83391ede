"""The whole configuration: read, checked, and its sections as objects."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.engine.alertmanager import documents
from alerts.engine.alertmanager.documents import BadConfig, Values, list_of, map_of, plain_text, struct
from alerts.engine.alertmanager.global_fields import DEFAULTS, TAKES, check_global, global_section
from alerts.engine.alertmanager.http_fields import http, tls
from alerts.engine.alertmanager.quoting import quote
from alerts.engine.alertmanager.receiver_fields import QUIET, RECEIVERS, texts
from alerts.engine.alertmanager.route_fields import InhibitRule, RouteSpec, inhibit_rule, route_spec
from alerts.engine.alertmanager.scalars import count, fraction, secret_address, span, truth
from alerts.engine.alertmanager.syntax import Mode
from alerts.engine.alertmanager.times import TimeInterval, time_interval


@dataclass(frozen=True, slots=True)
class Integration:
    """One way a receiver is told, with all its settings."""

    kind: str
    index: int
    settings: Mapping[str, Any]
    send_resolved: bool


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told."""

    name: str
    labels: Mapping[str, str]
    integrations: tuple[Integration, ...]


@dataclass(slots=True)
class Config:
    """A configuration that holds together."""

    section: Values
    route: RouteSpec
    inhibit_rules: list[InhibitRule]
    receivers: dict[str, Receiver]
    templates: list[str]
    intervals: dict[str, list[TimeInterval]]
    original: str = ""

    @property
    def resolve_timeout_seconds(self) -> float:
        """Return how long an alert without an end is believed."""
        return float(self.section.get("resolve_timeout") or 0)


def _check_receiver(values: Values) -> None:
    name, labels = values.get("name") or "", values.get("labels") or {}
    if not name:
        raise BadConfig("missing name in receiver")
    if "name" in labels and labels["name"] != name:
        raise BadConfig(
            f'receiver label "name" must match receiver name {quote(name)}, got {quote(labels["name"] or "")}'
        )


def _named(said: str) -> documents.Check:
    def check(values: Values) -> None:
        if not values.get("name"):
            raise BadConfig(f"missing name in {said}")

    return check


def _interval_list(said: str) -> documents.Kind:
    fields = {"name": plain_text, "time_intervals": list_of(time_interval)}
    return list_of(struct(fields, _named(said)))


def _check_tracing(values: Values) -> None:
    if not values.get("endpoint"):
        raise BadConfig("tracing endpoint must be set")
    if values.get("client_type") not in {None, "", "http", "grpc"}:
        raise BadConfig("expected tracing client type to be to be http or grpc")
    if values.get("compression") not in {None, "", "gzip"}:
        raise BadConfig(f"invalid compression type {values['compression']} provided, valid options: gzip")


def _needs(name: str, said: str) -> documents.Check:
    def check(values: Values) -> None:
        if not values.get(name):
            raise BadConfig(f"event_recorder {said}")

    return check


_tracing = struct(
    {
        **texts("client_type", "endpoint", "compression"),
        "sampling_fraction": fraction,
        "insecure": truth,
        "tls_config": tls,
        "headers": map_of(struct({name: list_of(plain_text) for name in ("values", "secrets", "files")})),
        "timeout": span,
    },
    _check_tracing,
)
_event_recorder = struct(
    {
        "file_outputs": list_of(struct(texts("path"), _needs("path", "file output requires a path"))),
        "webhook_outputs": list_of(
            struct(
                {
                    "url": secret_address, "http_config": http, "timeout": span, "workers": count,
                    "max_retries": count, "retry_backoff": span, "batch": truth, "batch_max_events": count,
                    "batch_max_bytes": count, "batch_flush_interval": span,
                },
                _needs("url", "webhook output requires a url"),
            )
        ),
        "kafka_outputs": list_of(
            struct(
                {
                    **texts("topic", "client_id", "format", "acks", "compression"),
                    "brokers": list_of(plain_text), "buffer_size": count, "tls_config": tls,
                },
                _needs("topic", "kafka output requires a topic"),
            )
        ),
        "stdout_outputs": list_of(struct({})),
    }
)  # fmt: skip
_receiver = struct(
    {
        "name": plain_text,
        "labels": map_of(plain_text),
        **{f"{kind}_configs": list_of(fields) for kind, fields in RECEIVERS.items()},
    },
    _check_receiver,
)
_document = struct(
    {
        "global": global_section,
        "route": route_spec,
        "inhibit_rules": list_of(inhibit_rule),
        "receivers": list_of(_receiver),
        "templates": list_of(plain_text),
        "mute_time_intervals": _interval_list("mute time interval"),
        "time_intervals": _interval_list("time interval"),
        "tracing": _tracing,
        "event_recorder": _event_recorder,
    }
)


def load(text: str, mode: Mode = "fallback") -> Config:
    """Read and check a configuration; raises BadConfig."""
    values = documents.read(text, _document, mode)
    if values is None:
        raise BadConfig("no route provided in config")
    section = {**DEFAULTS, **(values.get("global") or {})}
    check_global(section)
    receivers = _receivers(values.get("receivers") or [], section)
    route = _checked_root(values.get("route"), receivers)
    intervals = _intervals(values)
    for spec in route.walk():
        for name in (*spec.active_time_intervals, *spec.mute_time_intervals):
            if name not in intervals:
                raise BadConfig(f"undefined time interval {quote(name)} used in route")
    if route.go_on:
        raise BadConfig("cannot have continue in root route")
    rules = [rule for rule in values.get("inhibit_rules") or [] if rule is not None]
    templates = [each or "" for each in values.get("templates") or []]
    return Config(section, route, rules, receivers, templates, intervals, text)


def load_route(text: str, mode: Mode = "classic") -> RouteSpec:
    """Read a route tree alone; raises BadConfig."""
    found = documents.read(text, route_spec, mode)
    return found if isinstance(found, RouteSpec) else RouteSpec()


def _receivers(found: list[Values | None], section: Values) -> dict[str, Receiver]:
    receivers: dict[str, Receiver] = {}
    for values in found:
        name = (values or {}).get("name") or ""
        if name in receivers:
            raise BadConfig(f"notification config name {quote(name)} is not unique")
        made = [each for kind in TAKES for each in _integrations(kind, (values or {}).get(f"{kind}_configs"), section)]
        labels = {key: value or "" for key, value in ((values or {}).get("labels") or {}).items()}
        receivers[name] = Receiver(name, {**labels, "name": name}, tuple(made))
    return receivers


def _integrations(kind: str, found: list[Values | None] | None, section: Values) -> Iterator[Integration]:
    take, empty_is_one = TAKES[kind]
    for index, values in enumerate(found or []):
        if values is None and not empty_is_one:
            raise BadConfig(f"missing {kind} config")
        settings = dict(values or {})
        take(settings, section)
        resolved = settings.get("send_resolved")
        yield Integration(kind, index, settings, kind not in QUIET if resolved is None else bool(resolved))


def _checked_root(route: RouteSpec | None, receivers: Mapping[str, Receiver]) -> RouteSpec:
    if route is None:
        raise BadConfig("no routes provided")
    if not route.receiver:
        raise BadConfig("root route must specify a default receiver")
    if route.matchers:
        raise BadConfig("root route must not have any matchers")
    if route.mute_time_intervals:
        raise BadConfig("root route must not have any mute time intervals")
    if route.active_time_intervals:
        raise BadConfig("root route must not have any active time intervals")
    for spec in route.walk():
        if spec.receiver and spec.receiver not in receivers:
            raise BadConfig(f"undefined receiver {quote(spec.receiver)} used in route")
    return route


def _intervals(values: Values) -> dict[str, list[TimeInterval]]:
    intervals: dict[str, list[TimeInterval]] = {}
    for section, said in (("mute_time_intervals", "mute time interval"), ("time_intervals", "time interval")):
        for each in values.get(section) or []:
            if each is None:
                continue
            if each["name"] in intervals:
                raise BadConfig(f"{said} {quote(each['name'])} is not unique")
            intervals[each["name"]] = [one for one in each.get("time_intervals") or [] if one is not None]
    return intervals
