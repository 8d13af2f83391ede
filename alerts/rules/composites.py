"""What can be wrong with a rule that joins others: names that are no rules, and rules that hang on themselves."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from alerts.engine.composite import (
    BadComposite,
    Expression,
    cycle_from,
    depths,
    holds_when_nothing_fires,
    names_in,
    parse,
)
from alerts.models import Rule
from alerts.models.rules import RuleKind


def composite_problem(name: str, spec: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what is wrong with a composite rule, beginning with the key; `others` come with it, by name."""
    try:
        expression = parse(str(spec.get("expression", "")))
    except BadComposite as error:
        return f"expression: {error}"
    if spec.get("on") and holds_when_nothing_fires(expression):
        return (
            "on: The expression is true while no rule fires, so there are no labels to join on; "
            "name a rule that has to fire, or leave `on` out."
        )
    return _name_problem(name, expression, others) or _cycle_problem(name, expression, others)


def _name_problem(name: str, expression: Expression, others: Mapping[str, Mapping[str, Any]]) -> str:
    names = [each for each in names_in(expression) if each not in others and each != name]
    known = dict(Rule.objects.filter(name__in=names).values_list("name", "kind"))
    known |= {each: str(fields.get("kind", "promql")) for each, fields in others.items()}
    for each in names_in(expression):
        if each != name and each not in known:
            return f"expression: There is no rule {each!r}.{_meant(each, others)}"
        if known.get(each) == RuleKind.RECORDING:
            return f"expression: {each!r} records series and never fires; name a rule that makes alerts."
    return ""


def _meant(name: str, others: Mapping[str, Mapping[str, Any]]) -> str:
    near = get_close_matches(name, [*Rule.objects.values_list("name", flat=True)[:5000], *others], n=3)
    return f" Is it {' or '.join(repr(each) for each in near)}?" if near else " Make that rule first."


def _cycle_problem(name: str, expression: Expression, others: Mapping[str, Mapping[str, Any]]) -> str:
    stored = Rule.objects.filter(kind=RuleKind.COMPOSITE).exclude(name__in=[name, *others])
    specs = dict(stored.values_list("name", "spec"))
    specs |= {each: fields.get("spec") or {} for each, fields in others.items() if fields.get("kind") == "composite"}
    joins = {each: _names(found) for each, found in specs.items()}
    way = cycle_from(name, expression, joins)
    return f"expression: The rule would hang on itself: {' → '.join(way)}." if way else ""


def joined_depths(specs: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Return in which order composite rules can be stored, by name: each after those it joins."""
    return depths({name: _names(spec) for name, spec in specs.items()})


def _names(spec: Mapping[str, Any]) -> list[str]:
    try:
        return names_in(parse(str(spec.get("expression", ""))))
    except BadComposite:
        return []
