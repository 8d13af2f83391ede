"""Questions other rooms ask about a query without evaluating it."""

import numpy as np

from metrics.promql.binary import ARITHMETIC, COMPARISONS
from metrics.promql.nodes import Binary, Negate, Node, Number, Selector, children
from metrics.promql.parsing import format_query, parse
from metrics.promql.syntax.planning import parts
from metrics.promql.syntax.printing import pretty, text_of
from metrics.promql.syntax.tree import BinaryExpr, Expr, FunctionCall, ParenExpr, VectorSelector
from metrics.promql.types import Floats, Matcher

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!="}


def selectors_of(query: str) -> list[tuple[Matcher, ...]]:
    """Return the matchers of every selector, from left to right; alternatives joined by `or` come one by one."""
    return list(_selectors(parse(query, experimental=True).root))


def _selectors(node: Node) -> list[tuple[Matcher, ...]]:
    if isinstance(node, Selector):
        return list(node.alternatives)
    return [matchers for child in children(node) for matchers in _selectors(child)]


def selector_texts(query: str) -> list[str]:
    """Return the selectors of a query as text, without windows, offsets and other modifiers, each once, sorted."""
    found: set[str] = set()
    waiting: list[Expr] = [parse(query, experimental=True).tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, VectorSelector):
            found.add(text_of(VectorSelector(node.name, node.alternatives)))
        waiting += parts(node)
    return sorted(found)


def split_comparison(query: str) -> tuple[str, str, float] | None:
    """Split `expression > number` at the top into text, operator and threshold; None for any other query."""
    plan = parse(query, experimental=True)
    root, tree = plan.root, plan.tree
    while isinstance(tree, ParenExpr):
        tree = tree.expr
    if not isinstance(root, Binary) or not isinstance(tree, BinaryExpr) or root.op not in COMPARISONS:
        return None
    left, right = constant_of(root.left), constant_of(root.right)
    if right is not None and left is None:
        return pretty(tree.left), root.op, right
    if left is not None and right is None:
        return pretty(tree.right), FLIPPED[root.op], left
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


def format(query: str) -> str:  # noqa: A001
    """Return the query in the usual layout."""
    return format_query(query)


def selector_name(query: str) -> str:
    """Return the metric of a query that is one selector and nothing else; empty for any other query."""
    tree = parse(query, experimental=True).tree
    return tree.name if isinstance(tree, VectorSelector) else ""


def below_quantile(query: str) -> str:
    """Return what a query takes its quantile, mean or share of: the buckets themselves; else the query as it is."""
    tree: Expr = parse(query, experimental=True).tree
    while True:
        if isinstance(tree, ParenExpr):
            tree = tree.expr
        elif isinstance(tree, FunctionCall) and tree.function.name.startswith("histogram_"):
            vectors = [argument for argument in tree.arguments if argument.type == "vector"]
            tree = vectors[0]
        else:
            return text_of(tree)


def only_selector(query: str) -> tuple[str, dict[str, str]] | None:
    """Return the metric and the exact labels of a query that is one selector at its own time; None for any other.

    The metric is empty where the selector leaves it open.
    """
    tree = parse(query, experimental=True).tree
    if not isinstance(tree, VectorSelector) or tree.offset or tree.anchor or tree.smoothing:
        return None
    if len(tree.alternatives) > 1:
        return None
    equal: dict[str, str] = {}
    for matcher in tree.alternatives[0] if tree.alternatives else ():
        if matcher.op == "=" and matcher.value:
            equal[matcher.name] = matcher.value
    return tree.name or equal.pop("__name__", ""), equal


def operands_of(query: str) -> list[str]:
    """Return what a query reckons with, each as text and once, from left to right; none where it is one thing alone."""
    found: list[str] = []
    waiting: list[Expr] = [parse(query, experimental=True).tree]
    while waiting:
        node = waiting.pop()
        match node:
            case ParenExpr(expr=expr):
                waiting.append(expr)
            case BinaryExpr(left=left, right=right):
                waiting += [right, left]
            case _ if selector_texts(text_of(node)):
                found.append(text_of(node))
    texts = list(dict.fromkeys(found))
    return texts if len(texts) > 1 else []
