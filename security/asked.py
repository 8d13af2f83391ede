"""The rule kind `security_event`: which findings are bad enough, one alert for each attacker and kind of attack."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from orjson import loads

from alerts.rules.kinds import AskedKind, Case
from security.catalogue import Detector
from security.detectors import is_number

KEYS = frozenset({"min_score", "detectors", "event_types", "group_by"})
DEFAULT_GROUPS = ("detector", "source_ip")
MOST_CASES = 500
SHOWN = 5
MOST_NAMES = 50
# An attack from many addresses is one alert, not many; so is one on many users. Literals of ours, never a caller's.
GROUPS = {
    "detector": "detector",
    "source_ip": """CASE WHEN detector IN ('credential_stuffing', 'distributed_brute_force') THEN ''
        ELSE coalesce(host(source_ip), '') END""",
    "user_id": "CASE WHEN detector IN ('credential_stuffing', 'password_spraying') THEN '' ELSE user_id END",
    "event_type": "event_type",
    "endpoint": "endpoint",
}
# Where nobody's address is known, or many are, the user tells attacks apart.
BY_USER = "CASE WHEN detector = 'distributed_brute_force' OR source_ip IS NULL THEN user_id ELSE '' END"
SELECTED = """
    FROM security_finding
    WHERE found_at > %(since)s AND found_at <= %(at)s AND score >= %(least)s
        AND (%(detectors)s::text[] IS NULL OR detector = ANY(%(detectors)s))
        AND (%(types)s::text[] IS NULL OR event_type = ANY(%(types)s))"""
Keys = tuple[str, ...]


def problems(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a spec, by key."""
    found: dict[str, str] = {}
    least = spec.get("min_score", 0.7)
    if not is_number(least) or not 0 <= least <= 1:
        found["min_score"] = "min_score is a number from 0 to 1."
    known = {"detectors": [each.value for each in Detector], "group_by": list(GROUPS), "event_types": None}
    for key, names in known.items():
        if key in spec and (text := _names_problem(spec[key], names)):
            found[key] = f"{key} is a list of {text}."
    if not found and "group_by" in spec and not spec["group_by"]:
        found["group_by"] = "group_by names at least one label."
    return found


def _names_problem(value: object, names: Sequence[str] | None) -> str:
    expected = f"these: {', '.join(names)}" if names else f"at most {MOST_NAMES} names"
    if not isinstance(value, list) or len(value) > MOST_NAMES or not all(isinstance(each, str) for each in value):
        return expected
    return expected if names and set(value) - set(names) else ""


def least_score(spec: Mapping[str, Any]) -> float:
    """Return the score from which a rule alerts."""
    return float(spec.get("min_score", settings.CONFIG.security_alert_score))


def ask(spec: Mapping[str, Any], window_seconds: int, at: datetime) -> list[Case]:
    """Return for each key the worst of what was found within the window that ends at that time."""
    groups = tuple(spec.get("group_by") or DEFAULT_GROUPS)
    columns = {name: GROUPS[name] for name in groups}
    if "user_id" not in columns and "source_ip" in columns:
        columns["user_id"] = BY_USER
    given = {
        "since": at - timedelta(seconds=window_seconds), "at": at, "least": least_score(spec), "most": MOST_CASES,
        "detectors": spec.get("detectors") or None, "types": spec.get("event_types") or None, "shown": SHOWN,
    }  # fmt: skip
    counted = _counted(columns, given)
    shown = _shown(columns, given) if counted else {}
    names = tuple(columns)
    return [_case(names, keys, facts, shown.get(keys, [])) for keys, facts in counted.items() if keys in shown]


def _counted(columns: Mapping[str, str], given: Mapping[str, Any]) -> dict[Keys, dict[str, Any]]:
    keys = ", ".join(columns.values())
    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    query = f"""
        SELECT {keys}, count(*), count(DISTINCT event_id), min(at), max(at), max(score), count(DISTINCT user_id),
            count(DISTINCT source_ip) {SELECTED} GROUP BY {places} ORDER BY max(score) DESC, {places} LIMIT %(most)s"""
    names = ("findings", "events", "first", "last", "worst", "users", "addresses")
    with connection.cursor() as cursor:
        cursor.execute(query, dict(given))
        rows = cursor.fetchall()
    return {row[: len(columns)]: dict(zip(names, row[len(columns) :], strict=True)) for row in rows}


def _shown(columns: Mapping[str, str], given: Mapping[str, Any]) -> dict[Keys, list[dict[str, Any]]]:
    keys = ", ".join(columns.values())
    numbered = ", ".join(f"k{place}" for place in range(len(columns)))
    named = ", ".join(f"{column} AS k{place}" for place, column in enumerate(columns.values()))
    query = f"""
        SELECT {numbered}, id, event_id, detector, score, band, at, user_id, host(source_ip), endpoint, reasons FROM (
            SELECT {named}, security_finding.*,
                row_number() OVER (PARTITION BY {keys} ORDER BY score DESC, found_at DESC, id DESC) AS place
            {SELECTED}) AS ranked
        WHERE place <= %(shown)s ORDER BY score DESC, found_at DESC, id DESC"""  # noqa: S608
    names = ("id", "event", "detector", "score", "band", "at", "user_id", "source_ip", "endpoint", "reasons")
    found: dict[Keys, list[dict[str, Any]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, dict(given))
        for row in cursor.fetchall():
            facts = dict(zip(names, row[len(columns) :], strict=True))
            found.setdefault(row[: len(columns)], []).append(
                {**facts, "at": facts["at"].isoformat(), "reasons": loads(facts["reasons"])}
            )
    return found


def _case(names: Sequence[str], keys: Keys, facts: Mapping[str, Any], shown: list[dict[str, Any]]) -> Case:
    worst = shown[0]
    return Case(
        labels={name: key for name, key in zip(names, keys, strict=True) if key},
        value=worst["score"], severity=worst["band"],
        annotations={"summary": _summary(worst, facts), "description": _description(shown, facts)},
        evidence={
            "findings": shown, "count": facts["findings"], "events": facts["events"], "users": facts["users"],
            "addresses": facts["addresses"], "first_seen": facts["first"].isoformat(),
            "last_seen": facts["last"].isoformat(),
        },
    )  # fmt: skip


def _summary(worst: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    what = str(worst["detector"]).replace("_", " ").replace("sql", "SQL").replace("xss", "XSS")
    whence = f"{facts['addresses']} addresses" if facts["addresses"] > 1 else worst["source_ip"] or "an unknown address"
    users = f"{facts['users']} users" if facts["users"] > 1 else worst["user_id"]
    against = f" against {users}" if users else ""
    where = f" at {worst['endpoint']}" if worst["endpoint"] else ""
    reason = worst["reasons"][0]["text"] if worst["reasons"] else "no reason was given"
    return f"{what[0].upper()}{what[1:]} from {whence}{against}{where}: {reason} (score {worst['score']:.2f})"


def _description(shown: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    reasons = dict.fromkeys(reason["text"] for finding in shown for reason in finding["reasons"])
    span = f"{facts['events']} events from {facts['first']:%H:%M:%S} to {facts['last']:%H:%M:%S} UTC."
    return f"{span} Seen: {'; '.join(list(reasons)[:6])}."


KIND = AskedKind(
    label="Security event", keys=KEYS, problems=problems, ask=ask, threshold=least_score,
    over="nothing more was found within its window", evidence_template="security/_alert_evidence.html",
)  # fmt: skip
