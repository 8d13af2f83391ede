"""From a form or its YAML to a rule that can be saved; what is wrong by field; and merging with what others saved."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from alerts.models import Rule, RuleGroup
from alerts.rule_pages.drafts import DURATIONS, MOST_LEVELS, NOTES, Values, read, values_of
from alerts.rules.fields import LEVEL_FIELDS
from alerts.rules.kinds import shapes
from alerts.rules.rule_yaml import BadRuleText, rule_from_yaml, rule_to_yaml
from alerts.rules.validation import rule_problems

CHECKED = ("kind", "name", "spec", "severity", "labels", "annotations", "window_seconds")
COLUMNS = {column: name for name, column in DURATIONS.items()} | {"group_id": "group"}
YAML = "yaml"
LONGEST_BASE = 100_000


@dataclass(slots=True)
class Draft:
    """What stands in the editor: texts, the rule they mean, and what is wrong with it by field."""

    values: Values
    mode: str
    rule: Rule
    problems: dict[str, str] = field(default_factory=dict)
    readable: bool = True  # Whether the texts mean a rule at all, however wrong a one.

    @property
    def by_yaml(self) -> bool:
        """Say whether it is written as YAML."""
        return self.mode == YAML


def draft_of(rule: Rule, *, mode: str = "form") -> Draft:
    """Return what the editor shows of a rule."""
    values = values_of(rule)
    if mode == YAML:
        values["yaml"] = rule_to_yaml(rule)
    return Draft(values, mode, rule)


def draft_read(values: Values, rule: Rule) -> Draft:
    """Put what stands in the editor into a rule (which is not saved), and check it."""
    mode = YAML if values.get("mode") == YAML else "form"
    draft = _from_yaml(values, rule) if mode == YAML else _from_form(values, rule)
    if draft.readable:
        draft.problems = named_problems(rule_problems({name: getattr(rule, name) for name in CHECKED}), draft) | (
            draft.problems
        )
    return draft


def _from_form(values: Values, rule: Rule) -> Draft:
    found = read(values)
    draft = Draft(values, "form", rule, found.problems, readable=not found.problems)
    _apply(rule, found.fields)
    return draft


def _from_yaml(values: Values, rule: Rule) -> Draft:
    draft = Draft(values, YAML, rule)
    try:
        fields = dict(rule_from_yaml(values.get("yaml", "")))
    except BadRuleText as error:
        draft.problems, draft.readable = {"yaml": str(error)}, False
        return draft
    except ValueError as error:
        draft.problems, draft.readable = {"yaml": f"This is no rule: {error}"}, False
        return draft
    group = RuleGroup.objects.filter(name=fields.pop("group", "")).first()
    if group is None:
        draft.problems = {"yaml": "group: there is no group of this name. Make it first, or choose another one."}
        draft.readable = False
        return draft
    _apply(rule, fields | {"group_id": group.pk})
    return draft


def _apply(rule: Rule, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        setattr(rule, name, value)


def named_problems(problems: Mapping[str, str], draft: Draft) -> dict[str, str]:
    """Return problems of columns under the names of the form's fields."""
    if draft.by_yaml:
        return {YAML: " ".join(f"{name}: {text}" for name, text in problems.items())} if problems else {}
    return {_named(column, text, draft.rule.kind): text for column, text in problems.items()}


def _named(column: str, text: str, kind: str) -> str:
    first = text.partition(" ")[0].rstrip(":")
    if column == "spec":
        shape = shapes().get(kind)
        known = [each.name for each in shape.fields] if shape else []
        return f"{kind}.{first if first in known else known[0] if known else ''}"
    if column == "annotations" and first in NOTES:
        return first
    return COLUMNS.get(column, column)


def switched(draft: Draft) -> Draft:
    """Return the same rule in the other writing; one that cannot be read stays as it is, with what is wrong."""
    if not draft.readable:
        return draft
    return draft_of(draft.rule, mode="form" if draft.by_yaml else YAML)


def base_text(values: Values) -> str:
    """Return what the editor began with, to be sent along: with it, both sides' changes can be told apart."""
    return orjson.dumps(values).decode()


def base_read(text: str) -> Values:
    """Read what the editor began with; nothing where that is not known."""
    try:
        found = orjson.loads(text) if len(text) <= LONGEST_BASE else None
    except orjson.JSONDecodeError:
        found = None
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that somebody else changed meanwhile."""

    name: str
    label: str
    was: str
    theirs: str
    yours: str
    both: bool  # Whether it was changed on both sides; then yours stands in the editor.


def merge(base: Values, yours: Values, theirs: Values) -> tuple[Values, list[Difference]]:
    """Take over what only the others changed, keep what you changed, and say both."""
    merged, differences = dict(yours), []
    for name in sorted({*theirs, *base}):
        was, fresh, mine = base.get(name, ""), theirs.get(name, ""), yours.get(name, "")
        if fresh in (was, mine):
            continue
        both = mine != was
        differences.append(Difference(name, label_of(name), was, fresh, mine, both))
        if not both:
            merged[name] = fresh
    return merged, differences


def label_of(name: str) -> str:
    """Return what a field of the form is called."""
    kind, _, rest = name.partition(".")
    shape = shapes().get(kind)
    found = shape.field(rest.partition(".")[0]) if shape and rest else None
    return found.label if found else name.replace("_", " ").capitalize()


LEVEL_PLACES = [(place, LEVEL_FIELDS) for place in range(MOST_LEVELS)]
