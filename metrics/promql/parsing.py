"""From a query's text to its plan."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from metrics.promql.nodes import Binary, Node, children
from metrics.promql.syntax import describing, printing
from metrics.promql.syntax.grammar import expression_of
from metrics.promql.syntax.planning import Times, depends_on_times, planned
from metrics.promql.syntax.tree import Expr


@dataclass(frozen=True, slots=True)
class Plan:
    """A parsed query; `depth` counts nesting, where a chain of operators counts once.

    `tree` is the query as it was written. Durations in `root` that depend on the query's step and range stand at 0;
    `resolve` works them out.
    """

    root: Node
    depth: int
    tree: Expr = field(compare=False)
    depends_on_times: bool = False


@lru_cache(maxsize=1024)
def parse(query: str, *, experimental: bool = False) -> Plan:
    """Return the plan of a query; the cache is bounded and plans are immutable.

    What Prometheus calls experimental is refused unless `experimental` is true.
    """
    tree = expression_of(query, experimental=experimental)
    root = planned(tree, None)
    return Plan(root, _depth(root), tree, depends_on_times(tree))


def resolve(plan: Plan, step_ms: int, range_ms: int) -> Node:
    """Return the plan's root with every duration worked out for a query's step and range; raises QueryError."""
    return planned(plan.tree, Times(step_ms, range_ms)) if plan.depends_on_times else plan.root


def format_query(query: str, *, experimental: bool = True) -> str:
    """Return the query in the usual layout, as Prometheus' /api/v1/format_query does."""
    return printing.pretty(parse(query, experimental=experimental).tree)


def tree_of(plan: Plan) -> dict[str, Any]:
    """Return the query's tree as JSON values, in the shape of Prometheus' /api/v1/parse_query."""
    return describing.described(plan.tree)


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
