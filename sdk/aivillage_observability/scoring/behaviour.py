"""Scores of what somebody did, read from the details of one event. Hours are in the user's zone."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from aivillage_observability.scoring.score import NOTHING, Reason, Score

FIRST_HOUR = 6
LAST_HOUR = 22
RISKY_OPERATIONS = frozenset({"admin", "delete_all", "export_data", "user_management"})
FAILED_OPERATIONS_MAX = 5
DEVIATION_MAX = 2.5
EARTH_RADIUS_KM = 6371.0
PLANE_KM_PER_HOUR = 900.0
FIXED_SCORES = {"sensitive_file_access": 0.9, "configuration_change": 0.5, "privilege_escalation": 0.7}


def _hour(details: Mapping[str, object], zone: tzinfo | None) -> int | None:
    given = details.get("access_time")
    if isinstance(given, str):
        try:
            moment = datetime.fromisoformat(given)
        except ValueError:
            return None
        # A time with an offset of its own is in the user's zone already, unless a better one is known.
        return (moment.astimezone(zone) if zone is not None and moment.tzinfo is not None else moment).hour
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given < 253_402_300_799:
        return None
    if given < 24:
        return int(given)
    return datetime.fromtimestamp(given, zone).hour if zone is not None else None


def _number(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and -1e15 < value < 1e15:
        return float(value)
    return 0.0


def score_behaviour(details: Mapping[str, object], *, zone: tzinfo | None = None) -> Score:
    """Score the details of one `anomalous_behavior` event; `zone` is the user's, for times that name none."""
    reasons: list[Reason] = []
    hour = _hour(details, zone)
    if hour is not None and (hour < FIRST_HOUR or hour > LAST_HOUR):
        reasons.append(Reason("off_hours", f"at {hour} o'clock, outside {FIRST_HOUR} to {LAST_HOUR}", 0.2))
    operation = details.get("operation")
    if isinstance(operation, str) and operation in RISKY_OPERATIONS:
        reasons.append(Reason("risky_operation", f"the operation {operation}", 0.3))
    failed = _number(details.get("failed_operations"))
    if failed > FAILED_OPERATIONS_MAX:
        reasons.append(Reason("failed_operations", f"{failed:g} failed operations", 0.4))
    if details.get("location_anomaly"):
        reasons.append(Reason("location", "a place this user is not seen in", 0.3))
    if details.get("device_change"):
        reasons.append(Reason("device", "another device than usual", 0.2))
    return Score.of(reasons)


def score_fixed(kind: str) -> Score:
    """Score what is judged by its kind alone: access to a sensitive file, a change of configuration, an escalation."""
    value = FIXED_SCORES.get(kind)
    return Score(value, (Reason(kind, kind.replace("_", " "), value),)) if value else NOTHING


def score_deviation(z: float) -> Score:
    """Score a distance from the usual in standard deviations: nothing up to 2.5, 0.7 above, 1.0 from 6."""
    distance = abs(z)
    if math.isnan(distance) or distance <= DEVIATION_MAX:
        return NOTHING
    value = round(min(0.7 + 0.3 * (distance - DEVIATION_MAX) / 3.5, 1.0), 4)
    return Score(value, (Reason("deviation", f"{distance:.1f} standard deviations from usual", value),))


def score_exfiltration(volume_mb: float, usual_mb: float) -> Score:
    """Score a volume of data against what the user usually moves; below 100 MB nothing is remarkable."""
    volume = _number(volume_mb)
    usual = max(_number(usual_mb), 1.0)
    if volume < 100.0:
        return NOTHING
    steps = ((5, 0.4), (10, 0.7), (30, 0.9), (60, 1.0))
    value = max((score for factor, score in steps if volume >= factor * usual), default=0.0)
    text = f"{volume:g} MB where {usual:g} MB are usual"
    return Score(value, (Reason("data_exfiltration", text, value),)) if value else NOTHING


def distance_km(here: Sequence[float], there: Sequence[float]) -> float:
    """Return the great-circle distance between two (latitude, longitude) in degrees."""
    (lat_a, lon_a), (lat_b, lon_b) = ([math.radians(degree) for degree in place[:2]] for place in (here, there))
    swing = math.sin((lat_b - lat_a) / 2) ** 2
    swing += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(min(swing, 1.0)))


def score_travel(km: float, seconds: float) -> Score:
    """Score two sign-ins of one user: faster than a plane 0.7, twice 0.9, ten times 1.0; under 300 km nothing."""
    distance = _number(km)
    if distance < 300.0:
        return NOTHING
    speed = distance / (max(_number(seconds), 1.0) / 3600.0)
    value = max((v for factor, v in ((1, 0.7), (2, 0.9), (10, 1.0)) if speed > factor * PLANE_KM_PER_HOUR), default=0.0)
    text = f"{distance:.0f} km in {max(_number(seconds), 0.0) / 60:.0f} minutes"
    return Score(value, (Reason("impossible_travel", text, value),)) if value else NOTHING
