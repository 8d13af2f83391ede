"""The health report as data and as Markdown: both from the same numbers, every sentence computed from a finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SLA = 0.999
DISK_WARNING_PERCENT = 85.0
MEMORY_WARNING_PERCENT = 90.0
MOST_RECOMMENDATIONS = 20
LEVELS = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckPart:
    """One check as the report needs it."""

    name: str
    kind: str
    status: str
    detail: str
    last_at: str
    duration_ms: float | None
    p95_ms: float | None
    uptime_day: float | None
    uptime_week: float | None
    failures: int
    overdue: bool
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentPart:
    """One component as the report needs it."""

    name: str
    kind: str
    owner: str
    status: str
    score: int | None
    because: str
    inputs: Sequence[Mapping[str, Any]]
    limits: Sequence[str]
    depends_on: Sequence[str]
    impact: int
    impact_level: str
    expected: bool
    last_seen: str
    uptime_day: float | None
    uptime_week: float | None
    p95_ms: float | None
    checks: Sequence[CheckPart] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Everything a report is made of."""

    generated_at: str
    system_status: str
    completion: int | None
    counts: Mapping[str, int]
    missing: int
    overdue: int
    components: Sequence[ComponentPart]
    resources: Mapping[str, float | None] = field(default_factory=dict)
    host_score: float | None = None
    critical_alerts: int = 0


def recommendations(numbers: Numbers) -> list[str]:
    """Return what to do, the widest outage first; nothing found means nothing recommended."""
    bad = [one for one in numbers.components if one.status in ("unhealthy", "partial")]
    bad.sort(key=lambda one: (one.status != "unhealthy", LEVELS.index(one.impact_level), one.name))
    words = [_mend(one) for one in bad]
    missing = [one for one in numbers.components if one.expected and one.score is None]
    words += [f"Find out why nothing is known of {one.name}: {one.because or 'no result'}." for one in missing]
    if numbers.overdue:
        words.append(f"{numbers.overdue} checks have missed an interval: see that a worker or the evaluator runs.")
    words += _resources(numbers.resources)
    words += [f"{one.name} was up {_share(one.uptime_week)} of the last week, below {_share(SLA)}: look at its history."
              for one in numbers.components if one.uptime_week is not None and one.uptime_week < SLA
              and one.status == "healthy"]  # fmt: skip
    unchecked = [one.name for one in numbers.components if not one.checks and not one.inputs]
    if unchecked:
        more = f" and {len(unchecked) - 5} more" if len(unchecked) > 5 else ""
        words.append(f"Add a check to {', '.join(unchecked[:5])}{more}: nothing is known of them.")
    return words[:MOST_RECOMMENDATIONS]


def _mend(one: ComponentPart) -> str:
    reach = f"; {one.impact} other{'s' * (one.impact != 1)} depend on it" if one.impact else ""
    return f"{'Restore' if one.status == 'unhealthy' else 'Look at'} {one.name} ({one.because or one.status}{reach})."


def _resources(resources: Mapping[str, float | None]) -> list[str]:
    words = []
    disk, memory = resources.get("disk_percent"), resources.get("memory_percent")
    if disk is not None and disk > DISK_WARNING_PERCENT:
        words.append(f"The fullest disk is {disk:.0f} % full: free space or add some.")
    if memory is not None and memory > MEMORY_WARNING_PERCENT:
        words.append(f"{memory:.0f} % of the memory is in use: find the largest processes.")
    return words


def as_data(numbers: Numbers) -> dict[str, Any]:
    """Return the report as plain data."""
    counts = numbers.counts
    return {
        "generated_at": numbers.generated_at,
        "overall": {
            "health_status": numbers.system_status, "completion_percentage": numbers.completion,
            "total": len(numbers.components), "healthy": counts.get("healthy", 0), "partial": counts.get("partial", 0),
            # What is expected and silent is no better than what is broken.
            "unhealthy": counts.get("unhealthy", 0) + numbers.missing, "missing": numbers.missing,
            "unknown": counts.get("unknown", 0) - numbers.missing, "checks_overdue": numbers.overdue,
        },
        "component_results": [_component(one) for one in numbers.components],
        "system_metrics": {**numbers.resources, "host_score": numbers.host_score,
                           "critical_alerts": numbers.critical_alerts},
        "recommendations": recommendations(numbers),
    }  # fmt: skip


def _component(one: ComponentPart) -> dict[str, Any]:
    names = ("name", "kind", "owner", "status", "score", "because", "expected", "impact", "impact_level", "last_seen",
             "uptime_day", "uptime_week", "p95_ms")  # fmt: skip
    return {
        **{name: getattr(one, name) for name in names},
        "inputs": [dict(each) for each in one.inputs], "limits": list(one.limits), "dependencies": list(one.depends_on),
        "checks": [{name: getattr(check, name) for name in CheckPart.__slots__} for check in one.checks],
    }  # fmt: skip


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.2f} %".replace("100.00 %", "100 %")


def _number(value: float | None, unit: str) -> str:
    return "no data" if value is None else f"{value:.1f}{unit}"


def _cell(text: object) -> str:
    # What came as data must not end a cell, begin a link or an image, or become a heading.
    escaped = " ".join(str(text).split())
    for letter in "\\`*_[]<>|#!":
        escaped = escaped.replace(letter, f"\\{letter}")
    return escaped or "–"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows), ""]


def as_markdown(data: Mapping[str, Any]) -> str:
    """Return the report as Markdown, from the same data as the JSON."""
    overall = data["overall"]
    score = overall["completion_percentage"]
    lines = [
        "# Health report", "", f"Generated {data['generated_at']}.", "", "## Summary", "",
        (f"The system is **{overall['health_status']}**{'' if score is None else f' at {score} of 100'}: "
        f"{overall['healthy']} healthy, {overall['partial']} partial, {overall['unhealthy']} unhealthy "
        f"({overall['missing']} of them missing), {overall['unknown']} unknown, of {overall['total']} components. "
        f"{overall['checks_overdue']} checks are overdue."), "", "## Recommendations", "",
    ]  # fmt: skip
    lines += [f"{number}. {_cell(text)}" for number, text in enumerate(data["recommendations"], 1)] or [
        "Nothing was found that needs somebody."
    ]
    return "\n".join([*lines, "", *_components_text(data["component_results"]), *_resources_text(data)]) + "\n"


def _components_text(components: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (one["name"], one["status"], "–" if one["score"] is None else one["score"], one["because"],
         f"{one['impact']} ({one['impact_level']})", _share(one["uptime_day"]), _share(one["uptime_week"]),
         "–" if one["p95_ms"] is None else f"{one['p95_ms']:.0f} ms", one["owner"])
        for one in components
    ]  # fmt: skip
    head = ("Component", "Status", "Score", "Because", "Impact", "Up 24 h", "Up 7 d", "p95", "Owner")
    checks = [(one["name"], check["name"], check["kind"], check["status"] if check["enabled"] else "switched off",
               check["detail"], check["last_at"], "yes" if check["overdue"] else "") for one in components
              for check in one["checks"]]  # fmt: skip
    return ["## Components", "", *_table(head, rows), "## Checks", "",
            *_table(("Component", "Check", "Kind", "Status", "Said", "Last run", "Overdue"), checks)]  # fmt: skip


def _resources_text(data: Mapping[str, Any]) -> list[str]:
    found = data["system_metrics"]
    rows = [
        ("CPU busy", _number(found.get("cpu_percent"), " %")),
        ("Memory used", _number(found.get("memory_percent"), " %")),
        ("Fullest disk", _number(found.get("disk_percent"), " %")),
        ("Network in and out", _number(found.get("network_bytes_per_second"), " B/s")),
        ("Critical alerts", found["critical_alerts"]),
        ("Host score", _number(found["host_score"], " of 100")),
    ]
    return ["## Resources", "", *_table(("What", "Value"), rows)]
