"""One rule as text: what is read is what was written, and every mistake has its place."""

import itertools
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts.engine.alertmanager.documents import BadConfig
from alerts.engine.configuration.reading import opened
from alerts.engine.configuration.rules import read_rule, rule_item
from alerts.engine.configuration.substitution import escaped, substituted
from alerts.engine.configuration.writing import yaml_text
from alerts.models import Rule
from alerts.rules.rule_yaml import rule_from_yaml, rule_to_yaml

KINDS = {
    "promql": {"expr": "promql"},
    "threshold": {"metric_path": "path", "denominator_path": "path", "condition": "choice", "threshold": "number"},
    "recording": {"record": "text", "expr": "promql", "limit": "integer"},
    "asked": {"score": "number", "on": "names", "labels": "json", "wait_seconds": "seconds", "sure": "boolean"},
}
BOMB = "x: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in itertools.pairwise("abcdefghi")
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | st.sampled_from(
    [
        "${HOME}",
        "$${X:-y}",
        "a: b",
        "- x",
        "'",
        "yes",
        "1e3",
        "0x10",
        "null",
        "~",
        "<<",
        " a\nb ",
        "\n",
        "# no",
        "${{ 1 }}",
    ]
)
NAMES = st.sampled_from(["a", "b", "component", "on", "n1"])
SEVERITIES = st.sampled_from(["critical", "high", "medium", "low"])
WORDS = st.sampled_from(["warning", "page", "odd"])
NUMBERS = st.integers(-(10**6), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.booleans() | NUMBERS | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
SPECS = {
    "promql": st.fixed_dictionaries({"expr": TEXT}),
    "threshold": st.fixed_dictionaries(
        {"metric_path": TEXT, "condition": st.sampled_from([">", "gt", "equals"]), "threshold": NUMBERS},
        optional={"denominator_path": TEXT},
    ),
    "recording": st.fixed_dictionaries({"record": TEXT, "expr": TEXT}, optional={"limit": st.integers(0, 100)}),
    "asked": st.fixed_dictionaries(
        {},
        optional={
            "score": NUMBERS,
            "on": st.lists(TEXT, max_size=3),
            "labels": PLAIN,
            "wait_seconds": st.integers(0, 10**6),
            "sure": st.booleans(),
        },
    ),
}


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the fields of any rule."""
    kind = draw(st.sampled_from(sorted(SPECS)))
    texts = st.dictionaries(NAMES, TEXT, max_size=3)
    return {
        "kind": kind, "spec": draw(SPECS[kind]), "group": draw(st.sampled_from(["defaults", "x", "1"])),
        "alert_name": draw(TEXT), "description": draw(TEXT), "severity": draw(SEVERITIES),
        "enabled": draw(st.booleans()), "labels": draw(texts | st.fixed_dictionaries({"severity_original": WORDS})),
        "annotations": draw(texts | st.fixed_dictionaries({"runbook": TEXT, "runbook_url": TEXT})),
        "for_seconds": draw(st.integers(0, 10**6)), "keep_firing_for_seconds": draw(st.integers(0, 10**6)),
        "window_seconds": draw(st.integers(1, 10**6)), "cooldown_seconds": draw(st.integers(0, 10**6)),
    }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(name=TEXT.filter(str.strip), fields=rules())
@example(  # What is recorded has no severity: a label that is called like one that was received is a label.
    name="recorded",
    fields={
        "kind": "recording", "spec": {"record": "a:b", "expr": "up"}, "group": "defaults", "alert_name": "",
        "description": "", "severity": "medium", "enabled": True, "labels": {"severity_original": "warning"},
        "annotations": {}, "for_seconds": 0, "keep_firing_for_seconds": 0, "window_seconds": 300, "cooldown_seconds": 0,
    },
)  # fmt: skip
def test_any_rule_is_read_as_it_was_written(name: str, fields: dict[str, Any]) -> None:
    text = yaml_text(rule_item(name, fields, kinds=KINDS))
    root, reading = opened(text, {})
    assert root is not None, text
    entry = read_rule(reading, root, KINDS)
    assert (reading.found_wrong(), entry and entry.name, entry and entry.fields) == ([], name, fields), text


@given(text=TEXT)
def test_an_escaped_text_means_itself(text: str) -> None:
    assert substituted(escaped(text), {"HOME": "wrong", "X": "wrong"}).text == text


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("${A}", {"A": "1"}, "1"),
        ("${A:-2}", {}, "2"),
        ("${A:-2}", {"A": ""}, "2"),
        ("${A:2}", {}, "2"),
        ("${A:}", {}, ""),
        ("x${A}y${B:-z}", {"A": "1"}, "x1yz"),
        ("$${A}", {"A": "1"}, "${A}"),
        ("${{ $value }} ${1} $A", {"A": "1"}, "${{ $value }} ${1} $A"),
    ],
)
def test_variables_are_filled_in(text: str, variables: dict[str, str], expected: str) -> None:
    assert substituted(text, variables).text == expected


def test_several_mistakes_are_told_at_once_each_with_its_line() -> None:
    text = "name: x\nexpr: up == 0\nsevrity: low\nfor: 5 parsecs\nlabels: {a: 1, a: 2}\ndescription: ${NOBODY}\n"
    with pytest.raises(BadConfig) as told:
        rule_from_yaml(text)
    lines = str(told.value).split("\n")
    assert [line.split(":")[0] for line in lines] == [
        "line 3, column 1", "line 4, column 6", "line 5, column 16", "line 6, column 14"
    ]  # fmt: skip
    assert "did you mean severity?" in lines[0]
    assert "set NOBODY, or write ${NOBODY:-default}" in lines[3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a rule belongs here"),
        ("a: [", "line 2"),
        ("name: x\nkind: nope", "unknown kind 'nope'; known are"),
        ("name: x\nmetric_path: cpu", "severity is missing"),
        ("&a [*a]", "write it out"),
        ("- name: a\n- name: b", "one rule belongs here"),
        ("expr: up\n---\nexpr: up", "line 3, column 1: one document"),
        ("expr: ${OPEN", "is never closed"),
        (BOMB, "parts, aliases"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_with_a_sentence(text: str, said: str) -> None:
    with pytest.raises(BadConfig, match=said):
        rule_from_yaml(text)


def test_a_severity_in_other_words_is_kept_beside_what_it_means() -> None:
    fields = rule_from_yaml("name: x\nexpr: up == 0\nseverity: warning\nfor: 5m\n")
    assert (fields["severity"], fields["labels"], fields["for_seconds"]) == (
        "medium", {"severity_original": "warning"}, 300
    )  # fmt: skip
    rule = Rule(**{name: value for name, value in fields.items() if name != "group"})
    assert rule_to_yaml(rule) == "name: x\nexpr: up == 0\nseverity: warning\nfor: 5m\n"
