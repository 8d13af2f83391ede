"""What a rule must be; one set of checks for the API, the admin and the importer."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings

from alerts.engine.severity import SYNONYMS
from alerts.engine.templates.prometheus import problem_of
from alerts.engine.threshold import CONDITIONS, BadThreshold
from alerts.rules.composites import composite_problem
from alerts.rules.fields import LEVEL_FIELDS, SHAPES, KindShape, SpecField
from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.queries import compiled_spec, is_dynamic
from alerts.rules.texts import OWN_VARIABLES
from metrics.domain import MAX_NAME_BYTES
from metrics.promql.parsing import parse
from metrics.promql.types import QueryError

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251
LONGEST_EXPRESSION = 10_000
MOST_NAMES = 20
UNFIT_IN_NAMES = frozenset("{}\0\n\r\t \"'")


def rule_problems(
    fields: Mapping[str, Any], *, others: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, str]:
    """Return what is wrong with a rule by field; an empty map means it can be saved.

    A composite rule names others: those that are stored, and `others`, which come with it (kind and spec by name).
    """
    kind, spec = fields.get("kind", "promql"), fields.get("spec", {})
    found = _map_problems("labels", fields.get("labels", {})) | _map_problems(
        "annotations", fields.get("annotations", {})
    )
    for name in {"annotations", "labels"} - found.keys():
        found |= _template_problems(name, fields.get(name, {}))
    if str(fields.get("severity", "medium")).lower() not in SYNONYMS:
        found["severity"] = "Use critical, high, medium or low."
    if not str(fields.get("name", "x")).strip():
        found["name"] = "A rule needs a name."
    keys = known_keys()
    if kind not in keys:
        return found | {"kind": _kind_problem(kind, keys)}
    if not isinstance(spec, Mapping):
        return found | {"spec": "The spec is a map."}
    unknown = sorted(map(str, set(spec) - keys[kind]))
    if unknown:
        known = ", ".join(sorted(keys[kind])) or "no keys"
        return found | {"spec": f"Unknown keys {', '.join(unknown)}; a {kind} rule knows {known}."}
    if kind == "recording":
        found |= _recording_problems(fields, spec)
    return found if "spec" in found else found | _spec_problems(kind, spec, fields, found, others)


def _recording_problems(fields: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, str]:
    record, labels = spec.get("record"), fields.get("labels") or {}
    if fields.get("annotations"):
        return {"annotations": "A recording rule makes no alert, so it has no annotations."}
    if isinstance(labels, Mapping) and "__name__" in labels:
        return {"labels": "The name is what `record` says: leave __name__ out."}
    if not isinstance(record, str) or not record.strip():
        return {"spec": "record is missing: the name of the series it writes."}
    if set(record) & UNFIT_IN_NAMES or len(record.encode()) > MAX_NAME_BYTES:
        return {"spec": f"record: {record[:60]!r} is no metric name; labels belong into `labels`."}
    return {}


def known_keys() -> dict[str, frozenset[str]]:
    """Return what the spec of each kind of rule may hold; kinds whose app is not installed are left out."""
    own = {name: shape.keys for name, shape in SHAPES.items()}
    return own | {name: kind.keys for name, kind in ASKED_KINDS.filled()}


def _kind_problem(kind: object, keys: Mapping[str, frozenset[str]]) -> str:
    if kind in ASKED_KINDS.slots:
        return f"The app that answers rules of the kind {kind} is not installed."
    return f"Unknown kind {kind!r}; known are {', '.join(keys)}."


def _spec_problems(
    kind: str,
    spec: Mapping[str, Any],
    fields: Mapping[str, Any],
    found: Mapping[str, str],
    others: Mapping[str, Mapping[str, Any]] | None,
) -> dict[str, str]:
    if kind in ASKED_KINDS.slots:
        return _asked_problems(kind, spec)
    problem = _fields_problem(SHAPES[kind], spec) or _one_of_both(kind, spec)
    if problem:
        return {"spec": problem}
    if kind == "composite":
        problem = composite_problem(str(fields.get("name", "")), spec, others or {})
        return {"spec": problem} if problem else {}
    severity = "medium" if "severity" in found else str(fields.get("severity", "medium"))
    labels = fields.get("labels") if "labels" not in found else None
    return _compiled_problems("dynamic" if is_dynamic(kind, labels or {}) else kind, spec, fields, severity)


def _one_of_both(kind: str, spec: Mapping[str, Any]) -> str:
    if kind != "dynamic":
        return ""
    given = [name for name in ("metric_path", "expr") if str(spec.get(name) or "").strip()]
    if len(given) != 1:
        return "metric_path: Give either a metric path or a query (expr), not both and not neither."
    floor, ceiling = spec.get("floor"), spec.get("ceiling")
    if floor is not None and ceiling is not None and floor > ceiling:
        return f"floor: It is at most the ceiling, {ceiling:g}."
    return ""


def _compiled_problems(kind: str, spec: Mapping[str, Any], fields: Mapping[str, Any], severity: str) -> dict[str, str]:
    if kind == "dynamic" and (spec.get("levels") or spec.get("recovery_threshold") is not None):
        return {"spec": "levels: A threshold that follows the past is one; leave levels and recovery_threshold out."}
    try:
        query = compiled_spec(kind, spec, int(fields.get("window_seconds") or 300), severity=severity)
    except BadThreshold as error:
        return {"spec": f"{error.field}: {error}"}
    if kind == "dynamic" and query.operator in ("==", "!="):
        return {"spec": "condition: A threshold that follows the past has a worse side: greater_than or less_than."}
    if query.stopped and not query.expression:
        return {"spec": "no_data: For alert the query ends in a comparison with a number: what is left of it is asked."}
    problems = _query_problems(query.query) or _query_problems(query.expression or query.query)
    return problems or _query_problems(query.stopped or query.query)


def _fields_problem(shape: KindShape, spec: Mapping[str, Any]) -> str:
    """Return what is wrong with the first bad key of a spec."""
    problems = ((field.name, field_problem(field, spec.get(field.name))) for field in shape.fields)
    return next((said(name, text) for name, text in problems if text), "")


def said(name: str, text: str) -> str:
    """Return a problem with the key it is about; a sentence about the key itself begins with it."""
    return f"{name} {text}" if text[:1].islower() else f"{name}: {text}"


def field_problem(field: SpecField, value: object) -> str:
    """Return what is wrong with the value of one key; None stands for a key that is left out."""
    if value is None or (isinstance(value, str) and not value.strip()):
        if not field.required:
            return "" if value is None or field.type in TEXTS | {"choice"} else "is empty; leave it out instead."
        return "is not a number." if field.type == "number" else "is missing."
    return CHECKS.get(field.type, _anything)(field, value)


def _anything(_field: SpecField, _value: object) -> str:
    return ""


def _text_problem(_field: SpecField, value: object) -> str:
    return "" if isinstance(value, str) else "is a text."


def _number_problem(field: SpecField, value: object) -> str:
    whole = field.type in ("integer", "seconds")
    if not isinstance(value, int | float) or not _is_number(value):
        return "is not a number."
    least, most = field.least, field.most
    outside = (least is not None and value < least) or (most is not None and value > most)
    if (whole and not isinstance(value, int)) or outside:
        bounds = "" if least is None or most is None else f" from {least:g} to {most:g}"
        return f"is a {'whole ' if whole else ''}number{bounds}{f' {field.unit}' if field.unit else ''}, not {value}."
    return ""


def _boolean_problem(_field: SpecField, value: object) -> str:
    return "" if isinstance(value, bool) else "is true or false."


def _choice_problem(field: SpecField, value: object) -> str:
    known = set(field.choices)
    if field.name == "condition":
        known |= set(CONDITIONS)
    if field.name == "severity":
        known |= set(SYNONYMS)
    text = str(value).strip().lower() if isinstance(value, str) else ""
    return "" if text in known else f"is one of {', '.join(field.choices)}; not {value!r}."


def _names_problem(_field: SpecField, value: object) -> str:
    names = value if isinstance(value, list | tuple) else [None]
    if len(names) > MOST_NAMES or not all(isinstance(each, str) and LABEL_NAME.fullmatch(each) for each in names):
        return f'is a list of at most {MOST_NAMES} labels, such as ["host"].'
    return ""


def _levels_problem(_field: SpecField, value: object) -> str:
    if not isinstance(value, list | tuple) or not all(isinstance(each, Mapping) for each in value):
        return 'is a list of maps, such as [{"severity": "critical", "threshold": 95}].'
    for place, each in enumerate(value, 1):
        unknown = sorted(map(str, set(each) - {field.name for field in LEVEL_FIELDS}))
        if unknown:
            return f"Level {place}: unknown key {unknown[0]}; it knows severity, threshold and recovery_threshold."
        problems = ((field.name, field_problem(field, each.get(field.name))) for field in LEVEL_FIELDS)
        bad = next((said(name, text) for name, text in problems if text), "")
        if bad:
            return f"Level {place}: {bad}"
    return ""


TEXTS = frozenset({"text", "promql", "path", "rules"})
CHECKS: Mapping[str, Callable[[SpecField, object], str]] = {
    **dict.fromkeys(TEXTS, _text_problem), **dict.fromkeys(("number", "integer", "seconds"), _number_problem),
    "boolean": _boolean_problem, "choice": _choice_problem, "names": _names_problem, "levels": _levels_problem,
}  # fmt: skip


def _asked_problems(kind: str, spec: Mapping[str, Any]) -> dict[str, str]:
    owner = ASKED_KINDS.get(kind)
    found = owner.problems(spec) if owner else {}
    texts = [text if field == "spec" else f"{field}: {text}" for field, text in found.items()]
    return {"spec": " ".join(texts)} if texts else {}


def _query_problems(query: str) -> dict[str, str]:
    if len(query) > LONGEST_EXPRESSION:
        return {"spec": f"The query is longer than {LONGEST_EXPRESSION} characters."}
    try:
        parse(query, experimental=settings.CONFIG.promql_experimental)
    except QueryError as error:
        return {"spec": f"expr: {error}"}
    return {}


def _template_problems(field: str, texts: Mapping[str, str]) -> dict[str, str]:
    for name, text in texts.items():
        problem = problem_of(text, OWN_VARIABLES)
        if problem:
            return {field: f"{name}: line {problem}"}
    return {}


def group_problems(labels: object) -> dict[str, str]:
    """Return what is wrong with the labels of a rule group."""
    found = _map_problems("labels", labels)
    return found or (_template_problems("labels", labels) if isinstance(labels, Mapping) else {})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _map_problems(field: str, value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        return {field: f"{field.capitalize()} are a map of texts."}
    bad = [name for name in value if not LABEL_NAME.fullmatch(str(name))]
    return {field: f"{bad[0]!r} is not a name: letters, digits and _."} if bad else {}
