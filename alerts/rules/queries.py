"""From a rule to its PromQL."""

from collections.abc import Mapping
from typing import Any

from promql_parser import VectorSelector, parse

from alerts.engine.threshold import Compiled, compile_threshold, sides_of
from alerts.models import Rule


def compiled(rule: Rule) -> Compiled:
    """Return the query of a rule with its sides; a query without a closing comparison is its own left side."""
    return compiled_spec(rule.kind, rule.spec, rule.window_seconds)


def compiled_spec(kind: str, spec: Mapping[str, Any], window_seconds: int) -> Compiled:
    """Return the query of a rule's spec; raises BadThreshold."""
    if kind == "threshold":
        return compile_threshold(
            metric_path=str(spec.get("metric_path", "")),
            denominator_path=str(spec.get("denominator_path") or ""),
            condition=str(spec.get("condition", "")),
            threshold=float(spec.get("threshold", 0)),
            window_seconds=window_seconds,
        )
    expression = str(spec.get("expr", ""))
    return sides_of(expression) or Compiled(expression, "", "", float("nan"))


def selectors_of(query: str) -> list[str]:
    """Return the series selectors a query reads, without windows and offsets, each once."""
    found: set[str] = set()
    waiting: list[Any] = [parse(query)]
    while waiting:
        node = waiting.pop()
        selector = getattr(node, "vector_selector", node)
        if isinstance(selector, VectorSelector):
            found.add(f"{selector.name or ''}{selector.matchers}")
        else:
            waiting += [child for name in ("expr", "lhs", "rhs") if (child := getattr(node, name, None)) is not None]
            waiting += getattr(node, "args", None) or []
    return sorted(found)
