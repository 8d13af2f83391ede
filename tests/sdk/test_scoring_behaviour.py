"""Scores of what somebody did: anomalous details, tool calls, travel, volumes."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aivillage_observability.scoring import (
    distance_km,
    score_behaviour,
    score_deviation,
    score_exfiltration,
    score_fixed,
    score_tool_use,
    score_travel,
)

KAMCHATKA = timezone(timedelta(hours=12))


@pytest.mark.parametrize(
    ("details", "wanted"),
    [
        ({}, 0.0),
        ({"access_time": "2026-11-21T03:10:00+01:00"}, 0.2),
        ({"access_time": "2026-11-21T05:59:59"}, 0.2),
        ({"access_time": "2026-11-21T06:00:00"}, 0.0),
        ({"access_time": "2026-11-21T22:59:00"}, 0.0),
        ({"access_time": "2026-11-21T23:00:00"}, 0.2),
        ({"access_time": 23}, 0.2),
        ({"access_time": "yesterday"}, 0.0),
        ({"operation": "delete_all"}, 0.3),
        ({"operation": "read"}, 0.0),
        ({"failed_operations": 5}, 0.0),
        ({"failed_operations": 6}, 0.4),
        ({"location_anomaly": True}, 0.3),
        ({"device_change": True}, 0.2),
        ({"operation": "admin", "failed_operations": 9, "location_anomaly": True, "device_change": True}, 1.0),
    ],
)
def test_details_score_as_they_always_did(details: dict[str, object], wanted: float) -> None:
    score = score_behaviour(details)
    assert score.value == wanted
    assert bool(score.reasons) == bool(wanted)


def test_hours_are_those_of_the_user() -> None:
    at = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
    for given_as in (at.isoformat(), at.timestamp()):
        assert score_behaviour({"access_time": given_as}, zone=KAMCHATKA).value == 0.2
        assert score_behaviour({"access_time": given_as}, zone=UTC).value == 0.0


def test_an_hour_nobody_can_place_is_no_reason() -> None:
    assert score_behaviour({"access_time": 1_700_000_000.0}).value == 0.0


@pytest.mark.parametrize("tool", ["bash", "write_file", "delete_file", "network_access"])
def test_a_risky_tool_needs_approval(tool: str) -> None:
    use = score_tool_use(tool, {"path": "a.txt"})
    assert (use.event_type, use.needs_approval, use.blocked) == ("high_risk_tool_usage", True, False)
    assert use.score.value >= 0.7


@pytest.mark.parametrize("arguments", ["rm -rf /", {"command": "sudo  ls"}, ["x", "RM  -RF y"]])
def test_a_suspicious_command_is_blocked_whatever_the_tool(arguments: object) -> None:
    use = score_tool_use("search", arguments)
    assert (use.event_type, use.blocked) == ("suspicious_command", True)
    assert use.score.value >= 0.7


def test_an_ordinary_call_is_nothing() -> None:
    assert score_tool_use("rag_query", {"text": "pseudonyms", "object": object()}).event_type == ""


def test_travel_faster_than_a_plane_is_found() -> None:
    km = distance_km((52.52, 13.40), (35.68, 139.69))
    assert 8800 < km < 9000
    assert score_travel(8000, 20 * 60).value == 1.0
    assert score_travel(km, 14 * 3600).value == 0.0
    assert score_travel(250, 1).value == 0.0


def test_a_volume_is_judged_against_the_usual() -> None:
    assert score_exfiltration(1500, 20).value >= 0.9
    assert score_exfiltration(30, 1).value == 0.0
    assert score_exfiltration(150, 100).value == 0.0


@pytest.mark.parametrize(("z", "wanted"), [(2.5, 0.0), (2.6, 0.7086), (-6.0, 1.0), (float("nan"), 0.0)])
def test_a_deviation_counts_beyond_two_and_a_half(z: float, wanted: float) -> None:
    assert score_deviation(z).value == wanted


@pytest.mark.parametrize(
    ("kind", "wanted"), [("sensitive_file_access", 0.9), ("configuration_change", 0.5), ("weather", 0.0)]
)
def test_some_kinds_have_a_fixed_score(kind: str, wanted: float) -> None:
    assert score_fixed(kind).value == wanted


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers())
KEYS = st.sampled_from(["access_time", "operation", "failed_operations", "location_anomaly", "device_change", "x"])


@given(st.dictionaries(KEYS, VALUES))
def test_any_details_score_between_nothing_and_one(details: dict[str, object]) -> None:
    assert 0.0 <= score_behaviour(details, zone=UTC).value <= 1.0
    assert 0.0 <= score_tool_use("x", details).score.value <= 1.0
