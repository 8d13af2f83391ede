"""Which firing alerts keep which others quiet."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from alerts.engine.alertmanager.alerts import Alert, Identity
from alerts.engine.alertmanager.matching import Labels, all_hold
from alerts.engine.alertmanager.route_fields import InhibitRule


@dataclass(slots=True)
class Inhibitor:
    """The rules and, for each, the firing alerts of its source side by the labels that must agree."""

    rules: list[InhibitRule]
    sources: list[dict[Identity, dict[Identity, Alert]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with no sources."""
        self.sources = [{} for _ in self.rules]

    def update(self, alert: Alert) -> None:
        """Take a new state of an alert."""
        for rule, sources in zip(self.rules, self.sources, strict=True):
            if all_hold(rule.source, alert.labels):
                sources.setdefault(agreed(rule, alert.labels), {})[alert.identity()] = alert

    def inhibited_by(self, labels: Labels, now: float) -> tuple[InhibitRule, Alert] | None:
        """Return the first rule and source that keep an alert quiet."""
        for rule, sources in zip(self.rules, self.sources, strict=True):
            if not all_hold(rule.target, labels):
                continue
            held = sources.get(agreed(rule, labels), {}).values()
            found = source_of(rule, labels, held, lambda alert: not alert.resolved_at(now))
            if found is not None:
                return rule, found
        return None


def source_of(
    rule: InhibitRule, labels: Labels, sources: Iterable[Alert], firing: Callable[[Alert], bool]
) -> Alert | None:
    """Return a source that inhibits this target.

    A target that is on the source side as well is never inhibited by a source that is on both sides, itself included.
    """
    two_sided = all_hold(rule.source, labels)
    for alert in sources:
        if firing(alert) and not (two_sided and all_hold(rule.target, alert.labels)):
            return alert
    return None


def agreed(rule: InhibitRule, labels: Labels) -> Identity:
    """Return the values that must be equal; a missing label and an empty one are the same."""
    return tuple((name, labels.get(name, "")) for name in rule.equal)
