"""Rule groups written as a rule file that Prometheus reads."""

from collections.abc import Sequence
from typing import Any

import yaml

from alerts.engine.prometheus.rule_files import FileGroup, FileRule
from alerts.engine.prometheus.spelling import duration_text


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such, and indents lists."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _rule(rule: FileRule) -> dict[str, Any]:
    found: dict[str, Any] = {"alert" if rule.alert else "record": rule.name, "expr": rule.expr}
    timers = (("for", rule.for_ms), ("keep_firing_for", rule.keep_firing_for_ms))
    found |= {name: duration_text(value) for name, value in timers if value}
    texts = (("labels", rule.labels), ("annotations", rule.annotations))
    return found | {name: dict(sorted(value.items())) for name, value in texts if value}


def _group(group: FileGroup) -> dict[str, Any]:
    found: dict[str, Any] = {"name": group.name}
    durations = (("interval", group.interval_ms), ("query_offset", group.query_offset_ms))
    found |= {name: duration_text(value) for name, value in durations if value}
    if group.limit:
        found["limit"] = group.limit
    if group.labels:
        found["labels"] = dict(sorted(group.labels.items()))
    return found | {"rules": [_rule(rule) for rule in group.rules]}


def rule_file_text(groups: Sequence[FileGroup]) -> str:
    """Return a rule file; the same groups always give the same text."""
    content = {"groups": [_group(group) for group in groups]}
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000))
