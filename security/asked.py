"""The rule kind `security_event`: which findings are bad enough, one alert for each attacker."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from orjson import loads

from aivillage_observability.scoring import band
from alerts.rules.fields import SpecField
from alerts.rules.kinds import AskedKind, Case
from security.catalogue import Detector, detector_name, named_together
from security.detectors import is_number

KEYS = frozenset({"min_score", "detectors", "event_types", "group_by"})
DEFAULT_GROUPS = ("source_ip",)
MOST_CASES = 500
SHOWN = 5
MOST_NAMES = 50
# An attack from many addresses is one alert, not many; so is one on many users. Literals of ours, never a caller's.
OF_MANY = "detector IN ('credential_stuffing', 'distributed_brute_force')"
GROUPS = {
    "detector": "detector",
    "source_ip": f"CASE WHEN {OF_MANY} THEN '' ELSE coalesce(host(source_ip), '') END",
    "user_id": "CASE WHEN detector IN ('credential_stuffing', 'password_spraying') THEN '' ELSE user_id END",
    "event_type": "event_type",
    "endpoint": "endpoint",
}
# What has no address of its own is told apart by its detector where it comes from many, else by the user.
BY_DETECTOR = f"CASE WHEN {OF_MANY} OR (source_ip IS NULL AND user_id = '') THEN detector ELSE '' END"
BY_USER = f"CASE WHEN NOT {OF_MANY} AND source_ip IS NULL THEN user_id ELSE '' END"
# An attack of many is as bad as all of it, however little is laid to the charge of one address.
BADNESS = "greatest(score, attack_score)"
SELECTED = f"""
    FROM security_finding
    WHERE found_at > %(since)s AND found_at <= %(at)s AND {BADNESS} >= %(least)s
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
    if "source_ip" in columns:
        columns.setdefault("detector", BY_DETECTOR)
        columns.setdefault("user_id", BY_USER)
    given = {
        "since": at - timedelta(seconds=window_seconds), "at": at, "least": least_score(spec), "most": MOST_CASES,
        "detectors": spec.get("detectors") or None, "types": spec.get("event_types") or None, "shown": SHOWN,
    }  # fmt: skip
    counted = _counted(columns, given)
    if not counted:
        return []
    shown, by_detector = _shown(columns, given), _by_detector(columns, given)
    names = tuple(columns)
    return [
        _case(names, keys, {**facts, "detectors": by_detector[keys]}, shown[keys])
        for keys, facts in counted.items() if keys in shown and keys in by_detector
    ]  # fmt: skip


def _counted(columns: Mapping[str, str], given: Mapping[str, Any]) -> dict[Keys, dict[str, Any]]:
    keys = ", ".join(columns.values())
    places = ", ".join(str(place) for place in range(1, len(columns) + 1))
    query = f"""
        SELECT {keys}, count(*), count(DISTINCT event_id), min(at), max(at), max({BADNESS}), count(DISTINCT user_id),
            count(DISTINCT source_ip)
        {SELECTED} GROUP BY {places} ORDER BY max({BADNESS}) DESC, {places} LIMIT %(most)s"""
    names = ("findings", "events", "first", "last", "worst", "users", "addresses")
    with connection.cursor() as cursor:
        cursor.execute(query, dict(given))
        rows = cursor.fetchall()
    return {row[: len(columns)]: dict(zip(names, row[len(columns) :], strict=True)) for row in rows}


def _by_detector(columns: Mapping[str, str], given: Mapping[str, Any]) -> dict[Keys, list[dict[str, Any]]]:
    """Return what each detector found, the worst first."""
    places = ", ".join(str(place) for place in range(1, len(columns) + 2))
    query = f"""
        SELECT {", ".join(columns.values())}, detector AS found_by, max({BADNESS}), max(attack_score), count(*)
        {SELECTED} GROUP BY {places} ORDER BY max({BADNESS}) DESC, count(*) DESC, found_by"""
    found: dict[Keys, list[dict[str, Any]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, dict(given))
        for row in cursor.fetchall():
            code, score, attack, count = row[len(columns) :]
            found.setdefault(row[: len(columns)], []).append(
                {"detector": code, "name": detector_name(code), "score": score, "attack": attack, "findings": count}
            )
    return found


def _shown(columns: Mapping[str, str], given: Mapping[str, Any]) -> dict[Keys, list[dict[str, Any]]]:
    keys = ", ".join(columns.values())
    numbered = ", ".join(f"k{place}" for place in range(len(columns)))
    named = ", ".join(f"{column} AS k{place}" for place, column in enumerate(columns.values()))
    query = f"""
        SELECT {numbered}, id, event_id, detector, score, attack_score, band, at, user_id, host(source_ip), endpoint,
            reasons FROM (
            SELECT {named}, security_finding.*,
                row_number() OVER (
                    PARTITION BY {keys} ORDER BY {BADNESS} DESC, score DESC, found_at DESC, id DESC
                ) AS place
            {SELECTED}) AS ranked
        WHERE place <= %(shown)s ORDER BY {BADNESS} DESC, score DESC, found_at DESC, id DESC"""  # noqa: S608
    names = ("id", "event", "detector", "score", "attack", "band", "at", "user_id", "source_ip", "endpoint", "reasons")
    found: dict[Keys, list[dict[str, Any]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(query, dict(given))
        for row in cursor.fetchall():
            facts = dict(zip(names, row[len(columns) :], strict=True))
            reasons, at = loads(facts["reasons"]), facts["at"].isoformat()
            found.setdefault(row[: len(columns)], []).append(
                {**facts, "name": detector_name(facts["detector"]), "at": at, "reasons": reasons}
            )
    return found


def _case(names: Sequence[str], keys: Keys, facts: Mapping[str, Any], shown: list[dict[str, Any]]) -> Case:
    first = facts["detectors"][0]["detector"]
    worst = next((finding for finding in shown if finding["detector"] == first), shown[0])
    return Case(
        labels={name: key for name, key in zip(names, keys, strict=True) if key},
        value=facts["worst"], severity=band(facts["worst"]),
        annotations={"summary": _summary(worst, facts), "description": _description(shown, facts)},
        evidence={
            "findings": shown, "detectors": facts["detectors"], "count": facts["findings"], "events": facts["events"],
            "users": facts["users"],
            "addresses": facts["addresses"], "first_seen": facts["first"].isoformat(),
            "last_seen": facts["last"].isoformat(),
        },
    )  # fmt: skip


def _summary(worst: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    what = named_together([one["detector"] for one in facts["detectors"]])
    whence = f"{facts['addresses']} addresses" if facts["addresses"] > 1 else worst["source_ip"] or "an unknown address"
    users = f"{facts['users']} users" if facts["users"] > 1 else worst["user_id"]
    against = f" against {users}" if users else ""
    where = f" at {worst['endpoint']}" if worst["endpoint"] else ""
    reason = worst["reasons"][0]["text"] if worst["reasons"] else "no reason was given"
    return f"{what} from {whence}{against}{where}: {reason} (score {facts['worst']:.2f})"


def _description(shown: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    reasons = dict.fromkeys(reason["text"] for finding in shown for reason in finding["reasons"] if reason["weight"])
    span = f"{facts['events']} events from {facts['first']:%H:%M:%S} to {facts['last']:%H:%M:%S} UTC."
    found = ", ".join(f"{one['name']} {one['score']:.2f}" for one in facts["detectors"])
    return f"Found: {found}. {span} Seen: {'; '.join(list(reasons)[:6])}."


FIELDS = (
    SpecField(
        name="min_score", type="number", label="Score from", least=0, most=1, example="0.7",
        help="How bad a finding is, from 0 to 1; empty for the setting of the console.",
    ),
    SpecField(
        name="detectors", type="json", label="Detectors", example='["sql_injection"]',
        help="A list of their names; leave it out for all.",
    ),
    SpecField(
        name="event_types", type="json", label="Event types", example='["authentication"]',
        help="A list; leave it out for all.",
    ),
    SpecField(
        name="group_by", type="json", label="An alert for each", example='["source_ip"]',
        help=f"A list of {', '.join(GROUPS)}; usually the address.",
    ),
)  # fmt: skip
KIND = AskedKind(
    label="Security event", keys=KEYS, problems=problems, ask=ask, threshold=least_score,
    fields=FIELDS, help="An attacker whose findings within the window are bad enough.",
    over="nothing more was found within its window", evidence_template="security/_alert_evidence.html",
)  # fmt: skip
