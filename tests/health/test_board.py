"""The board, history and the rule kind read what is stored, now and as of a time."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aivillage_console.lib import clock
from alerts.rules.kinds import ASKED_KINDS
from health.asked import ask, problems
from health.intake.results import Found, result_store
from health.models import Check, Component
from health.selectors import board, history, results_of, totals
from tests.health.conftest import check_of, component

pytestmark = pytest.mark.django_db


def store(check: Check, status: str, *, ago_seconds: float = 0, duration_ms: float | None = 5.0) -> None:
    at = clock.now() - timedelta(seconds=ago_seconds)
    fresh = Check.objects.get(pk=check.pk)
    Check.objects.filter(pk=check.pk).update(**result_store(fresh, Found(at, status, duration_ms, status)))


def test_the_board_shows_score_uptime_p95_and_the_strip() -> None:
    check = check_of()
    for number, status in enumerate(["healthy"] * 8 + ["degraded", "unhealthy"]):
        store(check, status, ago_seconds=100 - number, duration_ms=float(number))
    row = board(now=clock.now()).rows[0]
    assert (row.component.name, row.score.band, row.uptime_day, row.uptime_week) == ("api", "unhealthy", 0.9, 0.9)
    assert row.p95_ms == pytest.approx(8.55)
    assert (len(row.hours), row.hours.count("unhealthy"), row.hours[0]) == (24, 1, "none")
    assert row.checks[0].uptime_day == 0.9


def test_the_board_asks_the_same_number_of_questions_however_much_is_stored() -> None:
    counts = []
    for size in (1, 12):
        for number in range(size):
            store(check_of(f"c{number}", of=f"part{size}-{number}"), "healthy")
        now = clock.now()
        with CaptureQueriesContext(connection) as queries:
            board(now=now)
        counts.append(len(queries))
    assert counts == [5, 5], "each board asks five times"


def test_a_result_that_grew_old_is_unknown_and_the_check_overdue() -> None:
    check = check_of()
    store(check, "healthy", ago_seconds=200)
    Check.objects.filter(pk=check.pk).update(due_at=clock.now() - timedelta(seconds=100))
    found = board(now=clock.now())
    assert (found.rows[0].score.band, found.overdue, found.checks[0].overdue) == ("unknown", 1, True)
    assert "says nothing" in found.checks[0].stale


def test_a_switched_off_check_is_listed_and_does_not_count() -> None:
    check = check_of(enabled=False)
    store(check, "unhealthy")
    found = board(now=clock.now())
    assert (found.rows[0].score.band, len(found.checks), found.overdue) == ("unknown", 1, 0)


def test_who_uses_whom_is_shown_on_both_sides() -> None:
    component("web", depends_on=[{"name": "api", "type": "http_api", "critical": True}])
    component("api")
    rows = {row.component.name: row for row in board(now=clock.now()).rows}
    assert (rows["api"].used_by, rows["api"].impact.count, rows["api"].place.parent) == (("web",), 1, "web")


def test_the_totals_name_the_worst() -> None:
    for name, status in (("a", "healthy"), ("b", "degraded"), ("c", "unhealthy")):
        store(check_of(of=name), status)
    found = totals(now=clock.now())
    assert (found.worst, found.system.value) == (("c", "b"), 0.5)


def test_history_has_one_grid_for_all_checks() -> None:
    one, two = check_of("one"), check_of("two")
    store(one, "healthy", duration_ms=250.0)
    now = clock.now()
    found = history([(one.pk, "one"), (two.pk, "two")], now=now, window=timedelta(hours=3))
    assert [line["name"] for line in found.lines] == ["one"]
    assert [value for value in found.lines[0]["values"] if value is not None] == [0.25]
    assert len(found.times) == len(found.lines[0]["values"])
    assert [result.status for result in results_of(one.component_id)] == ["healthy"]


def test_the_rule_kind_answers_as_of_a_time() -> None:
    check = check_of()
    now = clock.now()
    store(check, "unhealthy", ago_seconds=60)
    store(check, "healthy", ago_seconds=0)
    assert ask({}, 0, clock.now()) == []
    (case,) = ask({}, 0, now - timedelta(seconds=30))
    assert (dict(case.labels), case.value) == ({"component": "api"}, 0.0)
    assert case.annotations["because"] == "answers: unhealthy"


def test_what_was_found_broken_stays_so_until_something_else_is_found() -> None:
    store(check_of(), "unhealthy", ago_seconds=3600)
    assert [case.labels["component"] for case in ask({}, 0, clock.now())] == ["api"]


def test_partial_takes_in_what_is_worse_and_names_narrow_it() -> None:
    store(check_of(of="half"), "degraded")
    store(check_of(of="down"), "unhealthy")
    names = {case.labels["component"] for case in ask({"status": "partial"}, 0, clock.now())}
    assert names == {"half", "down"}
    assert [
        case.labels["component"] for case in ask({"status": "partial", "components": ["half"]}, 0, clock.now())
    ] == ["half"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [({"status": "green"}, "status"), ({"components": "api"}, "components"), ({"components": [1]}, "components")],
)
def test_a_bad_spec_is_named_by_field(spec: dict[str, Any], field: str) -> None:
    assert list(problems(spec)) == [field]


def test_the_kind_is_in_its_slot_with_a_threshold_to_show() -> None:
    kind = ASKED_KINDS.get("component")
    assert kind is not None
    assert (kind.threshold({}), kind.threshold({"status": "partial"}), problems({})) == (30.0, 70.0, {})


def test_a_dependency_in_an_unknown_form_is_passed_over() -> None:
    Component.objects.create(name="odd", depends_on=["api", {"name": ""}, {"type": "x"}])
    assert board(now=clock.now()).rows[0].score.band == "unknown"
