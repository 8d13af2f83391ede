"""Reading runs takes a fixed number of queries, however much they hold."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from aivillage_console.accounts.models import Source
from forge_dashboard import curves as points_of
from forge_dashboard import selectors
from forge_dashboard.models import Artifact, Curve, CurveChunk, GateResult, LogLine, PhaseRun, Run

pytestmark = pytest.mark.django_db


def make_run(source: Source, number: int, now: datetime, **fields: Any) -> Run:
    values: dict[str, Any] = {
        "name": f"run {number}", "state": "running", "model_size": "25M", "started_at": now - timedelta(seconds=60),
        "created_at": now - timedelta(seconds=60 - number), "last_event_at": now, **fields,
    }  # fmt: skip
    run = Run.objects.create(source=source, external_id=f"r{number}", **values)
    done, began = now - timedelta(seconds=30), now - timedelta(seconds=60)
    PhaseRun.objects.create(
        run=run, phase="evomerge", position=0, state="succeeded", started_at=began, ended_at=done, duration_seconds=30
    )
    PhaseRun.objects.create(run=run, phase="bitnet", position=1, state="running", started_at=done, progress=0.5)
    PhaseRun.objects.create(run=run, phase="adas", position=2)
    return run


def fill(run: Run, now: datetime) -> None:
    curve = Curve.objects.create(run=run, phase="bitnet", name="loss", points=3_000)
    for number in range(3):
        points = [
            (float(step), 1_000.0 + step, float(step % 97)) for step in range(number * 1_000, (number + 1) * 1_000)
        ]
        CurveChunk.objects.create(curve=curve, number=number, data=points_of.pack(points))
    LogLine.objects.bulk_create(
        LogLine(run=run, at=now, phase="bitnet", level=("info", "error")[n % 2], text=f"line {n}") for n in range(120)
    )
    GateResult.objects.create(run=run, gate="nasa_pot10", display="NASA POT10", state="passed", at=now, event_id="g")
    Artifact.objects.create(run=run, name="model.npz", type="model", at=now, event_id="a")


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize(
    ("read", "queries"),
    [
        (lambda now: selectors.runs_page(None, now=now, limit=5), 3),
        (lambda now: selectors.active_rows(None, now=now), 3),
        (lambda now: selectors.tiles(None, now=now), 1),
        (lambda _: selectors.models_seen(None), 1),
        (lambda _: selectors.versions(None, [f"run:{Run.objects.values_list('pk', flat=True)[:1][0]}"]), 2),
    ],
)
def test_lists_take_a_fixed_number_of_queries(
    count: int, read: Callable[[datetime], object], queries: int, source: Source, now: datetime,
    django_assert_num_queries: Any,
) -> None:  # fmt: skip
    for number in range(count):
        make_run(source, number, now)
    with django_assert_num_queries(queries):
        assert read(now) is not None


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize(
    ("read", "queries"),
    [
        (lambda run, _: selectors.curves(None, run, ["loss"]), 1),
        (lambda run, _: selectors.curve_names(None, run), 1),
        (lambda run, _: selectors.log_tail(None, run), 1),
        (lambda run, _: selectors.gates(None, run), 1),
        (lambda run, _: selectors.artifacts(None, run), 1),
        (lambda run, _: selectors.checkpoints(None, run), 1),
        (lambda run, now: selectors.run_detail(None, run.pk, now=now), 7),
    ],
)
def test_the_inside_of_a_run_takes_a_fixed_number_of_queries(
    filled: bool, read: Callable[..., object], queries: int, source: Source, now: datetime,
    django_assert_num_queries: Any,
) -> None:  # fmt: skip
    run = make_run(source, 1, now)
    if filled:
        fill(run, now)
    with django_assert_num_queries(queries):
        assert read(run, now) is not None


def test_pages_follow_each_other_without_gap_or_repeat(source: Source, now: datetime) -> None:
    for number in range(7):
        make_run(source, number, now)
    names, cursor = [], ""
    while True:
        page = selectors.runs_page(None, limit=3, cursor=cursor, now=now)
        names += [row.run.name for row in page.rows]
        cursor = page.next_cursor
        if not cursor:
            break
    assert names == [f"run {number}" for number in range(6, -1, -1)]


@pytest.mark.parametrize("cursor", ["x", "1.x", "99999999999999999999.", "1.00000000-0000-0000-0000-000000000000.7"])
def test_a_broken_cursor_begins_at_the_beginning(cursor: str, source: Source, now: datetime) -> None:
    make_run(source, 1, now)
    assert len(selectors.runs_page(None, cursor=cursor, now=now).rows) == 1


@pytest.mark.parametrize(
    ("silent_seconds", "interval", "shown"),
    [(299, None, "running"), (300, None, "stalled"), (300, 60.0, "running"), (600, 60.0, "stalled")],
)
def test_silence_is_told_the_same_by_the_list_and_its_filter(
    silent_seconds: int, interval: float | None, shown: str, source: Source, now: datetime
) -> None:
    heard = now - timedelta(seconds=silent_seconds)
    make_run(source, 1, now, last_event_at=heard, reporting_interval_seconds=interval)
    (row,) = selectors.runs_page(None, now=now).rows
    assert row.state == shown
    assert len(selectors.runs_page(None, state="stalled", now=now).rows) == (shown == "stalled")
    assert selectors.tiles(None, now=now).stalled == (shown == "stalled")


def test_tiles_count_by_outcome(source: Source, now: datetime) -> None:
    for number, state in enumerate(("running", "succeeded", "succeeded", "failed", "paused")):
        make_run(source, number, now, state=state)
    told = selectors.tiles(None, now=now)
    assert (told.active, told.completed, told.failed, told.total) == (2, 2, 1, 5)


def test_the_axis_holds_what_was_what_is_and_when_the_rest_will_be(source: Source, now: datetime) -> None:
    for number in range(2):
        earlier = make_run(source, number, now, state="succeeded", duration_seconds=90)
        PhaseRun.objects.filter(run=earlier).update(state="succeeded", duration_seconds=40)
    detail = selectors.run_detail(None, make_run(source, 5, now).pk, now=now)
    assert detail is not None
    done, at_work, waits = selectors.gantt(detail.run, detail.phases, detail.usual, now=now)
    assert (done.elapsed_seconds, done.ends_low_at) == (30, None)
    assert at_work.estimate is not None
    assert at_work.estimate.low_seconds <= 30 <= at_work.estimate.high_seconds
    assert at_work.ends_low_at is not None
    assert waits.begins_at == at_work.ends_low_at
    assert waits.ends_high_at is not None
    assert waits.ends_high_at > waits.begins_at


def test_a_run_that_is_over_plans_nothing(source: Source, now: datetime) -> None:
    run = make_run(source, 1, now, state="failed", ended_at=now)
    detail = selectors.run_detail(None, run.pk, now=now)
    assert detail is not None
    assert selectors.gantt(run, detail.phases, detail.usual, now=now)[2].begins_at is None


def test_a_thinned_curve_keeps_its_ends_and_peaks(source: Source, now: datetime) -> None:
    run = make_run(source, 1, now)
    fill(run, now)
    (line,) = selectors.curves(None, run, ["bitnet/loss"], max_points=100)
    assert line.steps is not None
    assert (line.points, line.thinned, len(line.steps) <= 100) == (3_000, True, True)
    assert (line.steps[0], line.steps[-1], min(line.values), max(line.values)) == (0, 2_999, 0, 96)
    (newer,) = selectors.curves(None, run, ["loss"], since_step=2_989)
    assert newer.steps == [float(step) for step in range(2_990, 3_000)]
    assert selectors.curves(None, run, ["other/loss"]) == []


def test_the_tail_goes_on_where_it_was_left(source: Source, now: datetime) -> None:
    run = make_run(source, 1, now)
    fill(run, now)
    tail = selectors.log_tail(None, run, limit=10)
    assert [line.text for line in tail.lines] == [f"line {n}" for n in range(110, 120)]
    LogLine.objects.create(run=run, at=now, text="more")
    assert [line.text for line in selectors.log_tail(None, run, after_id=tail.last_id).lines] == ["more"]
    assert len(selectors.log_tail(None, run, level="error").lines) == 60


def test_the_failure_card_names_the_error_the_last_lines_and_the_like_of_it(source: Source, now: datetime) -> None:
    stack = 'Traceback (most recent call last):\n  File "/srv/a.py", line 7, in f\nValueError: shape (3, {}) is off'
    runs = [make_run(source, number, now, state="failed") for number in range(3)]
    for number, run in enumerate(runs):
        error = stack.format(number) if number else "KeyError: 'x'"
        PhaseRun.objects.filter(run=run, phase="bitnet").update(
            state="failed", error=error, failed_at=now, ended_at=now
        )  # fmt: skip
    fill(runs[2], now)
    detail = selectors.run_detail(None, runs[2].pk, now=now)
    assert detail is not None
    card = selectors.failure(None, runs[2], detail.phases)
    assert card is not None
    assert (card.headline, card.place) == ("ValueError: shape (3, 2) is off", "/srv/a.py:7")
    assert [line.text for line in card.lines][-1] == "line 119"
    assert len(card.lines) == 50
    assert [(one.run.name, one.same) for one in card.similar] == [("run 1", True), ("run 0", False)]


def test_a_run_without_failure_has_no_card(source: Source, now: datetime) -> None:
    run = make_run(source, 1, now)
    detail = selectors.run_detail(None, run.pk, now=now)
    assert detail is not None
    assert selectors.failure(None, run, detail.phases) is None


def test_there_is_no_run_nobody_sent(now: datetime) -> None:
    assert selectors.run_detail(None, "00000000-0000-0000-0000-000000000000", now=now) is None
