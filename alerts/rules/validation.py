"""What a rule must be; one set of checks for the API, the admin and the importer."""

import math
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from alerts.engine.severity import SYNONYMS
from alerts.engine.templates.prometheus import problem_of
from alerts.engine.threshold import BadThreshold
from alerts.rules.kinds import ASKED_KINDS
from alerts.rules.limits import MOST_SERIES
from alerts.rules.queries import compiled_spec
from alerts.rules.texts import OWN_VARIABLES
from metrics.domain import MAX_NAME_BYTES
from metrics.promql.parsing import parse
from metrics.promql.types import QueryError

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251
KEYS = {
    "promql": frozenset({"expr"}),
    "threshold": frozenset({"metric_path", "denominator_path", "condition", "threshold"}),
    "recording": frozenset({"record", "expr", "limit"}),
}
LONGEST_EXPRESSION = 10_000
UNFIT_IN_NAMES = frozenset("{}\0\n\r\t \"'")


def rule_problems(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a rule by field; an empty map means it can be saved."""
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
    return found if "spec" in found else found | _spec_problems(kind, spec, int(fields.get("window_seconds") or 300))


def _recording_problems(fields: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, str]:
    record, limit, labels = spec.get("record"), spec.get("limit"), fields.get("labels") or {}
    if fields.get("annotations"):
        return {"annotations": "A recording rule makes no alert, so it has no annotations."}
    if isinstance(labels, Mapping) and "__name__" in labels:
        return {"labels": "The name is what `record` says: leave __name__ out."}
    if not isinstance(record, str) or not record.strip():
        return {"spec": "record is missing: the name of the series it writes."}
    if set(record) & UNFIT_IN_NAMES or len(record.encode()) > MAX_NAME_BYTES:
        return {"spec": f"record: {record[:60]!r} is no metric name; labels belong into `labels`."}
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit <= MOST_SERIES):
        return {"spec": f"limit is a whole number of series up to {MOST_SERIES}; 0 stands for that."}
    return {}


def known_keys() -> dict[str, frozenset[str]]:
    """Return what the spec of each kind of rule may hold; kinds whose app is not installed are left out."""
    return KEYS | {name: kind.keys for name, kind in ASKED_KINDS.filled()}


def _kind_problem(kind: object, keys: Mapping[str, frozenset[str]]) -> str:
    if kind in ASKED_KINDS.slots:
        return f"The app that answers rules of the kind {kind} is not installed."
    return f"Unknown kind {kind!r}; known are {', '.join(keys)}."


def _spec_problems(kind: str, spec: Mapping[str, Any], window_seconds: int) -> dict[str, str]:
    if kind in ASKED_KINDS.slots:
        return _asked_problems(kind, spec)
    if kind == "threshold" and not _is_number(spec.get("threshold")):
        return {"spec": "threshold is not a number."}
    if kind in ("promql", "recording") and not str(spec.get("expr", "")).strip():
        return {"spec": "expr is missing."}
    try:
        query = compiled_spec(kind, spec, window_seconds).query
    except BadThreshold as error:
        return {"spec": f"{error.field}: {error}"}
    return _query_problems(query)


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
