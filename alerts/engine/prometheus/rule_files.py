"""A rule file: groups of alerting and recording rules, read and checked as strictly as Prometheus does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from alerts.engine.prometheus.documents import Mistake, Reading, Unreadable, documents_of, is_null
from alerts.engine.templates.prometheus import problem_of
from metrics.promql.parsing import parse
from metrics.promql.types import QueryError

GROUP_FIELDS = ("name", "interval", "query_offset", "limit", "rules", "labels")
RULE_FIELDS = ("record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations")
# What surrounds the groups in a Kubernetes manifest of the operator.
MANIFEST_FIELDS = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
MANIFEST_KIND = "PrometheusRule"
MOST_RULES = 50_000


@dataclass(frozen=True, slots=True)
class FileRule:
    """One rule: `alert` or `record` is its name, the other is empty."""

    record: str = ""
    alert: str = ""
    expr: str = ""
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    line: int = 0

    @property
    def name(self) -> str:
        """Return the name of the alert or of the series."""
        return self.alert or self.record


@dataclass(frozen=True, slots=True)
class FileGroup:
    """Rules that are evaluated in order; None stands for what the server says."""

    name: str
    rules: Sequence[FileRule]
    interval_ms: int | None = None
    query_offset_ms: int | None = None
    limit: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    line: int = 0

    def labels_of(self, rule: FileRule) -> dict[str, str]:
        """Return the labels a rule puts on what it finds: the group's, then its own."""
        return {**self.labels, **rule.labels}


@dataclass(slots=True)
class RuleFile:
    """What a file holds, and what is wrong with it."""

    groups: list[FileGroup] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def rules(self) -> int:
        """Return how many rules there are."""
        return sum(len(group.rules) for group in self.groups)


def read_rule_file(content: str | bytes, *, ignores_unknown: bool = False, experimental: bool = False) -> RuleFile:
    """Read a rule file, or the operator's Kubernetes manifests of such; mistakes are collected, not raised."""
    found = RuleFile()
    try:
        documents = documents_of(content)
    except Unreadable as problem:
        found.mistakes.append(problem.mistake)
        return found
    manifests = [node for node in documents if _is_manifest(node)]
    reading = Reading(ignores_unknown)
    if len(documents) > 1 and len(manifests) < len(documents):
        found.warnings.append("several documents in a rule file are not supported: only the first is read")
        documents = documents[:1]
    nodes: list[yaml.Node] = []
    for document in documents:
        root = _spec(document) if _is_manifest(document) else document
        nodes += reading.items(reading.fields(root, "a rule file", ("groups",)).get("groups"), "groups")
    found.groups = _groups(reading, nodes)
    found.mistakes = reading.mistakes
    if not found.mistakes:
        found.mistakes = _Checks(experimental=experimental).of(nodes, found.groups)
    return found


def _is_manifest(node: yaml.Node) -> bool:
    if not isinstance(node, yaml.MappingNode):
        return False
    names = {str(key.value): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    return set(names) <= MANIFEST_FIELDS and getattr(names.get("kind"), "value", "") == MANIFEST_KIND


def _spec(node: yaml.Node) -> yaml.Node | None:
    return next((value for key, value in node.value if key.value == "spec"), None)


def _groups(reading: Reading, nodes: Sequence[yaml.Node]) -> list[FileGroup]:
    groups, rules = [], 0
    for node in nodes:
        group = _group(reading, node)
        rules += len(group.rules)
        if rules > MOST_RULES:
            reading.wrong(node, f"the file has more than {MOST_RULES} rules")
            break
        groups.append(group)
    return groups


def _group(reading: Reading, node: yaml.Node) -> FileGroup:
    given = reading.fields(node, "a rule group", GROUP_FIELDS)
    return FileGroup(
        name=reading.text(given.get("name")),
        rules=[_rule(reading, rule) for rule in reading.items(given.get("rules"), "rules")],
        interval_ms=reading.duration_ms(given.get("interval")) or None,
        query_offset_ms=reading.duration_ms(given.get("query_offset")),
        limit=reading.whole(given.get("limit")),
        labels=reading.texts(given.get("labels"), "labels"),
        line=node.start_mark.line + 1,
    )


def _rule(reading: Reading, node: yaml.Node) -> FileRule:
    given = reading.fields(node, "a rule", RULE_FIELDS)
    return FileRule(
        record=reading.text(given.get("record")),
        alert=reading.text(given.get("alert")),
        expr=reading.text(given.get("expr")),
        for_ms=reading.duration_ms(given.get("for")) or 0,
        keep_firing_for_ms=reading.duration_ms(given.get("keep_firing_for")) or 0,
        labels=reading.texts(given.get("labels"), "labels"),
        annotations=reading.texts(given.get("annotations"), "annotations"),
        line=node.start_mark.line + 1,
    )


def _is_text(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def bad_label(name: str) -> bool:
    """Say whether a rule cannot set this label."""
    return not name or name == "__name__" or not _is_text(name)


class _Checks:
    """What a file must be beyond its form."""

    def __init__(self, *, experimental: bool) -> None:
        self.experimental = experimental
        self.mistakes: list[Mistake] = []

    def of(self, nodes: Sequence[yaml.Node], groups: Sequence[FileGroup]) -> list[Mistake]:
        seen: set[str] = set()
        for node, group in zip(nodes, groups, strict=True):
            column = node.start_mark.column + 1
            if not group.name:
                self.mistakes.append(Mistake("Groupname must not be empty", group.line, column))
            if group.name in seen:
                text = f'groupname: "{group.name}" is repeated in the same file'
                self.mistakes.append(Mistake(text, group.line, column))
            seen.add(group.name)
            for name in filter(bad_label, group.labels):
                self.mistakes.append(Mistake(f"invalid label name: {name}", group.line, column))
            children: list[yaml.Node] = next((value.value for key, value in node.value if key.value == "rules"), [])
            for number, (rule, child) in enumerate(zip(group.rules, children, strict=False), start=1):
                where = f'group "{group.name}", rule {number}, "{rule.name}": '
                self.rule(rule, child, where)
        return self.mistakes

    def rule(self, rule: FileRule, node: yaml.Node, where: str) -> None:
        places = {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}

        def wrong(name: str, text: str) -> None:
            at = places.get(name, node)
            mark = node.start_mark if is_null(at) else at.start_mark
            self.mistakes.append(Mistake(where + text, mark.line + 1, mark.column + 1))

        named = [name for name in ("record", "alert") if getattr(rule, name)]
        if len(named) != 1:
            wrong("record", "only one of 'record' and 'alert' must be set" if named
                  else "one of 'record' or 'alert' must be set")  # fmt: skip
        for name, text in self.expression(rule) + _recording(rule) + _names(rule) + _templates(rule):
            wrong(name, text)

    def expression(self, rule: FileRule) -> list[tuple[str, str]]:
        if not rule.expr:
            return [("expr", "field 'expr' must be set in rule")]
        try:
            parse(rule.expr, experimental=self.experimental)
        except QueryError as problem:
            return [("expr", f"could not parse expression: {problem}")]
        return []


def _recording(rule: FileRule) -> list[tuple[str, str]]:
    if not rule.record:
        return []
    unfit = (("annotations", rule.annotations), ("for", rule.for_ms), ("keep_firing_for", rule.keep_firing_for_ms))
    found = [(name, f"invalid field '{name}' in recording rule") for name, value in unfit if value]
    if not _is_text(rule.record):
        found.append(("record", f"invalid recording rule name: {rule.record}"))
    if "{" in rule.record or "}" in rule.record:
        text = f"braces present in the recording rule name; should it be in expr?: {rule.record}"
        found.append(("record", text))
    return found


def _names(rule: FileRule) -> list[tuple[str, str]]:
    found = [("labels", f"invalid label name: {name}") for name in rule.labels if bad_label(name)]
    return found + [("annotations", f"invalid annotation name: {name}") for name in rule.annotations if not name]


def _templates(rule: FileRule) -> list[tuple[str, str]]:
    if not rule.alert:
        return []
    found = []
    for field_name, kind, texts in (("labels", "label", rule.labels), ("annotations", "annotation", rule.annotations)):
        for name, text in texts.items():
            problem = problem_of(text)
            if problem:
                found.append((field_name, f'{kind} "{name}": template: __alert_{rule.alert}:{problem}'))
    return found
