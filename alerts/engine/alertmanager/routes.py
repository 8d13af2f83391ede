"""The route tree at work: what a node inherits, which nodes an alert reaches, and which group it joins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from alerts.engine.alertmanager.matching import Labels, Matchers, all_hold, show
from alerts.engine.alertmanager.route_fields import RouteSpec


@dataclass(frozen=True, slots=True)
class Options:
    """How the alerts that reach a node are grouped and repeated."""

    receiver: str = ""
    group_by: frozenset[str] = frozenset()
    group_by_all: bool = False
    group_wait_seconds: float = 30.0
    group_interval_seconds: float = 300.0
    repeat_interval_seconds: float = 14_400.0
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Route:
    """One node of the tree."""

    options: Options
    matchers: Matchers
    go_on: bool
    parent: "Route | None"
    place: int
    routes: list["Route"] = field(default_factory=list)

    def reached(self, labels: Labels) -> list["Route"]:
        """Return the nodes that take an alert: depth first, each level until a match that does not go on."""
        if not all_hold(self.matchers, labels):
            return []
        found: list[Route] = []
        for child in self.routes:
            matches = child.reached(labels)
            found += matches
            if matches and not child.go_on:
                break
        return found or [self]

    def key(self) -> str:
        """Return the matchers from the root down; two nodes may share it."""
        own = show(self.matchers)
        return own if self.parent is None else f"{self.parent.key()}/{own}"

    def identity(self) -> str:
        """Return what tells this node from every other."""
        own = show(self.matchers)
        return own if self.parent is None else f"{self.parent.identity()}/{own}/{self.place}"

    def group_labels(self, labels: Labels) -> dict[str, str]:
        """Return the labels that name the group an alert joins here."""
        every, names = self.options.group_by_all, self.options.group_by
        return {name: value for name, value in labels.items() if every or name in names}

    def walk(self) -> Iterator["Route"]:
        """Yield this node, then those below it."""
        yield self
        for child in self.routes:
            yield from child.walk()


def tree(spec: RouteSpec, parent: Route | None = None, place: int = 0) -> Route:
    """Return the tree with everything inherited."""
    options = _inherited(spec, parent.options if parent is not None else Options())
    route = Route(options, spec.matchers, spec.go_on, parent, place)
    route.routes = [tree(child, route, at) for at, child in enumerate(spec.routes)]
    return route


def _inherited(spec: RouteSpec, base: Options) -> Options:
    options = replace(
        base,
        receiver=spec.receiver or base.receiver,
        mute_time_intervals=tuple(spec.mute_time_intervals),
        active_time_intervals=tuple(spec.active_time_intervals),
        labels={**base.labels, **spec.labels},
    )
    if spec.group_by is not None:
        options = replace(options, group_by=frozenset(spec.group_by), group_by_all=False)
    elif spec.group_by_all:
        options = replace(options, group_by_all=True)
    for name in ("group_wait_seconds", "group_interval_seconds", "repeat_interval_seconds"):
        given = getattr(spec, name)
        if given is not None:
            options = replace(options, **{name: given})
    return options


def group_key(route: Route, labels: Labels) -> str:
    """Return the name of a group in the notification log."""
    shown = ", ".join(f'{name}="{labels[name]}"' for name in sorted(labels))
    return f"{route.key()}:{{{shown}}}"
