"""One rule as YAML, in the words of the configuration file; the rule editor shows and takes it."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.configuration.reading import ConfigReading, opened
from alerts.engine.configuration.rules import SECTION, read_rule, rule_item
from alerts.engine.configuration.writing import yaml_text
from alerts.engine.prometheus.documents import Mistake
from alerts.models import Rule
from alerts.rules.fields import SHAPES
from alerts.rules.kinds import ASKED_KINDS

COLUMNS = (
    "kind", "alert_name", "description", "spec", "severity", "labels", "annotations", "for_seconds",
    "keep_firing_for_seconds", "window_seconds", "cooldown_seconds", "enabled",
)  # fmt: skip


class BadRuleText(BadConfig):
    """A text that is no rule; `mistakes` say where each thing wrong stands."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        """Keep the mistakes for the door to show beside the text."""
        super().__init__("\n".join(said(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def said(mistake: Mistake) -> str:
    """Return a mistake as people read it."""
    return f"line {mistake.line}, column {mistake.column}: {mistake.text}" if mistake.line else mistake.text


def kinds() -> dict[str, dict[str, str]]:
    """Return what the own part of each kind of rule knows: its keys and their types."""
    found: dict[str, dict[str, str]] = {
        name: {field.name: field.type for field in shape.fields} for name, shape in SHAPES.items()
    }
    for name, asked in ASKED_KINDS.filled():
        types: dict[str, str] = {field.name: field.type for field in getattr(asked, "fields", ())}
        found[name] = dict.fromkeys(sorted(asked.keys), "json") | types
    return found


def rule_fields(rule: Rule) -> dict[str, Any]:
    """Return what a rule says, with the name of its group."""
    grouped = rule.group_id is not None
    return {name: getattr(rule, name) for name in COLUMNS} | ({"group": rule.group.name} if grouped else {})


def rule_to_yaml(rule: Rule) -> str:
    """Return a rule as text; `rule_from_yaml` reads the same fields back."""
    return yaml_text(rule_item(rule.name, rule_fields(rule), kinds=kinds()))


def rule_from_yaml(text: str) -> dict[str, Any]:
    """Return the fields of a rule by the names of its columns, `group` by its name; raises BadRuleText (BadConfig).

    Variables are not filled in here: what a page sends must not read the console's environment.
    """
    root, reading = opened(text, {})
    node = _rule_node(root, reading)
    entry = read_rule(reading, node, kinds()) if node is not None else None
    mistakes = reading.found_wrong()
    if entry is None or mistakes:
        raise BadRuleText(mistakes or [Mistake("a rule belongs here, with a name and a metric_path or an expr")])
    return {"name": entry.name, **entry.fields}


def _rule_node(root: Any, reading: ConfigReading) -> Any:
    """Return the rule of a text: alone, as the one item of a list, or below `alert_rules`."""
    if isinstance(root, yaml.MappingNode):
        keys: Mapping[str, yaml.Node] = {str(key.value): value for key, value in root.value}
        root = keys[SECTION] if list(keys) == [SECTION] else root
    if isinstance(root, yaml.SequenceNode):
        if len(root.value) != 1:
            reading.wrong(root, "one rule belongs here, not a list of them")
            return None
        return root.value[0]
    return root
