"""From a query's text to its plan."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import promql_parser as grammar

from metrics.promql.nodes import (
    Aggregate,
    Anchor,
    Binary,
    Call,
    Matching,
    MatchSide,
    Negate,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    children,
)
from metrics.promql.prepass import BEFORE_EPOCH_SECONDS, position_of, prepare
from metrics.promql.types import Matcher, QueryError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
SIDES: dict[str, MatchSide] = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "many-to-many",
}
SET_OPERATORS = frozenset({"and", "or", "unless"})


@dataclass(frozen=True, slots=True)
class Plan:
    """A parsed query; `depth` counts nesting, where a chain of operators counts once."""

    root: Node
    depth: int


@lru_cache(maxsize=1024)
def parse(query: str) -> Plan:
    """Return the plan of a query; the cache is bounded and plans are immutable."""
    root = convert(syntax_tree(query))
    return Plan(root=root, depth=_depth(root))


def syntax_tree(query: str) -> Any:
    """Return the parser's own tree."""
    text = prepare(query)
    try:
        return grammar.parse(text)
    except ValueError as problem:
        message = str(problem)
        raise QueryError(f"parse error: {message}", "bad_data", position_of(query, message)) from problem


def convert(tree: Any) -> Node:
    """Translate one node of the parser's tree and all below it."""
    translate = TRANSLATIONS.get(type(tree))
    if translate is None:
        raise QueryError(f"{type(tree).__name__} is not supported", kind="unsupported")
    return translate(tree)


def _depth(root: Node) -> int:
    """Walk without recursion, so that a long chain cannot exhaust the stack."""
    deepest, pending = 1, [(root, 1)]
    while pending:
        node, depth = pending.pop()
        deepest = max(deepest, depth)
        for place, child in enumerate(children(node)):
            chained = place == 0 and isinstance(node, Binary) and isinstance(child, Binary)
            pending.append((child, depth if chained else depth + 1))
    return deepest


def _milliseconds(duration: timedelta | None) -> int:
    return 0 if duration is None else duration // MILLISECOND


def _anchor(at: Any) -> Anchor:
    if at is None:
        return None
    if at.type == grammar.AtModifierType.Start:
        return "start"
    if at.type == grammar.AtModifierType.End:
        return "end"
    instant_ms = (at.at - EPOCH) // MILLISECOND
    shift_ms = BEFORE_EPOCH_SECONDS * 1000
    return int(shift_ms - instant_ms if instant_ms >= shift_ms else instant_ms)


def _matcher(found: Any) -> Matcher:
    if found.op == grammar.MatchOp.Equal:
        return Matcher(found.name, "=", found.value)
    if found.op == grammar.MatchOp.NotEqual:
        return Matcher(found.name, "!=", found.value)
    return Matcher(found.name, "=~" if found.op == grammar.MatchOp.Re else "!~", found.value)


def _alternatives(tree: Any) -> Iterable[tuple[Matcher, ...]]:
    name = () if tree.name is None else (Matcher("__name__", "=", tree.name),)
    common = tuple(_matcher(found) for found in tree.matchers.matchers)
    for group in tree.matchers.or_matchers or [[]]:
        yield (*name, *common, *(_matcher(found) for found in group))


def _selector(tree: Any) -> Selector:
    return Selector(tuple(_alternatives(tree)), _milliseconds(tree.offset), _anchor(tree.at))


def _range_selector(tree: Any) -> RangeSelector:
    return RangeSelector(_selector(tree.vector_selector), _milliseconds(tree.range))


def _subquery(tree: Any) -> Subquery:
    return Subquery(
        expr=convert(tree.expr),
        range_ms=_milliseconds(tree.range),
        step_ms=_milliseconds(tree.step),
        offset_ms=_milliseconds(tree.offset),
        anchor=_anchor(tree.at),
    )


def _call(tree: Any) -> Call:
    return Call(tree.func.name, tuple(convert(argument) for argument in tree.args))


def _aggregate(tree: Any) -> Aggregate:
    modifier = tree.modifier
    return Aggregate(
        op=str(tree.op),
        expr=convert(tree.expr),
        parameter=None if tree.param is None else convert(tree.param),
        grouping=() if modifier is None else tuple(modifier.labels),
        without=modifier is not None and modifier.type == grammar.AggModifierType.Without,
    )


def _binary(tree: Any) -> Binary:
    op = str(tree.op)
    left, right = convert(tree.lhs), convert(tree.rhs)
    modifier = tree.modifier
    if modifier is None:
        side: MatchSide = "many-to-many" if op in SET_OPERATORS else "one-to-one"
        return Binary(op, left, right, Matching(side=side), returns_bool=False)
    fill = modifier.fill_values
    if fill is not None and (fill.lhs is not None or fill.rhs is not None):
        raise QueryError("fill() in vector matching is not supported", kind="unsupported")
    side = SIDES[str(modifier.card).rsplit(".", 1)[-1]]
    return Binary(op, left, right, _matching(modifier, side), returns_bool=bool(modifier.return_bool))


def _matching(modifier: Any, side: MatchSide) -> Matching:
    labels = modifier.matching
    return Matching(
        side=side,
        on=labels is not None and labels.type == grammar.LabelModifierType.Include,
        labels=() if labels is None else tuple(labels.labels),
        include=tuple(modifier.group_labels or ()),
    )


TRANSLATIONS: dict[type, Callable[[Any], Node]] = {
    grammar.NumberLiteral: lambda tree: Number(tree.val),
    grammar.StringLiteral: lambda tree: Text(tree.val),
    grammar.ParenExpr: lambda tree: convert(tree.expr),
    grammar.UnaryExpr: lambda tree: Negate(convert(tree.expr)),
    grammar.VectorSelector: _selector,
    grammar.MatrixSelector: _range_selector,
    grammar.SubqueryExpr: _subquery,
    grammar.Call: _call,
    grammar.AggregateExpr: _aggregate,
    grammar.BinaryExpr: _binary,
}
