"""Sampling rules: which series and points are kept, by every door alike, and again when it is sent again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client

from aivillage_console.accounts.models import Source
from metrics.domain import SeriesBatch
from metrics.ingest.rows import gate
from metrics.ingest.sampling import (
    LEFT_OUT,
    BadSamplingRule,
    Sampling,
    point_shares,
    reset_sampling,
    rules_of,
    sampling,
    series_share,
)
from metrics.ingest.windows import Window
from metrics.ingest.writer import forget_series, store_samples, write_series
from metrics.models import DeltaTotal, Series
from metrics.promql.types import STALE_NAN, STALE_NAN_BITS, Matcher
from metrics.store.columns import Samples
from metrics.store.postgres import STORE
from tests.metrics.otlp import builds
from tests.metrics.senders import push, push_rows, snappy, write_request
from tests.metrics.write_v2 import Builder, push2

COUNT = 400


@pytest.fixture
def rules(settings: Any) -> Iterator[Callable[[str], None]]:
    def written(text: str) -> None:
        settings.CONFIG = replace(settings.CONFIG, sampling_rules=text)
        reset_sampling()

    yield written
    reset_sampling()


def labels_of(number: int) -> dict[str, str]:
    return {"__name__": "load", "host": f"h{number}"}


def by_remote_write(client: Client, token: str, now_ms: int) -> int:
    body = snappy(write_request(*((labels_of(number), [(now_ms, 1.0)]) for number in range(COUNT))))
    return push(client, token, body).status_code


def by_remote_write_2(client: Client, token: str, now_ms: int) -> int:
    request = Builder()
    for number in range(COUNT):
        request.series(labels_of(number), (now_ms, 1.0))
    answer = push2(client, token, request.body())
    assert answer["X-Prometheus-Remote-Write-Samples-Written"] == str(COUNT)
    return answer.status_code


def by_rows(client: Client, token: str, now_ms: int) -> int:
    rows = [{"name": "load", "value": 1.0, "labels": {"host": f"h{number}"}} for number in range(COUNT)]
    answer = push_rows(client, token, orjson.dumps({"batch_id": str(now_ms), "rows": rows}))
    assert answer.json()["accepted"] == COUNT
    return answer.status_code


def by_push(client: Client, token: str, now_ms: int) -> int:
    page = "".join(f'load{{host="h{number}"}} 1\n' for number in range(COUNT))
    headers = {"Authorization": f"Bearer {token}"}
    return client.put("/metrics/job/j", page, content_type="text/plain", headers=headers).status_code


def by_otlp(client: Client, token: str, now_ms: int) -> int:
    points = [builds.number(now_ms, 1.0, host=f"h{number}") for number in range(COUNT)]
    body = builds.request(builds.gauge("load", *points)).SerializeToString()
    headers = {"Authorization": f"Bearer {token}"}
    return client.post("/v1/metrics", body, content_type="application/x-protobuf", headers=headers).status_code


@pytest.mark.django_db
@pytest.mark.parametrize("door", [by_remote_write, by_remote_write_2, by_rows, by_push, by_otlp])
def test_every_door_keeps_the_same_tenth_and_so_it_does_again(
    client: Client, token: str, now_ms: int, rules: Callable[[str], None], door: Callable[[Client, str, int], int]
):
    rules('load{host=~"h.*"}')
    for step in range(3):
        assert door(client, token, now_ms + step) < 300
        if step == 1:
            forget_series()
    kept = {labels["host"] for labels in Series.objects.filter(metric__name="load").values_list("labels", flat=True)}
    more = {"job": "j"} if door is by_push else {}
    wanted = {number for number in range(COUNT) if series_share({**labels_of(number), **more}) < 0.1}
    assert kept == {f"h{number}" for number in wanted}
    assert 0.06 < len(kept) / COUNT < 0.14
    found = STORE.select([Matcher("__name__", "=", "load")], now_ms - 10**5, now_ms + 10**5)
    assert {labels["host"] for labels in found.labels} == kept
    assert not (found.offsets[1:] == found.offsets[:-1]).any()


@pytest.mark.django_db
def test_without_a_rule_all_is_kept(client: Client, token: str, now_ms: int):
    assert sampling().rules == []
    by_remote_write(client, token, now_ms)
    assert Series.objects.count() == COUNT


@pytest.mark.django_db
def test_what_is_left_out_is_counted_and_no_series_of_it_is_registered(
    client: Client, token: str, now_ms: int, rules: Callable[[str], None]
):
    text = 'load{__source__="edge-1"} 0.0001'
    rules(text)
    before = LEFT_OUT.labels(text)._value.get()
    by_remote_write(client, token, now_ms)
    by_remote_write(client, token, now_ms + 1)
    out = {number for number in range(COUNT) if series_share(labels_of(number)) >= 0.0001}
    assert (LEFT_OUT.labels(text)._value.get() - before, Series.objects.count()) == (2 * len(out), COUNT - len(out))


@pytest.mark.django_db
def test_another_source_keeps_all(client: Client, issue: Callable[..., str], now_ms: int, rules: Callable[[str], None]):
    rules('{__source__="edge-1"} 0.0001')
    by_remote_write(client, issue("ingest:metrics", of=Source.objects.create(name="edge-2")), now_ms)
    assert Series.objects.count() == COUNT


@pytest.mark.django_db
def test_points_are_thinned_out_alike_when_they_are_sent_again_and_markers_stay(
    source: Source, now_ms: int, rules: Callable[[str], None]
):
    rules('heat 0.25 points; {__name__="heat"} 1')
    times = now_ms - np.arange(2_000, dtype=np.int64) * 10
    batch = SeriesBatch([{"__name__": "heat"}, {"__name__": "cold"}], np.arange(2_000) % 2, times, np.ones(2_000))
    now, kept = datetime.now(UTC), []
    for _ in range(2):
        forget_series()
        written = write_series(
            batch, source_id=source.pk, gate=gate(), window=Window.at(now, backfill=False), now=now
        )  # fmt: skip
        assert written.samples == 2_000
        kept.append(select("heat", now_ms))
    heat = int(written.series_ids[0])
    stale = Samples(np.full(50, heat), now_ms + np.arange(50), np.full(50, STALE_NAN))
    store_samples(stale, Window.at(now, backfill=False))
    assert kept[0] == kept[1]
    assert 0.2 < len(kept[0]) / 1_000 < 0.3
    assert len(select("cold", now_ms)) == 1_000
    found = STORE.select([Matcher("__name__", "=", "heat")], now_ms, now_ms + 100)
    assert int((found.values.view(np.uint64) == STALE_NAN_BITS).sum()) >= 49


def select(name: str, now_ms: int) -> list[int]:
    return STORE.select([Matcher("__name__", "=", name)], now_ms - 10**6, now_ms + 10**6).timestamps_ms.tolist()


@pytest.mark.django_db
def test_deltas_of_what_is_left_out_add_up_to_nothing(
    client: Client, token: str, now_ms: int, rules: Callable[[str], None]
):
    rules("{host=~'h.*'} 0.0001")
    points = [builds.number(now_ms, 1.0, since_ms=now_ms - 1_000, host=f"h{number}") for number in range(20)]
    metric = builds.total("calls", *points, temporality=1)
    headers = {"Authorization": f"Bearer {token}"}
    body = builds.request(metric).SerializeToString()
    answer = client.post("/v1/metrics", body, content_type="application/x-protobuf", headers=headers)
    kept = Series.objects.filter(labels__host__isnull=False).count()
    assert (answer.status_code, DeltaTotal.objects.count()) == (200, kept)


def test_a_histogram_and_metrics_of_the_same_labels_are_kept_together():
    plain = {"job": "a", "path": "/x"}
    shares = {
        series_share({"__name__": name, **plain, **more})
        for name in ("d_bucket", "d_sum", "d_count", "errors_total", "requests_total")
        for more in ({}, {"le": "0.5"}, {"quantile": "0.9"})
    }
    assert shares == {series_share(plain)}
    assert series_share({"job": "a", "path": "/y"}) not in shares


def test_shares_are_even():
    ids = np.repeat(np.arange(200, 300, dtype=np.int64), 1_000)
    times = np.tile(np.arange(1_000, dtype=np.int64) * 15_000 + 1_700_000_000_000, 100)
    shares = point_shares(ids, times)
    assert np.all(np.abs(np.histogram(shares, 10, (0, 1))[0] / ids.size - 0.1) < 0.01)
    series = np.array([series_share({"pod": f"p-{number}"}) for number in range(20_000)])
    assert np.all(np.abs(np.histogram(series, 10, (0, 1))[0] / series.size - 0.1) < 0.01)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ; ", []),
        ("up", [(0.1, False)]),
        ("up 0.5", [(0.5, False)]),
        ("up points", [(0.1, True)]),
        ('{a="x;y",b=~"c|d"} 0.25 points; up{}', [(0.25, True), (0.1, False)]),
        ('{a="quoted \\" ; }"} 1', [(1.0, False)]),
    ],
)
def test_rules_are_read(text: str, expected: list[tuple[float, bool]]):
    assert [(rule.rate, rule.points) for rule in rules_of(text)] == expected


@pytest.mark.parametrize(
    "text", ["up 0", "up 1.5", "up -1", "up 0.1 0.2", "up{", '{a=~"("}', "up point", "0.5", ";".join(["up"] * 201)]
)
def test_what_is_no_rule_is_refused(text: str):
    with pytest.raises(BadSamplingRule):
        rules_of(text)


@pytest.mark.django_db
def test_the_check_of_settings_says_so(settings: Any):
    settings.CONFIG = replace(settings.CONFIG, sampling_rules="up 7")
    with pytest.raises(SystemCheckError, match="SAMPLING_RULES"):
        call_command("check")


def test_a_bad_rule_that_was_not_checked_leaves_nothing_out(rules: Callable[[str], None]):
    rules("up 7")
    assert sampling().rules == []


def test_the_first_rule_holds():
    first = Sampling(rules_of('up{job="a"} 0.5; up 0.2; {job="b"} 0.3'))
    asked = [{"__name__": "up", "job": "a"}, {"__name__": "up", "job": "b"}, {"__name__": "x", "job": "b"}, {}]
    assert [first._rule_of(labels) for labels in asked] == [0, 1, 2, None]
