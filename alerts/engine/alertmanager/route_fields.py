"""The route tree and the inhibition rules of a configuration, as written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import yaml

from alerts.engine.alertmanager import syntax
from alerts.engine.alertmanager.documents import BadConfig, Reading, Values, list_of, map_of, plain_text, struct
from alerts.engine.alertmanager.matching import BadMatcher, Matcher, Matchers, in_order, matcher
from alerts.engine.alertmanager.quoting import quote
from alerts.engine.alertmanager.scalars import span, truth
from alerts.engine.alertmanager.syntax import Mode, is_classic_name, is_name

WILDCARD = "..."


@dataclass(slots=True)
class RouteSpec:
    """One node of the route tree as written."""

    receiver: str = ""
    group_by: list[str] | None = None
    group_by_all: bool = False
    matchers: Matchers = ()
    mute_time_intervals: list[str] = field(default_factory=list)
    active_time_intervals: list[str] = field(default_factory=list)
    go_on: bool = False
    routes: list["RouteSpec"] = field(default_factory=list)
    group_wait_seconds: float | None = None
    group_interval_seconds: float | None = None
    repeat_interval_seconds: float | None = None
    labels: dict[str, str] = field(default_factory=dict)

    def walk(self) -> Iterator["RouteSpec"]:
        """Yield the deeper nodes first, then this one."""
        for each in self.routes:
            yield from each.walk()
        yield self


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """Which alerts keep which others quiet while the labels in `equal` agree."""

    name: str
    source: Matchers
    target: Matchers
    equal: tuple[str, ...]


def _matchers(reading: Reading, node: yaml.Node) -> Matchers:
    found: list[Matcher] = []
    for line in list_of(plain_text)(reading, node):
        try:
            found += syntax.matchers(line or "", _mode(reading))
        except BadMatcher as problem:
            raise BadConfig(str(problem)) from problem
    return in_order(found)


def _expressions(reading: Reading, node: yaml.Node) -> Matchers:
    """Read the older form of regular expressions, name to expression."""
    found = map_of(plain_text)(reading, node)
    for name, expression in found.items():
        if expression is None:
            raise BadConfig(f"invalid regexp value for {quote(name)}")
        _classic_name(name)
        try:
            matcher("=~", name, expression)
        except BadMatcher as problem:
            raise BadConfig(str(problem)) from problem
    # The expression is anchored twice over, and a route's key shows it.
    return tuple(Matcher("=~", name, f"^(?:{expression})$") for name, expression in found.items())


def _equalities(found: Mapping[str, str | None]) -> list[Matcher]:
    for name in found:
        _classic_name(name)
    return [Matcher("=", name, value or "") for name, value in found.items()]


def _classic_name(name: str) -> None:
    if not is_classic_name(name):
        raise BadConfig(f"invalid label name {quote(name)}")


def _mode(reading: Reading) -> Mode:
    return cast("Mode", reading.mode)


def route_spec(reading: Reading, node: yaml.Node) -> RouteSpec:
    """Read one node of the route tree; raises BadConfig."""
    before, values = len(reading.mistakes), _route_fields(reading, node)
    if len(reading.mistakes) > before:
        return RouteSpec()
    equal = _equalities(values.get("match") or {})
    labels = {name: value or "" for name, value in (values.get("labels") or {}).items()}
    for name in labels:
        if not is_name(name, _mode(reading)):
            raise BadConfig(f"invalid label name {quote(name)} in route labels")
    names = [name or "" for name in values.get("group_by") or []]
    grouped = _group_by(names, _mode(reading))
    for name in ("group_interval", "repeat_interval"):
        if values.get(name) == 0:
            raise BadConfig(f"{name} cannot be zero")
    written = values.get("group_by") is not None
    return RouteSpec(
        receiver=values.get("receiver") or "",
        # Only the wildcard leaves nothing to replace what is inherited; an empty list replaces it.
        group_by=grouped if grouped or (written and not names) else None,
        group_by_all=WILDCARD in names,
        matchers=in_order([*equal, *(values.get("match_re") or ()), *(values.get("matchers") or ())]),
        mute_time_intervals=[each or "" for each in values.get("mute_time_intervals") or []],
        active_time_intervals=[each or "" for each in values.get("active_time_intervals") or []],
        go_on=bool(values.get("continue")),
        routes=[each for each in values.get("routes") or [] if each is not None],
        group_wait_seconds=values.get("group_wait"),
        group_interval_seconds=values.get("group_interval"),
        repeat_interval_seconds=values.get("repeat_interval"),
        labels=labels,
    )


def _group_by(names: list[str], mode: Mode) -> list[str]:
    grouped = [name for name in names if name != WILDCARD]
    for name in grouped:
        if not is_name(name, mode):
            raise BadConfig(f"invalid label name {quote(name)} in group_by list")
    if grouped and WILDCARD in names:
        raise BadConfig("cannot have wildcard group_by (`...`) and other labels at the same time")
    for at, name in enumerate(grouped):
        if name in grouped[:at]:
            raise BadConfig(f"duplicated label {quote(name)} in group_by")
    return grouped


def _route_fields(reading: Reading, node: yaml.Node) -> Values:
    kind = struct(
        {
            "receiver": plain_text,
            "group_by": list_of(plain_text),
            "match": map_of(plain_text),
            "match_re": _expressions,
            "matchers": _matchers,
            "mute_time_intervals": list_of(plain_text),
            "active_time_intervals": list_of(plain_text),
            "continue": truth,
            "routes": list_of(route_spec),
            "group_wait": span,
            "group_interval": span,
            "repeat_interval": span,
            "labels": map_of(plain_text),
        }
    )
    values: Values = kind(reading, node)
    return values


def inhibit_rule(reading: Reading, node: yaml.Node) -> InhibitRule:
    """Read one inhibition rule; raises BadConfig."""
    sides = ("source", "target")
    kind = struct(
        {
            "name": plain_text,
            **{f"{side}_match": map_of(plain_text) for side in sides},
            **dict.fromkeys((f"{side}_match_re" for side in sides), _expressions),
            **dict.fromkeys((f"{side}_matchers" for side in sides), _matchers),
            "equal": list_of(plain_text),
        }
    )
    values = kind(reading, node)
    equalities = {side: _equalities(values.get(f"{side}_match") or {}) for side in sides}
    equal = tuple(name or "" for name in values.get("equal") or [])
    for name in equal:
        if not is_name(name, _mode(reading)):
            raise BadConfig(f"invalid label name {quote(name)} in equal list")
    both = {
        side: (*equalities[side], *(values.get(f"{side}_match_re") or ()), *(values.get(f"{side}_matchers") or ()))
        for side in sides
    }
    return InhibitRule(values.get("name") or "", both["source"], both["target"], equal)
