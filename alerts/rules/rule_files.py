"""Between the rules of a Prometheus rule file and those of the console."""

from collections.abc import Iterable, Mapping
from typing import Any

from alerts.engine.prometheus.rule_files import FileGroup, FileRule
from alerts.engine.severity import severity_from
from alerts.engine.threshold import BadThreshold
from alerts.models import Rule, RuleGroup, RuleKind
from alerts.rules.queries import compiled, is_dynamic

SEVERITY, ORIGINAL = "severity", "severity_original"
DEFAULT_INTERVAL_SECONDS = 60
Key = tuple[str, str, int]


def group_fields(group: FileGroup, interval_seconds: int) -> dict[str, Any]:
    """Return what a group of a file is here; without an interval of its own it takes the one given."""
    return {
        "interval_seconds": _seconds(group.interval_ms) if group.interval_ms else interval_seconds,
        "query_offset_seconds": (group.query_offset_ms or 0) / 1000,
        "limit": group.limit,
        "labels": dict(group.labels),
    }


def rule_fields(group: FileGroup, rule: FileRule) -> dict[str, Any]:
    """Return what a rule of a file is here.

    Severity is a column with four values here; the text of the label is kept beside it and is an own label of the
    alert, so nothing that the file says is lost.
    """
    if rule.record:
        spec = {"record": rule.record, "expr": rule.expr}
        return {"kind": RuleKind.RECORDING.value, "spec": spec, "labels": dict(rule.labels), "annotations": {}}
    said = group.labels_of(rule).get(SEVERITY, "")
    labels = {name: text for name, text in rule.labels.items() if name not in (SEVERITY, "alertname")}
    return {
        "kind": RuleKind.PROMQL.value, "spec": {"expr": rule.expr}, "alert_name": rule.alert,
        "severity": severity_from(said).value, "labels": labels | ({ORIGINAL: said} if said else {}),
        "annotations": dict(rule.annotations), "for_seconds": _seconds(rule.for_ms),
        "keep_firing_for_seconds": _seconds(rule.keep_firing_for_ms),
    }  # fmt: skip


def _seconds(duration_ms: int) -> int:
    """Return whole seconds, rather more than less."""
    return -(-duration_ms // 1000)


def numbered(names: Iterable[tuple[str, str]]) -> list[Key]:
    """Return kinds and names with a number that tells those apart that are there several times."""
    seen: dict[tuple[str, str], int] = {}
    keys = []
    for kind, name in names:
        seen[kind, name] = seen.get((kind, name), 0) + 1
        keys.append((kind, name, seen[kind, name]))
    return keys


def keys_in_file(group: FileGroup) -> list[Key]:
    """Return what tells the rules of a group apart."""
    return numbered(
        (RuleKind.RECORDING.value if rule.record else RuleKind.PROMQL.value, rule.name) for rule in group.rules
    )


def keys_of(rules: Iterable[Rule]) -> list[Key]:
    """Return what tells the rules of a group apart, as `keys_in_file` does."""
    return numbered((rule.kind, str(rule.spec.get("record", "")) or rule.alertname) for rule in rules)


def file_group(group: RuleGroup, rules: Iterable[Rule], *, name: str) -> tuple[FileGroup, list[str]]:
    """Return a group as a file has it, and what of it no rule file can say."""
    written, left = [], []
    for rule in rules:
        found = _file_rule(rule) if rule.enabled else None
        if found is None:
            why = f"a rule of the kind {rule.kind}" if rule.enabled else "switched off"
            left.append(f"{rule.name} is left out: it is {why}")
        else:
            written.append(found)
            left += _left_out(rule)
    return FileGroup(
        name=name, rules=written, interval_ms=group.interval_seconds * 1000,
        query_offset_ms=round(group.query_offset_seconds * 1000) or None, limit=group.limit, labels=dict(group.labels),
    ), left  # fmt: skip


def _left_out(rule: Rule) -> list[str]:
    """Return what a rule file has no words for."""
    unsayable = ("levels", "recovery_threshold", "no_data")
    kept = [name for name in unsayable if rule.spec.get(name) not in (None, [], "unknown")]
    return [f"{rule.name} is written without {', '.join(kept)}, which no rule file can say"] if kept else []


def _file_rule(rule: Rule) -> FileRule | None:
    if rule.kind == RuleKind.RECORDING:
        return FileRule(record=rule.spec["record"], expr=rule.spec["expr"], labels=dict(rule.labels))
    if rule.kind not in (RuleKind.PROMQL, RuleKind.THRESHOLD, RuleKind.ABSENCE) or is_dynamic(rule.kind, rule.labels):
        return None
    try:
        expr = compiled(rule).query
    except BadThreshold:
        return None
    said = {"description": rule.description} if rule.description else {}
    return FileRule(
        alert=rule.alertname, expr=expr, for_ms=rule.for_seconds * 1000,
        keep_firing_for_ms=rule.keep_firing_for_seconds * 1000, labels=_labels(rule),
        annotations={**said, **rule.annotations},
    )  # fmt: skip


def _labels(rule: Rule) -> Mapping[str, str]:
    """Return the labels with the severity in its own words, unless somebody changed it here since."""
    labels = dict(rule.labels)
    said = labels.pop(ORIGINAL, "")
    if said and severity_from(said).value == rule.severity:
        return {**labels, SEVERITY: said}
    imported_without = bool(rule.group.file) and not said and rule.severity == severity_from("").value
    return labels if imported_without else {**labels, SEVERITY: rule.severity}
