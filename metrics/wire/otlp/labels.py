"""The labels a data point has: its own attributes, and what its resource and its scope add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metrics.domain import METRIC_NAME_LABEL
from metrics.wire.otlp.attributes import KeyValue, texts_of, value_text
from metrics.wire.otlp.naming import BadName, Strategy, label_name
from metrics.wire.otlp.rows import Translation

SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE = "service.name", "service.namespace", "service.instance.id"
MAX_ATTRIBUTES = 256
IDENTIFYING = frozenset({SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE})


@dataclass(slots=True)
class LabelNames:
    """Names of labels by names of attributes, found once a request."""

    strategy: Strategy
    _known: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return the label of an attribute; raises BadName."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = label_name(name, self.strategy)
        return found

    def plain(self, attributes: Sequence[tuple[str, str]]) -> dict[str, str] | None:
        """Return the labels where each name is known and no two become the same, else None."""
        known = self._known
        labels = {known.get(name): text for name, text in attributes}
        return labels if len(labels) == len(attributes) and None not in labels else None  # type: ignore[return-value]

    def labels_of(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """Return labels; attributes whose names become the same are joined by a semicolon."""
        if len(attributes) > MAX_ATTRIBUTES:
            raise BadName(f"{len(attributes)} attributes, at most {MAX_ATTRIBUTES} are taken")
        labels: dict[str, str] = {}
        for name, text in attributes.items():
            if name != METRIC_NAME_LABEL:
                label = self[name]
                labels[label] = f"{labels[label]};{text}" if label in labels else text
        return labels


@dataclass(frozen=True, slots=True)
class Origin:
    """What a resource (and a scope) says of all points below it."""

    names: LabelNames
    weak: dict[str, str]
    strong: dict[str, str]

    def labels(self, attributes: Sequence[KeyValue]) -> dict[str, str]:
        """Return the labels of a point without its metric name; raises BadName."""
        if len(attributes) > MAX_ATTRIBUTES:
            raise BadName(f"{len(attributes)} attributes, at most {MAX_ATTRIBUTES} are taken")
        # Most are texts, which need not be asked what they are.
        own = [(pair.key, pair.value.string_value or value_text(pair.value)) for pair in attributes]
        labels = self.names.plain(own)
        if labels is None:
            own.sort()
            labels = self.names.labels_of(dict(own))
        return {**self.weak, **labels, **self.strong}

    def within(self, scope_metrics: Any, translation: Translation) -> "Origin":
        """Return the origin with what the scope adds; raises BadName."""
        scope = scope_metrics.scope
        if not translation.scope_labels or not scope.name:
            return self
        own = {f"otel_scope_{name}": text for name, text in texts_of(scope.attributes).items()}
        added = {
            **self.names.labels_of(own),
            "otel_scope_name": scope.name,
            "otel_scope_version": scope.version,
            "otel_scope_schema_url": scope_metrics.schema_url,
        }
        return Origin(self.names, self.weak, {**self.strong, **added})


def origin_of(attributes: Mapping[str, str], names: LabelNames, translation: Translation) -> Origin:
    """Return what a resource with these attributes adds; raises BadName."""
    promoted = translation.promoted
    every = "*" in promoted
    weak = names.labels_of({name: text for name, text in attributes.items() if every or name in promoted})
    strong: dict[str, str] = {}
    if SERVICE_NAME in attributes:
        space = attributes.get(SERVICE_NAMESPACE)
        strong["job"] = f"{space}/{attributes[SERVICE_NAME]}" if space else attributes[SERVICE_NAME]
    if SERVICE_INSTANCE in attributes:
        strong["instance"] = attributes[SERVICE_INSTANCE]
    return Origin(names, weak, strong)


def target_info_labels(attributes: Mapping[str, str], origin: Origin) -> dict[str, str] | None:
    """Return the labels of `target_info`, None where it would say nothing or of nobody."""
    others = {name: text for name, text in attributes.items() if name not in IDENTIFYING}
    if not others or not origin.strong:
        return None
    return {**origin.names.labels_of(others), **origin.strong, METRIC_NAME_LABEL: "target_info"}
