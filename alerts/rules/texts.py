"""What a rule says of one label set: its labels and annotations, filled in."""

from collections.abc import Mapping
from datetime import datetime

from django.conf import settings

from alerts.engine.templates.prometheus import AlertTexts, Surroundings
from alerts.engine.templates.values import Sample
from alerts.models import Rule
from alerts.rules import asking

# Variables the console knows beside Prometheus' own.
OWN_VARIABLES = ("$rule", "$severity", "$threshold", "$since")


def surroundings(at: datetime, ask: asking.Ask = asking.instant) -> Surroundings:
    """Return what templates know at a time; their queries are asked at that time."""
    at_ms, url = round(at.timestamp() * 1000), settings.CONFIG.public_url.rstrip("/")
    return Surroundings(
        at_seconds=at_ms / 1000,
        query=lambda text: [Sample(row.labels, row.value) for row in ask(text, at_ms)],
        external_url=url,
        base_url=url,
    )


def _texts(
    rule: Rule, labels: Mapping[str, str], value: float | None, around: Surroundings, severity: str
) -> AlertTexts:
    own = dict(zip(OWN_VARIABLES, (rule.name, severity, "", ""), strict=True))
    return AlertTexts(rule.alertname, labels, "" if value is None else value, around, own)


def labels_of(rule: Rule, labels: Mapping[str, str], value: float | None, around: Surroundings) -> dict[str, str]:
    """Return the labels a rule and its group set on what was found."""
    texts = _texts(rule, labels, value, around, rule.severity)
    return {name: texts.expanded(text) for name, text in rule.all_labels.items()}


def annotations_of(
    rule: Rule, labels: Mapping[str, str], value: float | None, severity: str, at: datetime
) -> dict[str, str]:
    """Return the rule's description and annotations with their templates filled in."""
    texts = _texts(rule, labels, value, surroundings(at), severity)
    said = {"description": rule.description, **rule.annotations}
    return {name: texts.expanded(text) for name, text in said.items() if text}
