"""When a job is expected, and how it stands by what it told."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.engine.heartbeats.schedule import BadSchedule, Schedule, cron_after, schedule_problems
from alerts.engine.heartbeats.standing import Because, Event, Facts, JobState, PingKind, kind_of, told, verdict

HOURLY = Schedule(period_seconds=3600, grace_seconds=600)
NOW = 1_795_000_000.0


def facts(*events: Event) -> Facts:
    """Return what is left of some events."""
    left = Facts()
    for event in events:
        left, _ = told(left, event)
    return left


def success(at: float, run_id: str = "") -> Event:
    return Event(at, PingKind.SUCCESS, run_id)


def start(at: float, run_id: str = "") -> Event:
    return Event(at, PingKind.START, run_id)


@pytest.mark.parametrize(
    ("seconds", "state", "because"),
    [(0, "up", None), (3599, "up", None), (3600, "late", None), (4199, "late", None), (4200, "down", Because.MISSED)],
)
def test_a_job_is_late_when_expected_and_down_when_its_grace_is_over(
    seconds: float, state: str, because: Because | None
) -> None:
    found = verdict(facts(success(0)), HOURLY, seconds)
    assert (found.state, found.because, found.expected_at, found.down_at) == (state, because, 3600, 4200)


def test_a_job_that_never_reported_is_new_and_nobody_waits_for_it() -> None:
    assert verdict(Facts(), HOURLY, 1e9).state is JobState.NEW
    assert verdict(facts(Event(0, PingKind.LOG)), HOURLY, 1e9).state is JobState.NEW


def test_a_failure_is_down_at_once_and_until_the_next_success() -> None:
    failed = facts(success(0), Event(10, PingKind.FAIL, exit_status=3))
    found = verdict(failed, HOURLY, 10)
    assert (found.state, found.because, found.since, failed.exit_status) == (JobState.DOWN, Because.FAILED, 10, 3)
    assert verdict(
        facts(success(0), Event(10, PingKind.FAIL), start(20), Event(25, PingKind.LOG)), HOURLY, 30
    ).state is (JobState.DOWN)
    assert verdict(facts(success(0), Event(10, PingKind.FAIL), success(20)), HOURLY, 30).state is JobState.UP


def test_a_run_that_began_in_time_is_not_missed_until_its_longest_time_is_over() -> None:
    slow = Schedule(period_seconds=3600, grace_seconds=600, longest_run_seconds=7200)
    began = facts(success(0), start(3700, "a"))
    assert verdict(began, slow, 10_000).state is JobState.UP
    found = verdict(began, slow, 10_900)
    assert (found.state, found.because, found.since) == (JobState.DOWN, Because.OVERRUN, 10_900)
    assert verdict(began, HOURLY, 4200).because is Because.MISSED, "without a longest run a start changes nothing"
    late = facts(success(0), start(4300, "a"))
    assert verdict(late, slow, 4400).because is Because.MISSED, "it began when it was down already"


def test_a_first_run_may_not_take_for_ever() -> None:
    slow = Schedule(period_seconds=3600, longest_run_seconds=60)
    assert verdict(facts(start(0)), slow, 59).state is JobState.NEW
    assert verdict(facts(start(0)), slow, 60).because is Because.OVERRUN


def test_the_end_of_a_run_says_how_long_it_took() -> None:
    began, _ = told(Facts(), start(100, "a"))
    ended, took = told(began, success(160, "a"))
    assert (took, ended.started_at) == (60, None)
    other, took = told(began, success(160, "b"))
    assert (took, other.started_at) == (None, 100), "another run's success says nothing about this one"
    none, took = told(began, success(160))
    assert (took, none.started_at) == (None, None)
    failed, took = told(began, Event(160, PingKind.FAIL, "b"))
    assert (took, failed.started_at) == (None, None)


def test_pausing_silences_and_resuming_begins_anew() -> None:
    paused = facts(success(0), Event(4000, PingKind.PAUSED))
    assert verdict(paused, HOURLY, 1e6).state is JobState.PAUSED
    assert verdict(facts(success(0), Event(10, PingKind.PAUSED), success(20)), HOURLY, 30).state is JobState.PAUSED
    resumed = facts(success(0), Event(10, PingKind.PAUSED), Event(90_000, PingKind.RESUMED))
    assert verdict(resumed, HOURLY, 90_100).expected_at == 93_600
    assert verdict(resumed, HOURLY, 94_200).state is JobState.DOWN
    assert verdict(facts(Event(1, PingKind.PAUSED), Event(2, PingKind.RESUMED)), HOURLY, 1e6).state is JobState.NEW


# Other work on the machine is no fault of the strategy.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(list(PingKind)), st.sampled_from(["", "a", "b"]), st.integers(1, 5000)), max_size=12
    ),
    st.integers(0, 20_000),
)
def test_every_story_has_one_verdict_and_down_always_a_cause(
    story: list[tuple[PingKind, str, int]], later: int
) -> None:
    at, left = 0.0, Facts()
    slow = Schedule(period_seconds=3600, grace_seconds=600, longest_run_seconds=1800)
    for kind, run_id, gap in story:
        at += gap
        left, took = told(left, Event(at, kind, run_id))
        assert took is None or took >= 0
    found = verdict(left, slow, at + later)
    assert (found.because is not None) == (found.state is JobState.DOWN)
    assert found.state is not JobState.DOWN or (found.since is not None and found.since <= at + later)
    ended = any(kind in (PingKind.SUCCESS, PingKind.FAIL) for kind, _, _ in story)
    assert ended or found.state in (JobState.NEW, JobState.PAUSED) or found.because is Because.OVERRUN


def _at(zone: str, *when: int) -> float:
    return datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 3 * * *", "UTC", (2026, 11, 21, 3, 30), (2026, 11, 22, 3, 30)),
        ("30 3 * * 1-5", "Europe/Berlin", (2026, 11, 20, 12, 0), (2026, 11, 23, 3, 30)),
        ("*/15 * * * *", "UTC", (2026, 11, 21, 10, 1), (2026, 11, 21, 10, 15)),
        # 02:30 does not exist on the day the clocks go forward: it comes when they have.
        ("30 2 * * *", "Europe/Berlin", (2026, 3, 28, 12, 0), (2026, 3, 29, 3, 0)),
        ("0 0 29 2 *", "UTC", (2026, 1, 1, 0, 0), (2028, 2, 29, 0, 0)),
    ],
)
def test_a_cron_expression_comes_next_in_its_own_time_zone(
    cron: str, zone: str, after: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert cron_after(cron, zone, _at(zone, *after)) == _at(zone, *expected)
    assert Schedule(period_seconds=60, cron=cron, time_zone=zone).next_after(_at(zone, *after)) == _at(zone, *expected)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"period_seconds": 60, "grace_seconds": 0}, set()),
        ({"period_seconds": 1, "grace_seconds": 0}, {"period_seconds"}),
        ({"period_seconds": 60, "grace_seconds": 1e9}, {"grace_seconds"}),
        ({"period_seconds": 60, "grace_seconds": 1, "longest_run_seconds": 0}, {"longest_run_seconds"}),
        ({"cron": "30 3 * * *", "time_zone": "UTC", "grace_seconds": 60}, set()),
        ({"cron": "30 3 * *", "time_zone": "UTC", "grace_seconds": 60}, {"cron"}),
        ({"cron": "1 2 3 4 5 6", "time_zone": "UTC", "grace_seconds": 60}, {"cron"}),
        ({"cron": "99 3 * * *", "time_zone": "UTC", "grace_seconds": 60}, {"cron"}),
        ({"cron": "0 0 31 2 *", "time_zone": "UTC", "grace_seconds": 60}, {"cron"}),
        ({"cron": "0 3 * * *", "time_zone": "Mars/Base", "grace_seconds": 60}, {"time_zone"}),
        ({"cron": "0 3 * * *", "time_zone": "../../etc/passwd", "grace_seconds": 60}, {"time_zone"}),
    ],
)
def test_a_bad_schedule_names_the_field(fields: dict[str, object], wrong: set[str]) -> None:
    assert set(schedule_problems(fields, NOW)) == wrong


def test_a_cron_expression_that_cannot_be_read_says_so() -> None:
    with pytest.raises(BadSchedule, match="minute"):
        cron_after("x * * * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("action", "meaning"),
    [
        ("", (PingKind.SUCCESS, None)), ("start", (PingKind.START, None)), ("fail", (PingKind.FAIL, None)),
        ("log", (PingKind.LOG, None)), ("0", (PingKind.SUCCESS, 0)), ("255", (PingKind.FAIL, 255)), ("256", None),
        ("-1", None), ("paused", None), ("resumed", None), ("success", None), ("²", None), ("0001", None),
    ],
)  # fmt: skip
def test_what_follows_the_key_means_one_thing_or_nothing(action: str, meaning: object) -> None:
    assert kind_of(action) == meaning
