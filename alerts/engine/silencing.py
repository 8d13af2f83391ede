"""What silences and inhibitions would keep quiet among alerts that are known by their labels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from alerts.engine.alertmanager.inhibition import agreed
from alerts.engine.alertmanager.matching import Labels, Matcher, Matchers, all_hold
from alerts.engine.alertmanager.route_fields import InhibitRule

# A value no label has by chance: what holds for it holds for whatever may come.
PROBE = "\N{SNOWMAN}any"
ALWAYS_THERE = frozenset({"alertname", "severity"})
MOST_NAMED = 20
T = TypeVar("T")


def covers_everything(matchers: Matchers) -> bool:
    """Tell whether no alert could escape these matchers."""
    return bool(matchers) and all(
        each.holds(PROBE) and (each.name in ALWAYS_THERE or each.holds("")) for each in matchers
    )


def covered(silences: Mapping[T, Matchers], alerts: Iterable[Labels]) -> dict[T, int]:
    """Return for each silence how many of the alerts its matchers hold for; found by its first exact label."""
    rows = list(alerts)
    by_label: dict[tuple[str, str], list[Labels]] = defaultdict(list)
    exact = {key: next((m for m in held if m.op == "=" and m.value), None) for key, held in silences.items()}
    names = {each.name for each in exact.values() if each is not None}
    for labels in rows:
        for name in names & labels.keys():
            by_label[name, labels[name]].append(labels)
    return {
        key: sum(all_hold(held, labels) for labels in _candidates(exact[key], by_label, rows))
        for key, held in silences.items()
    }


def _candidates(
    exact: Matcher | None, by_label: Mapping[tuple[str, str], list[Labels]], rows: list[Labels]
) -> list[Labels]:
    return rows if exact is None else by_label.get((exact.name, exact.value), [])


@dataclass(frozen=True, slots=True)
class Kept:
    """An alert that is kept quiet, and by which other one; both by their place in the list."""

    target: int
    source: int


def inhibited(rule: InhibitRule, alerts: Sequence[Labels]) -> list[Kept]:
    """Return which of the alerts that fire a rule keeps quiet now."""
    sources: dict[object, list[int]] = defaultdict(list)
    for at, labels in enumerate(alerts):
        if all_hold(rule.source, labels):
            sources[agreed(rule, labels)].append(at)
    found = []
    for at, labels in enumerate(alerts):
        if not all_hold(rule.target, labels):
            continue
        two_sided = all_hold(rule.source, labels)
        for source in sources.get(agreed(rule, labels), []):
            if source != at and not (two_sided and all_hold(rule.target, alerts[source])):
                found.append(Kept(at, source))
                break
    return found


def matchers_for(chosen: Sequence[Labels]) -> Matchers:
    """Return matchers that hold for all of the chosen alerts: their name or names, and the labels they share."""
    if not chosen:
        return ()
    names = sorted({labels.get("alertname", "") for labels in chosen})[:MOST_NAMED]
    shared = [
        Matcher("=", name, value)
        for name, value in sorted(chosen[0].items())
        if name != "alertname" and value and all(each.get(name) == value for each in chosen)
    ]
    if len(names) == 1:
        return (Matcher("=", "alertname", names[0]), *shared)
    return (Matcher("=~", "alertname", "|".join(_escaped(name) for name in names)), *shared)


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\.+*?()|[]{}^$" else letter for letter in text)
