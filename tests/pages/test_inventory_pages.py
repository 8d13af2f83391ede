"""Cardinality, storage and naming: what they say of a store with little, with much, and of one that is too slow."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from aivillage_console.accounts.models import Source
from metrics.ingest import rows
from metrics.ingest.rows import MetricRow
from metrics.ingest.writer import forget_series
from metrics.inventory import cardinality, held, linting, storage
from metrics.models import MetadataEntry, Metric, MetricFigures, Series
from metrics.promql.questions import selectors_of
from metrics.services import partitions_prepare, samples_append
from metrics.store import figures, inventory
from metrics.store.group_block import LEVEL_DAY
from metrics.store.inventory import Stored
from metrics.store.postgres import STORE
from metrics.views.inventory import selector

PINNED = json.loads((Path(__file__).parent / "query_counts.json").read_text())
CARDINALITY, STORAGE, NAMING = (f"/explore/metrics/{name}/" for name in ("cardinality", "storage", "naming"))
HOSTILE = "</td><script>alert(1)</script>"
PAGES = [CARDINALITY, f"{CARDINALITY}?metric=http_requests_total&label=path", STORAGE, NAMING]


def _forget() -> None:
    held.forget_counts()
    forget_series()
    rows.reset_gate()
    STORE.forget()


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    _forget()
    yield
    _forget()


@pytest.fixture
def shop(db: None) -> Source:
    """Store a metric of 60 paths on two hosts, a gauge that is named badly, and pack what came."""
    source = Source.objects.create(name="shop")
    now = datetime.now(UTC)
    partitions_prepare(now=now)
    at_ms = int(now.timestamp() * 1000) - 60_000
    sent = [
        MetricRow(
            "http_requests_total", 1.0, "counter", {"path": f"/item/{n}", "host": f"h{n % 2}", "zone": "a"}, at_ms
        )
        for n in range(60)
    ]
    sent += [
        MetricRow("http_requests_total", 1.0, "counter", {"path": "/", "host": host, "zone": "a"}, at_ms)
        for host in ("h0", "h1")
    ]
    sent.append(MetricRow("queueLatency_ms", 3.0, "gauge", {"user_id": HOSTILE}, at_ms))
    assert samples_append(sent, source=source, now=now) == []
    call_command("compact", "--once")
    return source


@pytest.mark.parametrize("path", PAGES)
def test_a_viewer_reads_each_page_with_exactly_the_queries_it_is_known_for(
    person: Any, shop: Source, path: str
) -> None:
    viewer = person("viewer")
    for name, forget in (("counted", held.forget_counts), ("held", lambda: None)):
        viewer.get(path)
        forget()
        with CaptureQueriesContext(connection) as queries:
            answer = viewer.get(path)
        asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
        assert (answer.status_code, len(asked)) == (200, PINNED[f"{path} ({name})"]), asked


@pytest.mark.parametrize("path", PAGES[:1] + PAGES[2:])
def test_without_a_metric_each_page_says_what_to_do(person: Any, path: str) -> None:
    answer = person("viewer").get(path)
    assert (answer.status_code, "Send the first metric" in answer.content.decode()) == (200, True)


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_inline_styles_or_what_a_sender_wrote_as_markup(person: Any, shop: Source, path: str) -> None:
    body = person("admin").get(path).content.decode()
    assert [word for word in (' style="', " onclick=", "<script>alert(1)") if word in body] == []


def test_the_largest_metric_comes_first_and_leads_to_itself(person: Any, shop: Source) -> None:
    body = person("viewer").get(CARDINALITY).content.decode()
    assert body.index("?metric=http_requests_total") < body.index("?metric=queueLatency_ms")
    assert "shop uses 0.0 % of its limit" in body


@pytest.mark.parametrize("order", ["series", "new", "bytes", "samples", "labels", "nonsense"])
def test_metrics_can_be_put_in_each_order_and_searched(person: Any, shop: Source, order: str) -> None:
    viewer = person("viewer")
    assert viewer.get(f"{CARDINALITY}?by={order}").status_code == 200
    body = viewer.get(f"{CARDINALITY}?by={order}&q=LATENCY").content.decode()
    assert ("?metric=queueLatency_ms" in body, "?metric=http_requests_total" in body) == (True, False)
    assert "No metric matches" in viewer.get(f"{CARDINALITY}?q=nothing-like-it").content.decode()


def test_a_label_says_how_many_series_there_were_without_it(person: Any, shop: Source) -> None:
    body = " ".join(person("viewer").get(f"{CARDINALITY}?metric=http_requests_total").content.decode().split())
    assert "Without it: <strong>2</strong> series instead of 62" in body
    assert "Without it: <strong>61</strong> series instead of 62" in body
    assert "(the other labels tell them apart as well)" in body


def test_the_values_of_a_label_come_most_frequent_first_with_their_queries(person: Any, shop: Source) -> None:
    body = person("viewer").get(f"{CARDINALITY}?metric=http_requests_total&label=path").content.decode()
    assert "?q=http_requests_total%7Bpath%3D%22/%22%7D" in body
    assert "The 50 values with the most series of 61" in body


def test_a_metric_that_is_not_there_is_a_designed_404_that_guesses(person: Any, shop: Source) -> None:
    answer = person("viewer").get(f"{CARDINALITY}?metric=http_request_total")
    assert (answer.status_code, "Did you mean" in answer.content.decode()) == (404, True)
    assert person("admin").get(f"{CARDINALITY}?metric=%00").status_code == 200


def test_a_source_near_its_limit_is_said_first(person: Any, shop: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metrics.inventory.cardinality._limit", lambda: 70)
    body = person("viewer").get(CARDINALITY).content.decode()
    assert ("has 90 % of the series it may have" in body, "near the limit" in body) == (True, True)


def test_what_cannot_be_counted_in_time_is_left_out_and_said(
    person: Any, shop: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = (
        "(SELECT *, pg_sleep(5) AS s FROM"
        " (SELECT day, level, metric_id, samples, 1 AS size FROM metrics_recentblock) r) b"
    )
    monkeypatch.setattr(inventory, "COUNTING_MS", 800)
    monkeypatch.setattr(inventory, "ALL_BLOCKS", slow)
    assert "took too long" in person("editor").get(STORAGE).content.decode()
    before = MetricFigures.objects.count()
    monkeypatch.setattr(figures, "COUNTING_MS", 800)
    monkeypatch.setattr(figures, "ALL_BLOCKS", slow)
    assert figures.figures_count(now=datetime.now(UTC)) >= 0.8
    assert (before, MetricFigures.objects.count()) == (2, 2), "what was counted before stays"


def test_before_the_first_count_the_page_shows_what_it_knows(person: Any, shop: Source) -> None:
    MetricFigures.objects.all().delete()
    viewer = person("viewer")
    for path in PAGES[:2]:
        body = viewer.get(path).content.decode()
        assert ("took too long" in body, "http_requests_total" in body) == (True, True)


def test_old_figures_are_said_to_be_old(person: Any, shop: Source) -> None:
    MetricFigures.objects.update(counted_at=datetime.now(UTC) - timedelta(hours=3))
    assert "what is shown is older" in person("viewer").get(CARDINALITY).content.decode()


def test_a_label_says_what_bytes_and_new_values_it_makes(person: Any, shop: Source) -> None:
    row = MetricFigures.objects.get(metric_id=Metric.objects.get(name="http_requests_total").pk)
    assert (row.new, row.active, row.samples, list(row.sources.values())) == (62, 62, 62, [[62, 62, 62]])
    assert row.data_bytes > 0
    assert row.first_new_id == Series.objects.filter(metric__name="http_requests_total").earliest("pk").pk
    second = Series.objects.filter(metric__name="http_requests_total").order_by("pk")[31].pk
    MetricFigures.objects.filter(pk=row.pk).update(first_new_id=second)
    detail = cardinality.metric_detail("http_requests_total", now=datetime.now(UTC))
    assert detail is not None
    assert {one.name: one.new for one in detail.labels.labels} == {"path": 30, "host": 1, "zone": 0}
    found = cardinality.overview(now=datetime.now(UTC))
    paths = next(one for one in found.labels if one.name == "path")
    assert (paths.values, paths.series, paths.data_bytes) == (61, 62, row.data_bytes)
    body = person("viewer").get(f"{CARDINALITY}?metric=http_requests_total").content.decode()
    assert ("New values, 24 h" in body, "Bytes it makes" in body) == (True, True)


def test_counting_takes_a_hundredth_of_the_time_at_most() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert figures.next_count_at(now, 0.5) - now == timedelta(minutes=5)
    assert figures.next_count_at(now, 30.0) - now == timedelta(seconds=3_000)


def test_metrics_of_before_the_count_was_kept_are_counted(shop: Source) -> None:
    Metric.objects.update(series_count=None)
    assert (figures.uncounted_count(), figures.uncounted_count()) == (2, 0)
    assert sorted(Metric.objects.values_list("name", "series_count")) == [
        ("http_requests_total", 62), ("queueLatency_ms", 1),
    ]  # fmt: skip


def test_what_was_counted_before_is_shown_as_older_where_counting_again_takes_too_long(db: None) -> None:
    assert held.held("k", lambda: 1) is not None
    held._kept["k"] = float("-inf"), held._kept["k"][1]

    def slow() -> int:
        raise inventory.TooSlow

    look = held.held("k", slow)
    assert look is not None
    assert (look.value, look.is_stale) == (1, True)
    assert held.held("other", slow) is None


def test_counts_are_kept_for_few_keys_only(db: None) -> None:
    for number in range(held.MOST_KEPT + 10):
        held.held(number, lambda: 0)
    assert len(held._kept) == held.MOST_KEPT


def test_storage_shows_levels_tables_and_when_the_day_goes(person: Any, shop: Source) -> None:
    body = " ".join(person("viewer").get(STORAGE).content.decode().split())
    shown = [word in body for word in ("metrics_series", "Minutes", "No compactor is running", "raw samples")]
    assert shown == [True] * 4
    assert f"{datetime.now(UTC).date() + timedelta(days=91):%Y-%m-%d}" in body


def test_a_retention_class_of_its_own_goes_earlier(shop: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_written_classes", lambda: ["queue.*=7/30", "broken"])
    found = storage.storage(now=datetime.now(UTC))
    assert [(one.pattern, one.raw_days, one.metrics) for one in found.classes] == [("queue.*", 7, 1), ("", 90, 1)]
    assert [drop.pattern for drop in found.drops] == ["queue.*", ""]
    assert found.classes[0].raw.samples == 1


def test_what_waits_to_be_packed_counts_to_today(shop: Source) -> None:
    now = datetime.now(UTC)
    row = MetricRow("late", 1.0, "gauge", {}, int(now.timestamp() * 1000) - 600_000)
    samples_append([row], source=shop, now=now)
    held.forget_counts()
    found = storage.storage(now=now)
    assert found.waiting is not None
    assert (found.waiting.head.blocks, found.levels["not packed yet"].samples) == (1, 1)
    assert (found.is_late, found.waiting.running) == (True, False)


@pytest.mark.parametrize(
    ("free_gigabytes", "is_left"), [(1000, False), (3, True)], ids=["a large disk lasts", "a small one does not"]
)
def test_the_forecast_is_of_whole_days_and_of_the_disk(free_gigabytes: int, is_left: bool) -> None:
    now = datetime(2026, 1, 10, 12, tzinfo=UTC)
    days = [storage.DayStored(date(2026, 1, day), {LEVEL_DAY: Stored(1, 10, 100 << 20)}) for day in range(5, 10)]
    disk = storage.Disk(2000 << 30, free_gigabytes << 30, 2 << 30)
    classes = [storage.ClassStored("", 90, 400, 1, Stored(), Stored(), None, None)]
    forecast = storage._forecast(days, [], classes, disk, now)
    assert forecast is not None
    assert (forecast.bytes_per_day, forecast.is_rough) == (100 << 20, False)
    assert (forecast.days_left is not None) == is_left


def test_advice_is_grouped_filtered_and_leads_on(person: Any, shop: Source) -> None:
    viewer = person("viewer")
    body = viewer.get(NAMING).content.decode()
    shown = [word in body for word in ("Labels without a bound", "Names in camelCase", "?metric=queueLatency_ms")]
    assert shown == [True] * 3
    assert "Labels without a bound" not in viewer.get(f"{NAMING}?level=info").content.decode()
    only = viewer.get(f"{NAMING}?code=base_unit").content.decode()
    assert ("use the base unit seconds" in only, "Names in camelCase" in only) == (True, False)
    assert "No advice matches" in viewer.get(f"{NAMING}?q=nothing-like-it").content.decode()


def test_the_series_of_a_histogram_are_advised_as_one_family(shop: Source) -> None:
    now = datetime.now(UTC)
    at_ms = int(now.timestamp() * 1000)
    sent = [MetricRow(f"wait_ms{suffix}", 1.0, "untyped", {}, at_ms) for suffix in ("_bucket", "_sum", "_count")]
    samples_append(sent, source=shop, now=now)
    MetadataEntry.objects.update_or_create(family="wait_ms", defaults={"type": "histogram", "help": "Waiting."})
    held.forget_counts()
    found = linting.lint().narrowed(search="wait_ms")
    assert [(one.family, one.advice.code, one.series) for one in found] == [("wait_ms", "base_unit", 3)]


def test_the_api_and_the_command_say_the_same(person: Any, shop: Source, capsys: pytest.CaptureFixture[str]) -> None:
    answer = person("viewer").get("/api/console/v1/metric-advice/?level=warning").json()
    call_command("metrics_lint", "--level", "warning", "--format", "json")
    assert json.loads(capsys.readouterr().out) == answer["results"]
    assert {one["code"] for one in answer["results"]} >= {"unbounded_label", "base_unit"}


def test_an_unknown_level_is_refused_with_the_known_ones(person: Any) -> None:
    answer = person("viewer").get("/api/console/v1/metric-advice/?level=loud")
    assert (answer.status_code, "warning, info" in answer.content.decode()) == (400, True)


def test_the_command_ends_badly_where_it_was_asked_to(shop: Source, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="of level warning"):
        call_command("metrics_lint", "--fail-on", "warning")
    assert "warning: queueLatency_ms: " in capsys.readouterr().out
    call_command("metrics_lint", "--metric", "http_", "--fail-on", "warning")


@pytest.mark.parametrize(
    ("metric", "label", "value", "query"),
    [
        ("up", "", "", "up"),
        ("up", "job", 'a"b\\c', 'up{job="a\\"b\\\\c"}'),
        ("http.requests", "", "", '{"http.requests"}'),
        ("http.requests", "url.path", "/", '{"http.requests", "url.path"="/"}'),
        ("job:up:sum", "", "", "job:up:sum"),
    ],
)
def test_links_select_metrics_and_labels_of_any_name(metric: str, label: str, value: str, query: str) -> None:
    assert selector(metric, label, value) == query
    assert selectors_of(query)[0]
