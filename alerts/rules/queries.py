"""From a rule to its PromQL."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from json import dumps, loads
from typing import Any

from alerts.engine.absence import Expected, absence_query, presence_query, stopped_query
from alerts.engine.baseline import Baseline
from alerts.engine.levels import BadLevels, Condition, Level, condition_of
from alerts.engine.severity import severity_from
from alerts.engine.threshold import (
    BadThreshold,
    Compiled,
    compile_threshold,
    operator_from,
    path_expression,
    sides_of,
)
from alerts.models import Rule
from alerts.rules.fields import ABSENCE, DAY_SECONDS, DYNAMIC
from metrics.promql.questions import only_selector
from metrics.promql.types import QueryError

# A threshold rule with this label has its threshold worked out from the past; its own holds until there is enough.
DYNAMIC_LABEL = "dynamic_threshold"
SEASONAL_BASELINE_SECONDS = 28 * DAY_SECONDS
NOT_A_NUMBER = float("nan")


def is_dynamic(kind: str, labels: Mapping[str, str]) -> bool:
    """Say whether the thresholds of a rule come from the past of each series."""
    return kind == "dynamic" or (kind == "threshold" and str(labels.get(DYNAMIC_LABEL, "")).lower() == "true")


def compiled(rule: Rule) -> Compiled:
    """Return the query of a rule with its sides; a query without a closing comparison is its own left side."""
    kind = "dynamic" if is_dynamic(rule.kind, rule.labels) else rule.kind
    return _known(kind, dumps(rule.spec, sort_keys=True), rule.window_seconds, rule.severity)


# Every tick of a rule asks, and so does every time of a backtest.
@lru_cache(maxsize=4096)
def _known(kind: str, spec: str, window_seconds: int, severity: str) -> Compiled:
    return compiled_spec(kind, loads(spec), window_seconds, severity=severity)


def compiled_spec(kind: str, spec: Mapping[str, Any], window_seconds: int, *, severity: str = "medium") -> Compiled:
    """Return the query of a rule's spec; raises BadThreshold."""
    return COMPILERS.get(kind, _promql)(spec, window_seconds, severity)


def _promql(spec: Mapping[str, Any], _window_seconds: int, severity: str) -> Compiled:
    expression = str(spec.get("expr", ""))
    plain = sides_of(expression) or Compiled(expression, "", "", NOT_A_NUMBER)
    return _judged(plain, spec, severity, field="expr")


def _threshold(spec: Mapping[str, Any], window_seconds: int, severity: str) -> Compiled:
    plain = compile_threshold(
        metric_path=str(spec.get("metric_path", "")),
        denominator_path=str(spec.get("denominator_path") or ""),
        condition=str(spec.get("condition", "")),
        threshold=float(spec.get("threshold", 0)),
        window_seconds=window_seconds,
    )
    return _judged(plain, spec, severity, field="threshold")


def _judged(plain: Compiled, spec: Mapping[str, Any], severity: str, *, field: str) -> Compiled:
    """Add levels, a recovery threshold and what becomes of lost data."""
    return _with_no_data(replace(plain, condition=_condition(plain, spec, severity, field)), spec)


def _condition(plain: Compiled, spec: Mapping[str, Any], severity: str, field: str) -> Condition | None:
    recovery = spec.get("recovery_threshold")
    if not spec.get("levels") and recovery is None:
        return None
    if not plain.operator or " bool " in f" {plain.query.removeprefix(plain.expression)} ":
        raise BadThreshold(
            field, "With levels or a recovery threshold the query ends in a comparison with a number, as in heat > 80."
        )
    own = Level(severity_from(severity).value, plain.threshold, None if recovery is None else float(recovery))
    try:
        return condition_of(plain.operator, (own, *(_level(each) for each in spec.get("levels") or ())))
    except BadLevels as error:
        raise BadThreshold(error.field, str(error)) from None


def _level(said: Mapping[str, Any]) -> Level:
    recovery = said.get("recovery_threshold")
    severity = severity_from(str(said["severity"])).value
    return Level(severity, float(said["threshold"]), None if recovery is None else float(recovery))


def _with_no_data(plain: Compiled, spec: Mapping[str, Any]) -> Compiled:
    no_data = str(spec.get("no_data") or "unknown")
    stopped = stopped_query(plain.expression or plain.query) if no_data == "alert" else ""
    return replace(plain, no_data=no_data, stopped=stopped)


def _dynamic(spec: Mapping[str, Any], window_seconds: int, severity: str) -> Compiled:
    expression = str(spec.get("expr") or "")
    if not expression:
        denominator = str(spec.get("denominator_path") or "")
        expression = path_expression(str(spec.get("metric_path", "")), denominator, window_seconds)
    operator = operator_from(str(spec.get("condition") or DYNAMIC.defaults["condition"]))
    until_then, condition = spec.get("threshold"), None
    if until_then is not None:
        condition = condition_of(operator, (Level(severity_from(severity).value, float(until_then)),))
    limit = NOT_A_NUMBER if until_then is None else float(until_then)
    return _with_no_data(Compiled(expression, expression, operator, limit, condition, by_series=True), spec)


def baseline_of(spec: Mapping[str, Any]) -> Baseline:
    """Return how a dynamic rule's thresholds come from the past."""
    said = {**DYNAMIC.defaults, **{name: value for name, value in spec.items() if value is not None}}
    floor, ceiling = said.get("floor"), said.get("ceiling")
    return Baseline(
        percentile=float(said["percentile"]), factor=float(said["factor"]),
        floor=None if floor is None else float(floor), ceiling=None if ceiling is None else float(ceiling),
        least_history_seconds=float(said["least_history_seconds"]), seasonal=bool(said["seasonal"]),
    )  # fmt: skip


def baseline_seconds(spec: Mapping[str, Any]) -> int:
    """Return how far back a dynamic rule looks."""
    usual = SEASONAL_BASELINE_SECONDS if spec.get("seasonal") else DYNAMIC.defaults["baseline_seconds"]
    return int(spec.get("baseline_seconds") or usual)


def recalculate_seconds(spec: Mapping[str, Any]) -> int:
    """Return how often the thresholds of a dynamic rule are worked out."""
    return int(spec.get("recalculate_seconds") or DYNAMIC.defaults["recalculate_seconds"])


def _absence(spec: Mapping[str, Any], _window_seconds: int, _severity: str) -> Compiled:
    said = {**ABSENCE.defaults, **spec}
    text = str(spec.get("selector", "")).strip()
    try:
        found = only_selector(text)
    except QueryError as error:
        raise BadThreshold("selector", str(error)) from None
    if found is None:
        raise BadThreshold("selector", 'It is one selector without a window, an offset or a function: up{job="node"}.')
    name, equal = found
    expected = Expected(
        text, name, equal, int(said["missing_seconds"]), int(said["look_back_seconds"]), bool(said["absent"])
    )
    if expected.look_back_seconds <= expected.missing_seconds:
        raise BadThreshold(
            "look_back_seconds", f"It is longer than the {expected.missing_seconds} s a series may be missing for."
        )
    return Compiled(
        absence_query(expected), presence_query(expected), "", NOT_A_NUMBER, no_data="keep",
        recovered="its samples came again",
    )  # fmt: skip


COMPILERS: Mapping[str, Callable[[Mapping[str, Any], int, str], Compiled]] = {
    "promql": _promql, "threshold": _threshold, "dynamic": _dynamic, "absence": _absence,
}  # fmt: skip
