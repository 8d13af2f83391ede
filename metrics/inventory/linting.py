# ruff: noqa: ARG001 - every selector takes the viewer; matchers per role come with per-component roles
"""Advice on the names and labels of all metrics there are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from metrics.inventory.cardinality import sizes
from metrics.inventory.held import held
from metrics.models import MetadataEntry, Metric
from metrics.naming import RESERVED_SUFFIXES, Advice, MetricFacts, advice_on
from metrics.store.cardinality import MetricSize

LEVELS = ("warning", "info")
# What each piece of advice is about, as a heading.
TITLES = {
    "counter_total": "Counters without _total",
    "only_counters_total": "_total on what is no counter",
    "reserved_suffix": "Suffixes that belong to histograms and summaries",
    "no_help": "Nobody said what it means",
    "base_unit": "Units that are no base units",
    "unit_suffix": "A unit the name does not say",
    "camel_case": "Names in camelCase",
    "colon": "Colons outside of recording rules",
    "type_in_name": "The type in the name",
    "unbounded_label": "Labels without a bound",
    "many_values": "Labels with very many values",
    "le_label": "le outside of histograms",
    "quantile_label": "quantile outside of summaries",
    "camel_case_label": "Labels in camelCase",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of advice on one metric family; `metric` is a name that has series."""

    family: str
    metric: str
    type: str
    series: int
    advice: Advice

    @property
    def title(self) -> str:
        """What the advice is about."""
        return TITLES.get(self.advice.code, self.advice.code)

    def as_dict(self) -> dict[str, str | int]:
        """Return what the API and the command print."""
        return {"family": self.family, "metric": self.metric, "type": self.type, "series": self.series,
                "level": self.advice.level, "code": self.advice.code, "text": self.advice.text}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Linted:
    """All findings, and of how many families."""

    findings: list[Finding]
    families: int
    at: datetime

    def narrowed(self, *, level: str = "", code: str = "", search: str = "") -> list[Finding]:
        """Return those of a level, a kind, and with a text in the name."""
        return [
            one for one in self.findings
            if (not level or one.advice.level == level) and (not code or one.advice.code == code)
            and search.lower() in one.family.lower()
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Told:
    """What senders said about a family."""

    type: str = "untyped"
    unit: str = ""
    help: str = ""


def lint(*, viewer: object = None) -> Linted:
    """Return the advice on all metrics, warnings first, then by kind and name."""
    look = held("lint", _lint)
    if look is None:
        raise AssertionError("the catalogue is in memory and the names are few")
    findings, families = look.value
    return Linted(findings, families, look.at)


def _lint() -> tuple[list[Finding], int]:
    told = {row.family: _Told(row.type, row.unit, row.help) for row in MetadataEntry.objects.all().iterator()}
    for metric in Metric.objects.all().iterator():
        if metric.help or metric.unit or metric.type != "untyped":
            told.setdefault(metric.name, _Told(metric.type, metric.unit, metric.help))
    families: dict[str, list[MetricSize]] = {}
    for size in sizes().value:
        families.setdefault(_family(size.name, told), []).append(size)
    findings = [one for name, members in families.items() for one in _of_family(name, members, told)]
    findings.sort(key=lambda one: (LEVELS.index(one.advice.level), one.advice.code, -one.series, one.family))
    return findings, len(families)


def _family(name: str, told: Mapping[str, _Told]) -> str:
    if name in told:
        return name
    for suffix in RESERVED_SUFFIXES:
        base = name.removesuffix(suffix)
        if base != name and base in told and told[base].type in {"histogram", "summary"}:
            return base
    # OpenMetrics names the family of a counter without the suffix; its series is what people meet.
    return name


def _of_family(name: str, members: Iterable[MetricSize], told: Mapping[str, _Told]) -> list[Finding]:
    labels: dict[str, int] = {}
    members = sorted(members, key=lambda size: -size.series)
    for size in members:
        for label, values in size.labels.items():
            labels[label] = max(labels.get(label, 0), values)
    said = told.get(name) or told.get(name.removesuffix("_total")) or _Told()
    # What a recording rule made comes without a word about it.
    recorded = ":" in name and said == _Told()
    facts = MetricFacts(name, said.type, said.unit, said.help, labels, recorded)
    series = sum(size.series for size in members)
    return [Finding(name, members[0].name, said.type, series, advice) for advice in advice_on(facts)]
