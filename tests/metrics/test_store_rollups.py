"""Roll-ups: what a day comes to every five minutes, read where raw samples reach too far, kept by class."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import selectors
from metrics.models import GroupBlock, RollupBlock
from metrics.promql.rolling import NOTE
from metrics.promql.types import STALE_NAN, Matcher, QueryError
from metrics.store import compaction, kernels, retention, rolling, rollup_block
from metrics.store.columns import Samples
from metrics.store.listing import day_of
from metrics.store.postgres import STORE, PostgresStore
from tests.metrics.test_store import make_series

DAY_MS = 86_400_000
START = datetime(2026, 8, 1, tzinfo=UTC)
T0 = int(START.timestamp() * 1000)
DAYS = 40
STEP_MS = 60_000
BUCKET = rollup_block.BUCKET_MS


@settings(deadline=None)
@given(
    drawn=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 30), st.sampled_from([0.0, 1.5, 7.0, float("nan"), STALE_NAN])),
        min_size=1,
        max_size=60,
    )
)
def test_a_roll_up_equals_the_plain_reference(drawn: list[tuple[int, int, float]]):
    last = {(series, time * 60_000): value for series, time, value in drawn}
    samples = Samples(
        np.array([series for series, _ in last]), np.array([time for _, time in last]), np.array(list(last.values()))
    )
    before = np.full(200, np.nan)
    before[0] = 9.0
    rolled = rollup_block.encode(samples, before)
    buckets: dict[tuple[int, int], list[tuple[int, float]]] = {}
    is_stale = samples.values.view(np.uint64) == np.float64(STALE_NAN).view(np.uint64)
    stale = {key for key, one in zip(last, is_stale.tolist(), strict=True) if one}
    for key in sorted(set(last) - stale):
        buckets.setdefault((key[0], key[1] // BUCKET), []).append((key[1], last[key]))
    if rolled is None:
        assert not buckets
        return
    expected: dict[str, list[float]] = {name: [] for name in rollup_block.COLUMNS}
    previous = {0: 9.0}
    for (series, _), rows in buckets.items():
        values = [value for _, value in rows]
        numbers = [value for value in values if not np.isnan(value)] or [np.nan]
        falls = 0.0
        for value in values:
            falls += previous[series] if value < previous.get(series, np.nan) else 0.0
            previous[series] = value
        for name, value in zip(
            expected, (values[-1], min(numbers), max(numbers), sum(values), len(values), falls), strict=True
        ):
            expected[name].append(float(value))
    for name, column in expected.items():
        read = rollup_block.opened(rolled[0], name).samples(0)
        assert read.timestamps_ms.tolist() == [rows[-1][0] for rows in buckets.values()]
        np.testing.assert_array_equal(read.values, column)


@given(
    drawn=st.lists(
        st.tuples(st.floats(0, 100), st.one_of(st.just(float("nan")), st.floats(0, 50))), min_size=1, max_size=30
    )
)
def test_lifted_counters_equal_the_plain_reference(drawn: list[tuple[float, float]]):
    values, falls = (np.array(column) for column in zip(*drawn, strict=True))
    lost, previous, expected = 0.0, np.nan, []
    for place, (value, fall) in enumerate(drawn):
        if np.isnan(fall):
            lost += previous if value < previous else 0.0
        elif place:
            lost += fall
        expected.append(value + lost)
        previous = value
    kernels.lift_counters(np.array([0, values.size]), values, falls)
    assert values.tolist() == expected


@pytest.fixture
def forty_days(db: None) -> None:
    """A counter that grows by one a second and starts anew every 7 hours, and a gauge of minutes within the hour."""
    STORE.forget()
    rolling.forget_days()
    counter, gauge = make_series({"__name__": "c_total"}, {"__name__": "g"})
    for day in range(DAYS):
        times = T0 + day * DAY_MS + np.arange(0, DAY_MS, STEP_MS)
        for series, values in (
            (counter, (times // 1000) % (7 * 3600)),
            (gauge, (times // STEP_MS) % 60),
        ):
            samples = Samples(np.full(times.size, series), times, values.astype(np.float64))
            STORE.append(samples, durable=True)
    while compaction.compact_once().head_blocks:
        pass
    now_ms = T0 + (DAYS + 1) * DAY_MS
    while compaction.pack_windows(now_ms=now_ms, limit=1_000):
        pass
    # The last day stays raw, as the day of today does.
    assert compaction.pack_days(now_ms=now_ms - DAY_MS, limit=1_000) == 2 * (DAYS - 1)
    assert rolling.roll_days(now_ms=now_ms - DAY_MS, limit=1_000) == 2 * (DAYS - 1)
    assert rolling.roll_days(now_ms=now_ms - DAY_MS, limit=1_000) == 0


def ask(query: str, *, start_day: int = 1, end_day: int = DAYS - 1) -> np.ndarray:
    result = selectors.range_query(
        query, start_ms=T0 + start_day * DAY_MS, end_ms=T0 + end_day * DAY_MS, step_ms=6 * 3_600_000
    )
    assert (NOTE in result.infos) == (end_day - start_day > 30)
    assert result.present.all(), query
    return result.values[0]


@pytest.mark.usefixtures("forty_days")
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "tolerance"),
    [
        ("rate(c_total[1h])", 0.06),
        ("rate(c_total[1m])", 0.35),
        ("increase(c_total[1d])", 0.01),
        ("g", 0.0),
        ("min_over_time(g[1d])", 0.0),
        ("max_over_time(g[1d])", 0.0),
        ("avg_over_time(g[6h])", 0.003),
        ("sum_over_time(g[1d])", 0.001),
        ("count_over_time(g[1d])", 0.001),
        ("max_over_time(rate(c_total[1h])[1d:1h])", 0.06),
        ("timestamp(g)", 1e-6),
        ("quantile_over_time(0.5, g[1d])", 0.3),
    ],
)
def test_long_ranges_are_answered_from_roll_ups_as_from_raw_samples(query: str, tolerance: float):
    if query == "rate(c_total[1m])":
        assert ask(query) == pytest.approx(np.ones(153), rel=tolerance)
        return
    both = ask(query), np.concatenate([ask(query, end_day=20)[:-1], ask(query, start_day=20)])
    assert both[0].size == both[1].size
    if query == "g":
        # The newest roll-up may be that of the bucket before.
        assert np.abs((both[0] - both[1] + 30) % 60 - 30).max() <= 5
    else:
        np.testing.assert_allclose(both[0], both[1], rtol=tolerance)


@pytest.mark.usefixtures("forty_days")
@pytest.mark.django_db
def test_columns_can_be_asked_for_by_name_and_others_are_refused():
    found = PostgresStore().select(
        [Matcher("__rollup__", "=", "count"), Matcher("__name__", "=", "g")], T0, T0 + DAY_MS
    )
    assert set(found.values.tolist()) == {5.0}
    with pytest.raises(QueryError, match="takes one of these"):
        PostgresStore().select([Matcher("__rollup__", "=", "median")], T0, T0 + DAY_MS)


@pytest.mark.usefixtures("forty_days")
@pytest.mark.django_db
def test_a_class_keeps_its_metrics_shorter_and_roll_ups_outlive_raw_samples():
    now = START + timedelta(days=DAYS)
    default = retention.Kept(90, 400)
    kept = retention.kept_by_metric(default, ["(=1/1", "nobody=x", "g.?=10/20", "g=1/1"])
    assert retention.raw_drop(now.date(), kept, default) == []
    retention.rollups_drop(now.date(), kept)
    first: dict[str, tuple[date, date]] = {
        name: (
            min(GroupBlock.objects.filter(metric__name=name).values_list("day", flat=True)),
            min(RollupBlock.objects.filter(metric__name=name).values_list("day", flat=True)),
        )
        for name in ("c_total", "g")
    }
    assert first["c_total"] == (START.date(), START.date())
    assert first["g"] == (day_of(T0 + 30 * DAY_MS), day_of(T0 + 20 * DAY_MS))


@pytest.mark.usefixtures("forty_days")
@pytest.mark.django_db
def test_what_is_older_than_any_raw_sample_is_read_from_roll_ups():
    GroupBlock.objects.filter(day__lt=START.date() + timedelta(days=20)).delete()
    STORE.forget()
    assert STORE.is_too_far(T0 + 10 * DAY_MS, T0 + 11 * DAY_MS)
    assert not STORE.is_too_far(T0 + 20 * DAY_MS, T0 + 21 * DAY_MS)
    result = selectors.instant_query("max_over_time(g[1d])", at_ms=T0 + 10 * DAY_MS)
    assert result.values.tolist() == [[59.0]]
    assert result.infos == [NOTE]


@pytest.mark.usefixtures("forty_days")
@pytest.mark.django_db
def test_late_samples_of_a_day_are_rolled_up_again():
    (gauge,) = make_series({"__name__": "g"})
    at = T0 + 5 * DAY_MS + 1
    STORE.append(Samples(np.array([gauge]), np.array([at]), np.array([1e6])), durable=True)
    compaction.compact_once()
    later = T0 + (DAYS + 1) * DAY_MS
    compaction.pack_windows(now_ms=later)
    compaction.pack_days(now_ms=later)
    assert rolling.roll_days(now_ms=later) >= 1
    found = STORE.select([Matcher("__rollup__", "=", "max"), Matcher("__name__", "=", "g")], at - 1, at + BUCKET)
    assert found.values[0] == 1e6
