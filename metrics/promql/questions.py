"""Questions other rooms ask about a query without evaluating it."""

from typing import Any

import numpy as np
import promql_parser as grammar

from metrics.promql.binary import ARITHMETIC, COMPARISONS
from metrics.promql.nodes import Binary, Negate, Node, Number, Selector, children
from metrics.promql.parsing import parse, syntax_tree
from metrics.promql.prepass import BEFORE_EPOCH_SECONDS
from metrics.promql.types import Floats, Matcher

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


def selectors_of(query: str) -> list[tuple[Matcher, ...]]:
    """Return the matchers of every selector, from left to right; alternatives joined by `or` come one by one."""
    return list(_selectors(parse(query).root))


def _selectors(node: Node) -> list[tuple[Matcher, ...]]:
    if isinstance(node, Selector):
        return list(node.alternatives)
    return [matchers for child in children(node) for matchers in _selectors(child)]


def split_comparison(query: str) -> tuple[str, str, float] | None:
    """Split `expression > number` at the top into text, operator and threshold; None for any other query."""
    root, tree = parse(query).root, syntax_tree(query)
    while isinstance(tree, grammar.ParenExpr):
        tree = tree.expr
    if not isinstance(root, Binary) or root.op not in COMPARISONS:
        return None
    left, right = constant_of(root.left), constant_of(root.right)
    if right is not None and left is None:
        return _text(tree.lhs), root.op, right
    if left is not None and right is None:
        return _text(tree.rhs), FLIPPED[root.op], left
    return None


def constant_of(node: Node) -> float | None:
    """Return the value of an expression of literal numbers; None where anything else is involved."""
    match node:
        case Number(value=value):
            return value
        case Negate(expr=expr):
            inner = constant_of(expr)
            return None if inner is None else -inner
        case Binary(op=op, left=left, right=right) if op in ARITHMETIC:
            sides = constant_of(left), constant_of(right)
            return None if sides[0] is None or sides[1] is None else _calculated(op, sides[0], sides[1])
        case _:
            return None


def _calculated(op: str, left: float, right: float) -> float:
    result: Floats = ARITHMETIC[op](np.array([left]), np.array([right]))
    return float(result[0])


def _text(tree: Any) -> str:
    return _spelled(tree.prettify())


def _spelled(text: str) -> str:
    # An instant before 1970 is written for the parser as one far in the future: no reader should see that.
    if "@ 1" not in text:
        return text
    head, *rest = text.split("@ ")
    return head + "".join(f"@ {_instant(piece)}" for piece in rest)


def _instant(piece: str) -> str:
    number, space, tail = piece.partition(" ")
    digits = number.rstrip(")")
    try:
        seconds = float(digits)
    except ValueError:
        return piece
    if seconds < BEFORE_EPOCH_SECONDS:
        return piece
    return f"-{seconds - BEFORE_EPOCH_SECONDS:.3f}{number[len(digits) :]}{space}{tail}"


def format(query: str) -> str:  # noqa: A001
    """Return the query in the usual layout."""
    return _text(syntax_tree(query))
