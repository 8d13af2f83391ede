"""Scores and bands of components: pure arithmetic, every input of which can be shown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

VALUES: Mapping[str, float | None] = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0, "unknown": None}
WORST_FIRST = ("unhealthy", "degraded", "unknown", "healthy")
HEALTHY_ABOVE, PARTIAL_ABOVE, SYSTEM_PARTIAL_ABOVE = 0.7, 0.3, 0.4
KNOWN_SHARE = 0.5
STALE_INTERVALS = 3
CRITICAL_WEIGHT = 2.0
DOUBLED = frozenset({"agent_forge", "hyperrag", "p2p-mesh", "api-gateway", "edge-computing"})
EDGE_TYPES = ("http_api", "database", "cache", "message_queue", "p2p_network", "storage", "external_service")


@dataclass(frozen=True, slots=True)
class Input:
    """One thing a score is made of; without a value it is shown and not counted."""

    name: str
    status: str
    weight: float
    value: float | None
    kind: str = "check"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """Why a score may not be higher."""

    at_most: float
    reason: str


@dataclass(frozen=True, slots=True)
class Score:
    """A component's score with everything it came from; no value means that nothing is known."""

    value: float | None
    band: str
    inputs: tuple[Input, ...] = ()
    limits: tuple[Limit, ...] = ()
    reason: str = ""
    before_limits: float | None = None

    @property
    def percent(self) -> int | None:
        """Return the score from 0 to 100; rounding never carries it into a better band."""
        return None if self.value is None else _percent(self.value)

    @property
    def percent_before_limits(self) -> int | None:
        """Return what the inputs alone would give."""
        return None if self.before_limits is None else _percent(self.before_limits)


def _percent(value: float) -> int:
    # 0.704 is healthy and 0.700 is not: a reader who sees 70 must be able to tell the band from it.
    return int(value * 100 + 1e-9)


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What is stored of a check's last run."""

    name: str
    status: str
    at: float | None
    interval_seconds: float
    timeout_seconds: float
    weight: float = 1.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """One dependency."""

    name: str
    critical: bool = False
    type: str = "http_api"


@dataclass(frozen=True, slots=True)
class ComponentFacts:
    """What is stored of a component."""

    name: str
    checks: tuple[CheckFacts, ...] = ()
    depends_on: tuple[Edge, ...] = ()
    expected: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """All components together."""

    value: float | None
    band: str
    counts: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0

    @property
    def percent(self) -> int | None:
        """Return the completion, from 0 to 100."""
        return None if self.value is None else _percent(self.value)


def band(value: float | None) -> str:
    """Return the band of a component's score; exactly 0.7 is partial, and nothing known is unknown."""
    if value is None:
        return "unknown"
    return "healthy" if value > HEALTHY_ABOVE else "partial" if value > PARTIAL_ABOVE else "unhealthy"


def system_band(value: float | None) -> str:
    """Return the band of the mean of all components."""
    if value is None:
        return "unknown"
    return "healthy" if value > HEALTHY_ABOVE else "partial" if value > SYSTEM_PARTIAL_ABOVE else "unhealthy"


def grade(duration_ms: float, *, degraded_ms: float, unhealthy_ms: float) -> str:
    """Return what an answer is worth by its time alone."""
    return "unhealthy" if duration_ms > unhealthy_ms else "degraded" if duration_ms > degraded_ms else "healthy"


def worst(statuses: Iterable[str]) -> str:
    """Return the worst of some statuses; unknown where there is none."""
    found = set(statuses)
    return next((status for status in WORST_FIRST if status in found), "unknown")


def stale_seconds(check: CheckFacts) -> float:
    """Return the age at which a result says nothing any more."""
    return STALE_INTERVALS * check.interval_seconds + check.timeout_seconds


def status_now(check: CheckFacts, now: float) -> tuple[str, str]:
    """Return what a check says now and, where that is nothing, why."""
    if check.at is None:
        return "unknown", "it has not run yet"
    if now - check.at > stale_seconds(check):
        return "unknown", f"no result for {int(now - check.at)} s, so its last one ({check.status}) says nothing"
    return check.status, ""


def _own_inputs(component: ComponentFacts, now: float | None) -> tuple[Input, ...]:
    inputs = []
    for check in component.checks:
        status, note = (check.status, "") if now is None else status_now(check, now)
        inputs.append(Input(check.name, status, check.weight, VALUES[status], "check", note or check.detail))
    return tuple(inputs)


def _mean(inputs: Sequence[Input]) -> float | None:
    """Return the weighted mean of what is known; None where less than half of the weight is."""
    total = sum(one.weight for one in inputs)
    known = [(one.weight, one.value) for one in inputs if one.value is not None]
    weight = sum(each for each, _ in known)
    if not weight or weight < KNOWN_SHARE * total:
        return None
    return sum(each * value for each, value in known) / weight


def _unknown_because(component: ComponentFacts, inputs: Sequence[Input]) -> str:
    if not inputs:
        return "nothing checks it" + (" and it depends on nothing that is checked" if component.depends_on else "")
    return "less than half of what is asked about it has an answer"


def _limited(component: ComponentFacts, scores: Mapping[str, Score], *, aggregate: bool) -> tuple[Limit, ...]:
    """Return what its dependencies allow: one that is down takes down who is made of it and dims who needs it."""
    limits = []
    for edge in component.depends_on:
        if edge.name not in scores or scores[edge.name].band != "unhealthy":
            continue
        if edge.critical:
            limits.append(Limit(PARTIAL_ABOVE if aggregate else HEALTHY_ABOVE, f"{edge.name} (critical) is unhealthy"))
        elif aggregate:
            limits.append(Limit(HEALTHY_ABOVE, f"{edge.name} is unhealthy"))
    return tuple(limits)


def _scored(
    component: ComponentFacts, inputs: tuple[Input, ...], scores: Mapping[str, Score], *, aggregate: bool
) -> Score:
    value = _mean(inputs)
    if value is None:
        return Score(None, "unknown", inputs, (), _unknown_because(component, inputs))
    limits = tuple(one for one in _limited(component, scores, aggregate=aggregate) if one.at_most < value)
    final = min([value, *(one.at_most for one in limits)])
    return Score(final, band(final), inputs, limits, "", value)


def _edge_inputs(component: ComponentFacts, scores: Mapping[str, Score]) -> tuple[Input, ...]:
    found = []
    for edge in component.depends_on:
        score = scores.get(edge.name)
        if score is not None:
            weight = CRITICAL_WEIGHT if edge.critical else 1.0
            found.append(Input(edge.name, score.band, weight, score.value, "dependency", score.reason))
    return tuple(found)


def component_scores(components: Sequence[ComponentFacts], now: float | None) -> dict[str, Score]:
    """Return the score of each component by name; with no `now`, results count however old they are.

    A component with checks is their weighted mean; one without is the mean of what it is made of. Dependencies are
    scored first; where they run in a circle, the circle is cut where it was entered.
    """
    known = {component.name: component for component in components}
    done: dict[str, Score] = {}
    entered: set[str] = set()
    for name in known:
        # A stack of our own: a chain of components may be longer than Python lets calls nest.
        stack = [name]
        while stack:
            current = stack[-1]
            entered.add(current)
            ahead = [] if current in done else [
                edge.name for edge in known[current].depends_on if edge.name in known and edge.name not in entered
            ]  # fmt: skip
            if ahead:
                stack.append(ahead[0])
                continue
            stack.pop()
            if current not in done:
                done[current] = _score(known[current], done, now)
    return done


def _score(component: ComponentFacts, done: Mapping[str, Score], now: float | None) -> Score:
    own = _own_inputs(component, now)
    if own:
        return _scored(component, own, done, aggregate=False)
    return _scored(component, _edge_inputs(component, done), done, aggregate=True)


def system_score(components: Sequence[ComponentFacts], scores: Mapping[str, Score]) -> System:
    """Return the mean of what is scored; an expected component of which nothing is known is missing and counts 0."""
    missing = sum(1 for one in components if one.expected and scores[one.name].value is None)
    values = [score.value for score in scores.values() if score.value is not None] + [0.0] * missing
    counts = dict.fromkeys(("healthy", "partial", "unhealthy", "unknown"), 0)
    for score in scores.values():
        counts[score.band] += 1
    value = sum(values) / len(values) if values else None
    return System(value, system_band(value), counts, missing)


@dataclass(frozen=True, slots=True)
class Impact:
    """Who an outage reaches."""

    count: int
    level: str
    criticality: int


def impact_level(count: int) -> str:
    """Return how bad an outage is by how many components it reaches."""
    return "critical" if count > 5 else "high" if count > 2 else "medium" if count > 0 else "low"


def impacts(components: Sequence[ComponentFacts]) -> dict[str, Impact]:
    """Return for each component how many others reach it: against the arrows, itself left out."""
    users: dict[str, list[str]] = {component.name: [] for component in components}
    for component in components:
        for edge in component.depends_on:
            if edge.name in users:
                users[edge.name].append(component.name)
    found = {}
    for name in users:
        count = len(reached(name, users))
        found[name] = Impact(count, impact_level(count), count * (2 if name in DOUBLED else 1))
    return found


def reached(name: str, arrows: Mapping[str, Sequence[str]]) -> set[str]:
    """Return everything that can be reached from a name, the name itself left out."""
    seen: set[str] = {name}
    ahead = [name]
    while ahead:
        for other in arrows.get(ahead.pop(), ()):
            if other not in seen:
                seen.add(other)
                ahead.append(other)
    return seen - {name}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a component stands in the tree."""

    name: str
    level: int
    parent: str
    children: int


def tree(components: Sequence[ComponentFacts]) -> list[Place]:
    """Return every component once, parents before what they depend on; what nobody depends on comes at the top."""
    known = {component.name: component for component in components}
    needed = {edge.name for one in components for edge in one.depends_on if edge.name != one.name}
    roots = sorted(name for name in known if name not in needed)
    parents: dict[str, str] = {}
    # Circles have no top; each is entered at its first name once everything else has its place.
    for root in [*roots, *sorted(known)]:
        if root not in parents:
            parents[root] = ""
            _adopt(root, known, parents)
    below: dict[str, list[str]] = {}
    for name, parent in sorted(parents.items()):
        below.setdefault(parent, []).append(name)
    placed: list[Place] = []
    ahead = [(name, 0) for name in reversed(below.get("", []))]
    while ahead:
        name, level = ahead.pop()
        children = below.get(name, [])
        placed.append(Place(name, level, parents[name], len(children)))
        ahead += [(child, level + 1) for child in reversed(children)]
    return placed


def _adopt(root: str, known: Mapping[str, ComponentFacts], parents: dict[str, str]) -> None:
    """Give everything below a root the parent that is nearest to the root."""
    layer = [root]
    while layer:
        found: list[str] = []
        for name in layer:
            for edge in known[name].depends_on:
                if edge.name in known and edge.name not in parents:
                    parents[edge.name] = name
                    found.append(edge.name)
        layer = found


def uptime(healthy: int, degraded: int, unhealthy: int) -> float | None:
    """Return the share of results that were not a failure; what is unknown is not counted."""
    total = healthy + degraded + unhealthy
    return (healthy + degraded) / total if total else None


def host_score(cpu_percent: float, memory_percent: float, disk_percent: float, critical_alerts: int) -> float:
    """Return the host's score from 0 to 100: what is free, less 20 for each critical alert."""
    free = 0.4 * (100 - cpu_percent) + 0.4 * (100 - memory_percent) + 0.2 * (100 - disk_percent)
    return max(0.0, min(100.0, free - 20 * critical_alerts))
