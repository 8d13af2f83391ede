"""From a rule to its PromQL."""

from collections.abc import Mapping
from typing import Any

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
