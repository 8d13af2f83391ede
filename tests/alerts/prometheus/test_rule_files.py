"""Rule files: what is read, and what is refused with its place."""

import pytest

from alerts.engine.prometheus.linting import duplicates_of, shown_duplicates
from alerts.engine.prometheus.rule_files import FileRule, read_rule_file

WHOLE = """
groups:
  - name: g
    interval: 30s
    query_offset: 1m
    limit: 5
    labels: {team: a, tier: "1"}
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
        labels: {tier: 2}
      - alert: Down
        expr: up == 0
        for: 1h30m
        keep_firing_for: 5m
        labels: &shared {severity: page}
        annotations: {summary: "{{ $labels.instance }} is down"}
      - alert: 123
        expr: 1
        labels: {<<: *shared, more: yes}
"""


def test_a_file_is_read_whole() -> None:
    found = read_rule_file(WHOLE)
    assert not found.mistakes
    [group] = found.groups
    assert (group.interval_ms, group.query_offset_ms, group.limit) == (30_000, 60_000, 5)
    recording, down, numbered = group.rules
    assert group.labels_of(recording) == {"team": "a", "tier": "2"}
    assert (down.for_ms, down.keep_firing_for_ms, down.labels) == (5_400_000, 300_000, {"severity": "page"})
    assert (numbered.alert, numbered.expr, numbered.labels) == ("123", "1", {"severity": "page", "more": "yes"})


@pytest.mark.parametrize("text", ["", "groups:\n", "groups: []\n", "---\n"])
def test_nothing_is_a_file_without_groups(text: str) -> None:
    found = read_rule_file(text)
    assert not found.groups
    assert not found.mistakes


def rule(lines: str) -> str:
    body = "".join(f"\n        {line}" for line in lines.split("; "))
    return f"groups:\n  - name: g\n    rules:\n      -{body.replace('        ', ' ', 1).lstrip(chr(10))}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("groups:\n  - name: g\n    owner: x\n", "3:5: field owner not found in a rule group"),
        ("group: []\n", "1:1: field group not found in a rule file"),
        ("groups:\n  - name: g\n  - name: g\n", '3:5: groupname: "g" is repeated in the same file'),
        ("groups:\n  - interval: 1m\n", "2:5: Groupname must not be empty"),
        ("groups:\n  - name: g\n    name: h\n", '3:5: mapping key "name" already defined at line 2'),
        ("groups:\n  - name: g\n    interval: 1x\n", "3:15: not a valid duration string: '1x'"),
        ("groups:\n  - name: g\n    interval: ''\n", "3:15: empty duration string"),
        ("groups:\n  - name: g\n    limit: many\n", "3:12: cannot unmarshal !!str `many` into a number"),
        ("groups: {a: b}\n", "1:9: cannot unmarshal !!map into a list of groups"),
        ("groups:\n  - name: [g]\n", "2:11: cannot unmarshal !!seq into a text"),
        ("groups:\n  - name: g\n    labels: {__name__: x}\n", "2:5: invalid label name: __name__"),
        ("groups: [\n", "yaml: "),
        (rule("record: a; alert: b; expr: 1"), "only one of 'record' and 'alert' must be set"),
        (rule("expr: 1"), """4:9: group "g", rule 1, "": one of 'record' or 'alert' must be set"""),
        (rule("alert: a"), """4:9: group "g", rule 1, "a": field 'expr' must be set in rule"""),
        (
            rule("alert: a; expr: up +"),
            '5:15: group "g", rule 1, "a": could not parse expression: 1:5: parse error: unexp',
        ),
        (rule("record: a; expr: 1; for: 1m"), "invalid field 'for' in recording rule"),
        (rule("record: a; expr: 1; annotations: {b: c}"), "invalid field 'annotations' in recording rule"),
        (rule("record: a; expr: 1; keep_firing_for: 1s"), "invalid field 'keep_firing_for' in recording rule"),
        (rule("record: 'a{b=1}'; expr: 1"), "braces present in the recording rule name; should it be in expr?: a{b=1}"),
        (
            rule("alert: a; expr: 1; labels: {__name__: x}"),
            '6:17: group "g", rule 1, "a": invalid label name: __name__',
        ),
        (
            rule("alert: a; expr: 1; labels: {b: '{{ $x }}'}"),
            'label "b": template: __alert_a:1: undefined variable "$x"',
        ),
        (rule("alert: a; expr: 1; labels: {<<: 5}"), "map merge requires map or sequence of maps as the value"),
        ("[" * 100 + "]" * 100, "nested more than 50 deep"),
        (b"groups: \xff\n", "yaml: "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str | bytes, said: str) -> None:
    found = read_rule_file(text)
    assert said in "\n".join(map(str, found.mistakes))


def test_unknown_fields_can_be_read_over() -> None:
    text = "groups:\n  - name: g\n    owner: {a: b}\n    rules: [{alert: a, expr: 1, team: x}]\n"
    assert read_rule_file(text).mistakes
    assert read_rule_file(text, ignores_unknown=True).groups[0].rules[0] == FileRule(alert="a", expr="1", line=4)


def test_only_the_first_of_several_documents_is_read_and_that_is_said() -> None:
    found = read_rule_file("groups: [{name: a}]\n---\ngroups: [{name: b}]\n")
    assert [group.name for group in found.groups] == ["a"]
    assert found.warnings == ["several documents in a rule file are not supported: only the first is read"]


def test_the_operators_manifests_are_rule_files_too() -> None:
    manifest = "apiVersion: m/v1\nkind: PrometheusRule\nmetadata: {name: x}\nspec:\n  groups: [{name: %s}]\n"
    found = read_rule_file(manifest % "a" + "---\n" + manifest % "b")
    assert [group.name for group in found.groups] == ["a", "b"]
    assert not found.mistakes


def test_experimental_queries_are_allowed_when_asked_for() -> None:
    text = "groups: [{name: g, rules: [{record: r, expr: 'sort_by_label(up, \"a\")'}]}]"
    assert read_rule_file(text).mistakes
    assert not read_rule_file(text, experimental=True).mistakes


def test_rules_that_say_the_same_twice_are_found_across_groups() -> None:
    one = "{record: r, expr: 1, labels: {a: b}}"
    found = read_rule_file(
        f"groups: [{{name: g, rules: [{one}, {one}]}}, {{name: h, labels: {{a: b}}, rules: [{{record: r, expr: 2}}]}}]"
    )
    duplicates = duplicates_of(found.groups)
    assert duplicates == [("r", (("a", "b"),))]
    assert shown_duplicates(duplicates).startswith("1 duplicate rule(s) found.\nMetric: r\nLabel(s):\n\ta: b\n")
