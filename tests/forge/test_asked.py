"""Rules about pipelines: a failed phase and a silent run become alerts with what people need beside them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import Alert, Rule
from alerts.services import ensure_defaults
from forge_dashboard.asked import PHASE_FAILED, phases_failed, problems, runs_stalled
from forge_dashboard.shipped import GROUP
from tests.alerts.asked import tick
from tests.forge.conftest import Send, told
from tests.forge.test_intake import ms

pytestmark = pytest.mark.django_db
STACK = 'Traceback (most recent call last):\n  File "/srv/bitnet.py", line 9, in f\nValueError: shape (3, 4) is off\n'


@pytest.fixture
def fail(send: Send, now: datetime) -> Callable[..., datetime]:
    """Return what lets the phase bitnet fail, heard of at a time."""

    def failed(at: datetime | None = None, run: str = "r", **data: Any) -> datetime:
        at = at or now
        rows = [
            told("run", "1", state="running", at_ms=ms(at, -20), data={"name": "merge", "model": "cognate", **data}),
            told("phase", "2", phase="bitnet", state="running", at_ms=ms(at, -10)),
            *(told("log", f"l{n}", phase="bitnet", message=f"line {n}", at_ms=ms(at, -9)) for n in range(60)),
            told("phase", "3", phase="bitnet", state="failed", error=STACK, at_ms=ms(at, -1)),
        ]  # fmt: skip
        assert send(*({**row, "run_id": run} for row in rows), at=at) == []
        return at

    return failed


def test_a_failed_phase_holds_with_its_error_and_last_lines(fail: Callable[..., datetime]) -> None:
    at = fail(model_size="25M")
    (case,) = phases_failed({}, 600, at)
    assert case.labels == {
        "run": "r", "run_name": "merge", "model": "cognate", "model_size": "25M", "source": "trainer",
        "phase": "bitnet",
    }  # fmt: skip
    assert case.annotations["summary"] == "BitNet of merge failed: ValueError: shape (3, 4) is off"
    assert case.evidence["place"] == "/srv/bitnet.py:9"
    assert (len(case.evidence["lines"]), case.evidence["lines"][-1]) == (50, "info: line 59")
    assert case.evidence["run_url"].endswith(f"/forge/runs/{case.evidence['run_id']}/")


def test_it_holds_until_the_phase_runs_again_or_the_window_is_over(fail: Callable[..., datetime], send: Send) -> None:
    at = fail()
    again = at + timedelta(seconds=100)
    send(told("phase", "9", phase="bitnet", state="running", at_ms=ms(again)), at=again)
    held = [len(phases_failed({}, 600, at + timedelta(seconds=after))) for after in (-1, 0, 99, 100, 599)]
    assert held == [0, 1, 1, 0, 0]
    assert [len(phases_failed({}, 60, at + timedelta(seconds=after))) for after in (0, 59, 60)] == [1, 1, 0]


def test_a_run_told_of_long_after_is_no_news_but_a_late_failure_is(
    fail: Callable[..., datetime], send: Send, now: datetime
) -> None:
    send(told("phase", "1", phase="adas", state="failed", at_ms=ms(now, -7_200)) | {"run_id": "old"}, backfill=True)
    assert phases_failed({}, 600, now) == []
    send(told("phase", "1", phase="adas", state="failed", at_ms=ms(now, -7_200)) | {"run_id": "late"})
    assert [case.labels["run"] for case in phases_failed({}, 600, now)] == ["late"]


@pytest.mark.parametrize(
    ("spec", "held"),
    [
        ({"phases": ["bitnet"]}, 1), ({"phases": ["adas"]}, 0), ({"models": ["cognate"]}, 1), ({"models": ["x"]}, 0),
        ({"model_sizes": ["25M"], "phases": ["bitnet"]}, 1), ({"model_sizes": ["1.5B"]}, 0), ({"phases": []}, 1),
    ],
)  # fmt: skip
def test_a_rule_may_be_narrowed(spec: dict[str, Any], held: int, fail: Callable[..., datetime]) -> None:
    at = fail(model_size="25M")
    assert len(phases_failed(spec, 600, at)) == held


@pytest.mark.parametrize("names", ["bitnet", [1], [""], ["x"] * 51, {"a": 1}])
def test_a_bad_spec_says_what_is_wrong(names: object) -> None:
    assert list(problems({"phases": names})) == ["phases"]
    assert problems({"phases": ["bitnet"], "models": []}) == {}


def test_asking_takes_the_same_queries_however_much_failed(
    fail: Callable[..., datetime], django_assert_num_queries: Any
) -> None:
    for number in range(12):
        at = fail(run=f"r{number}")
    with django_assert_num_queries(2):
        assert len(phases_failed({}, 600, at)) == 12


def test_a_silent_run_is_stalled_until_it_is_heard_of_again(send: Send, now: datetime) -> None:
    send(told("run", "1", state="running"), told("phase", "2", phase="adas", state="running"))
    heard = now + timedelta(seconds=400)
    at = [now + timedelta(seconds=after) for after in (299, 300, 399, 400, 699, 700)]
    assert [len(runs_stalled({}, 60, one)) for one in at] == [0, 1, 1, 1, 1, 1]
    send(told("log", "3", message="back"), at=heard)
    assert [len(runs_stalled({}, 60, one)) for one in at] == [0, 1, 1, 0, 0, 1]
    (case,) = runs_stalled({}, 60, at[-1])
    assert (case.value, case.evidence["display"], case.evidence["allowed_seconds"]) == (300.0, "ADAS", 300.0)


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "paused", "queued"])
def test_a_run_that_is_not_at_work_is_never_stalled(state: str, send: Send, now: datetime) -> None:
    send(told("run", "1", state=state))
    assert runs_stalled({}, 60, now + timedelta(hours=2)) == []


def test_a_run_that_ended_since_was_stalled_then(send: Send, now: datetime) -> None:
    send(told("run", "1", state="running"))
    over = now + timedelta(seconds=1_000)
    send(told("run", "2", state="failed", at_ms=ms(over)), at=over)
    held = [len(runs_stalled({}, 60, now + timedelta(seconds=after))) for after in (500, 999, 1_000, 2_000)]
    assert held == [1, 1, 0, 0]


def test_a_longer_interval_is_waited_for(send: Send, now: datetime) -> None:
    send(told("run", "1", state="running", data={"reporting_interval_seconds": 60}))
    assert [len(runs_stalled({}, 60, now + timedelta(seconds=after))) for after in (599, 600)] == [0, 1]


@pytest.mark.django_db(transaction=True)
def test_the_shipped_rules_alert_and_resolve(fail: Callable[..., datetime], send: Send, now: datetime) -> None:
    ensure_defaults(now=now)
    assert set(Rule.objects.filter(group__name="forge").values_list("name", flat=True)) == {
        rule.name for rule in GROUP.rules
    }
    fail()
    tick(now, 11)
    alert = Alert.objects.get(name="agent_forge_phase_failed")
    assert (alert.state, alert.severity, alert.labels["phase"]) == ("firing", "critical", "bitnet")
    assert alert.evidence["facts"]["headline"] == "ValueError: shape (3, 4) is off"
    again = now + timedelta(seconds=15)
    send(told("phase", "9", phase="bitnet", state="running", at_ms=ms(again)), at=again)
    tick(now, 21)
    alert.refresh_from_db()
    assert (alert.state, alert.resolved_because) == ("resolved", PHASE_FAILED.over)
