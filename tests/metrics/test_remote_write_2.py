"""Remote write 2 at the door, with the official messages: the requirement list of its compliance suite, receiver side.

The names in brackets are those of the list; what it says SHOULD or MUST is an assertion here, and that the samples can
be read back, which the list does not ask, is too.
"""

import math
from collections.abc import Callable

import cramjam
import pytest
from django.test import Client

from metrics.models import HeadBlock, MetadataEntry, Metric, Series
from metrics.native_histograms import codec
from metrics.native_histograms.model import CUSTOM_SCHEMA, Histogram, ResetHint, Span
from metrics.promql.types import STALE_NAN, STALE_NAN_BITS, Matcher, SeriesColumns
from metrics.store.exemplars import Exemplar, exemplars_select, forget_rates
from metrics.store.postgres import STORE
from tests.metrics.senders import push, snappy, write_request
from tests.metrics.write_v2 import Builder, push2, whole_histogram, written

pytestmark = pytest.mark.django_db
Commits = Callable[..., object]


def read(name: str, now_ms: int) -> SeriesColumns:
    return STORE.select([Matcher("__name__", "=", name)], now_ms - 10**6, now_ms + 10**6)


def values(name: str, now_ms: int) -> list[float]:
    return sorted(read(name, now_ms).values.tolist())


def exemplars(name: str, now_ms: int) -> list[Exemplar]:
    forget_rates()
    ids = list(Series.objects.filter(metric__name=name).values_list("pk", flat=True))
    return exemplars_select(ids, now_ms - 10**6, now_ms + 10**6)


def kept_histograms(name: str, now_ms: int) -> list[Histogram]:
    found = read(name, now_ms).histograms
    assert found is not None
    return [codec.decode(one) if isinstance(one, bytes) else one for one in found]


@pytest.mark.parametrize("value", [0.0, -1.5, math.inf, -math.inf, 1e308, 5e-324])
def test_a_sample_is_stored_and_counted(client: Client, token: str, now_ms: int, value: float):
    """[TestSingleMetric, TestMultipleMetrics]."""
    request = Builder()
    request.series({"__name__": "up", "job": "a", "x": "line\nbreak é"}, (now_ms, value))
    request.series({"__name__": "with.dots and spaces"}, (now_ms - 1, 1.0), (now_ms, value))
    answer = push2(client, token, request.body())
    assert (answer.status_code, answer.content, written(answer)) == (204, b"", (3, 0, 0))
    assert read("up", now_ms).labels == [{"__name__": "up", "job": "a", "x": "line\nbreak é"}]
    assert values("up", now_ms) == [value]
    assert values("with.dots and spaces", now_ms) == sorted([1.0, value])


def test_nan_and_stale_markers_keep_their_bits(client: Client, token: str, now_ms: int):
    request = Builder()
    request.series({"__name__": "up"}, (now_ms, STALE_NAN))
    assert push2(client, token, request.body()).status_code == 204
    assert read("up", now_ms).values.view("u8").tolist() == [STALE_NAN_BITS]


def test_the_same_series_in_another_table_of_symbols_is_the_same_series(
    client: Client, token: str, now_ms: int, django_capture_on_commit_callbacks: Commits
):
    for step, others in enumerate((["b", "a"], ["b", "a"], ["zz", "a", "b", "job", "yy"], [])):
        request = Builder()
        for text in others:
            request.ref(text)
        for job in ("a", "b"):
            request.series({"__name__": "up", "job": job}, (now_ms + step, float(step)))
        with django_capture_on_commit_callbacks(execute=True):
            assert written(push2(client, token, request.body())) == (2, 0, 0)
    assert Series.objects.count() == 2
    found = read("up", now_ms)
    assert found.values.tolist() == [0.0, 1.0, 2.0, 3.0] * 2


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"job": "a"}, "metric name is missing"),
        ({"__name__": ""}, "metric name is missing"),
        ({}, "metric name is missing"),
        ({"__name__": "a", "x": "nul\0"}, "NUL"),
        ({"__name__": "a", **{f"l{number:02d}": "v" for number in range(41)}}, "42 labels"),
        ({"__name__": "a", **{f"l{number:03d}": "v" for number in range(200)}}, "201 labels"),
    ],
)
def test_a_bad_series_is_told_and_the_good_one_beside_it_kept(
    client: Client, token: str, now_ms: int, labels: dict[str, str], words: str
):
    """[TestMultipleMetrics: 1 without name label; TestSingleMetric: empty metric, without name label]."""
    request = Builder()
    request.series(labels, (now_ms, 1.0))
    request.series({"__name__": "good"}, (now_ms, 2.0))
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (400, (1, 0, 0))
    assert words in answer.content.decode()
    assert values("good", now_ms) == [2.0]


@pytest.mark.parametrize(("refs", "words"), [([1, 99], "symbol 99 of"), ([1], "odd"), ([1, 2, 1, 2], "given twice")])
def test_refs_that_cannot_be_followed_cost_their_series_alone(
    client: Client, token: str, now_ms: int, refs: list[int], words: str
):
    request = Builder()
    request.series({"__name__": "good"}, (now_ms, 2.0))
    entry = request.message.timeseries.add()
    entry.labels_refs.extend(refs)
    entry.samples.add(timestamp=now_ms, value=1.0)
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (400, (1, 0, 0))
    assert words in answer.content.decode()


def test_a_table_that_does_not_begin_with_nothing_is_refused(client: Client, token: str, now_ms: int):
    request = Builder()
    request.series({"__name__": "a"}, (now_ms, 1.0))
    request.message.symbols[0] = "x"
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (400, (0, 0, 0))
    assert "first symbol" in answer.content.decode()
    assert HeadBlock.objects.count() == 0


def test_metadata_of_every_type_is_kept(client: Client, token: str, now_ms: int):
    """[TestMetadata, TestMultipleMetadata, TestMetadataWithSamples, TestMetadataWithComplexLabels]."""
    request = Builder()
    kinds = ["untyped", "counter", "gauge", "histogram", "histogram", "summary", "untyped", "untyped"]
    for number, _ in enumerate(kinds):
        labels = {"__name__": f"m{number}", "x": 'quo"te'}
        request.series(labels, (now_ms, 1.0), metadata=(number, f"Help {number}\n\\é", "seconds"))
        request.series({**labels, "y": "2"}, (now_ms, 1.0), metadata=(number, f"Help {number}\n\\é", "seconds"))
    request.series({"__name__": "d_seconds_bucket", "le": "1"}, (now_ms, 1.0), metadata=(3, "Took.", "seconds"))
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (204, (17, 0, 0))
    assert {e.family: e.type for e in MetadataEntry.objects.all()} == {
        **{f"m{number}": kind for number, kind in enumerate(kinds)},
        "d_seconds": "histogram",
    }
    assert {e.help for e in Metric.objects.filter(name__startswith="m")} == {f"Help {n}\n\\é" for n in range(8)}


def test_metadata_that_changes_is_kept_as_it_was_said_last(
    client: Client, token: str, now_ms: int, django_capture_on_commit_callbacks: Commits
):
    for text in ("Old.", "Old.", "New."):
        request = Builder()
        request.series({"__name__": "a"}, (now_ms, 1.0), metadata=(1, text, ""))
        with django_capture_on_commit_callbacks(execute=True):
            push2(client, token, request.body())
    assert [(entry.help, entry.unit) for entry in MetadataEntry.objects.all()] == [("New.", "")]


def test_metadata_without_samples_makes_no_series(client: Client, token: str):
    """[TestEdgeCaseCombinations: metadata_without_data; TestMetadataValidation]."""
    request = Builder()
    request.series({"__name__": "later"}, metadata=(2, "Comes later.", ""))
    assert push2(client, token, request.body()).status_code == 204
    assert (MetadataEntry.objects.count(), Series.objects.count()) == (1, 0)
    nameless = Builder()
    nameless.series({"job": "a"}, metadata=(2, "Nobody's.", ""))
    answer = push2(client, token, nameless.body())
    assert (answer.status_code, written(answer)) == (400, (0, 0, 0))


def test_a_created_timestamp_is_taken(client: Client, token: str, now_ms: int):
    """[TestCounterWithCreatedTimestamp, TestCounterMetadataWithCreatedTimestamp, TestExemplarWithCreatedTimestamp]."""
    request = Builder()
    entry = request.series({"__name__": "a_total"}, (now_ms, 5.0), metadata=(1, "Counts.", ""))
    entry.samples[0].start_timestamp = now_ms - 60_000
    request.exemplar(entry, {"trace_id": "abc"}, 1.0, now_ms)
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (204, (1, 0, 1))
    assert values("a_total", now_ms) == [5.0]


@pytest.mark.parametrize(
    "labels",
    [
        {"trace_id": "0123456789abcdef"},
        {"trace_id": "a", "span_id": "b"},
        {"user": "x"},
        {},
        {"text": 'quo"te \\ /'},
        {"text": "žluťoučký 🐎"},
    ],
)
def test_an_exemplar_is_kept(client: Client, token: str, now_ms: int, labels: dict[str, str]):
    """[TestExemplars, TestSpecialCharactersCombined]."""
    request = Builder()
    entry = request.series({"__name__": "a_total", "job": "x"}, (now_ms, 5.0))
    request.exemplar(entry, labels, 0.25, now_ms - 5)
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (204, (1, 0, 1))
    assert [(one.timestamp_ms, one.value, one.labels) for one in exemplars("a_total", now_ms)] == [
        (now_ms - 5, 0.25, labels)
    ]


def test_several_exemplars_and_special_values_are_kept(client: Client, token: str, now_ms: int):
    """[TestMultipleExemplars, TestExemplarTimestamps, TestExemplarSpecialValues, exemplars_without_data]."""
    request = Builder()
    entry = request.series({"__name__": "a_total"})
    for number, value in enumerate((1.0, math.inf, -math.inf, 0.0)):
        request.exemplar(entry, {"trace_id": str(number)}, value, now_ms - number)
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (204, (0, 0, 4))
    assert [one.value for one in exemplars("a_total", now_ms)] == [0.0, -math.inf, math.inf, 1.0]


def test_bad_exemplars_do_not_cost_the_samples(client: Client, token: str, now_ms: int):
    """[TestExemplarValidation]."""
    request = Builder()
    entry = request.series({"__name__": "a_total"}, (now_ms, 5.0))
    request.exemplar(entry, {"trace_id": "x" * 200}, 1.0, now_ms)
    request.exemplar(entry, {"trace_id": "y"}, 1.0, now_ms - 90 * 86_400_000)
    request.exemplar(entry, {"trace_id": "z"}, 1.0, now_ms)
    entry.exemplars.add(labels_refs=[77, 78], value=1.0, timestamp=now_ms)
    nameless = request.series({"job": "x"}, (now_ms, 1.0))
    request.exemplar(nameless, {"trace_id": "z"}, 1.0, now_ms)
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (400, (1, 0, 1))
    for words in ("longer than 128", "window", "symbol 77", "name is missing (2)"):
        assert words in answer.content.decode()


def test_whole_histograms_are_kept(client: Client, token: str, now_ms: int):
    """[TestHistograms: basic, positive only, minimal; TestHistogramWithMetadataAndExemplar]."""
    request = Builder()
    entry = request.series({"__name__": "h"}, metadata=(3, "Sizes.", "bytes"))
    made = whole_histogram(entry, now_ms, reset_hint=2)
    made.negative_spans.add(offset=-2, length=1)
    made.negative_deltas.append(4)
    made.count_int = 11
    request.exemplar(entry, {"trace_id": "a"}, 1.0, now_ms)
    minimal = request.series({"__name__": "empty"}).histograms.add(timestamp=now_ms, count_int=0, schema=3)
    minimal.zero_count_int = 0
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (204, (0, 2, 1))
    assert kept_histograms("h", now_ms) == [
        Histogram(1, 11.0, 20.5, 1e-128, 1.0, (Span(0, 3),), (2.0, 3.0, 1.0), (Span(-2, 1),), (4.0,), (), ResetHint.NO)
    ]
    assert read("h", now_ms).values.tolist() == [11.0]
    assert kept_histograms("empty", now_ms)[0].count == 0


def test_float_and_custom_histograms_are_kept(client: Client, token: str, now_ms: int):
    """[TestHistograms: custom_buckets_histogram; TestCustomBucketsHistogramWithExemplar]."""
    request = Builder()
    floats = request.series({"__name__": "f"}).histograms.add(timestamp=now_ms, count_float=2.5, sum=3.0, schema=-4)
    floats.positive_spans.add(offset=-3, length=2)
    floats.positive_counts.extend([0.5, 2.0])
    custom = request.series({"__name__": "c"}).histograms.add(timestamp=now_ms, count_int=3, schema=CUSTOM_SCHEMA)
    custom.custom_values.extend([0.1, 1.0])
    custom.positive_spans.add(offset=1, length=2)
    custom.positive_deltas.extend([1, 1])
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (204, (0, 2, 0))
    assert kept_histograms("f", now_ms)[0].positive == (0.5, 2.0)
    assert kept_histograms("c", now_ms)[0].custom_values == (0.1, 1.0)


BAD_HISTOGRAMS = {
    "count does not add up": ({"count_int": 99}, "add up|hold"),
    "schema is unknown": ({"schema": 20}, "schema"),
    "a bucket is negative": ({"deltas": (2, -5, 3)}, "negative"),
    "buckets without spans": ({"extra_delta": 1}, "spans"),
    "too many buckets": ({"deltas": (0,) * 1_001}, "1000 buckets"),
}


@pytest.mark.parametrize("case", BAD_HISTOGRAMS)
def test_a_bad_histogram_is_told_and_the_rest_kept(client: Client, token: str, now_ms: int, case: str):
    """[TestHistograms: bad_count_histogram]."""
    fields, words = BAD_HISTOGRAMS[case]
    fields = dict(fields)
    extra = fields.pop("extra_delta", None)
    request = Builder()
    entry = request.series({"__name__": "h"})
    made = whole_histogram(entry, now_ms, **fields)
    if extra:
        made.positive_deltas.append(extra)
    whole_histogram(request.series({"__name__": "good"}), now_ms)
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (400, (0, 1, 0))
    assert any(word in answer.content.decode() for word in words.split("|")), answer.content
    assert len(kept_histograms("good", now_ms)) == 1


def test_a_stale_marker_of_a_histogram_is_an_ordinary_one(client: Client, token: str, now_ms: int):
    request = Builder()
    request.series({"__name__": "h"}).histograms.add(timestamp=now_ms, sum=STALE_NAN)
    assert push2(client, token, request.body()).status_code == 204
    assert read("h", now_ms).values.view("u8").tolist() == [STALE_NAN_BITS]


def test_everything_at_once(client: Client, token: str, now_ms: int):
    """[TestComplexSamplesRequest, TestComplexHistogramsRequest, TestManySamples, mixed_timestamp_data]."""
    request = Builder()
    for number in range(300):
        entry = request.series(
            {"__name__": f"family_{number % 7}", "i": str(number)},
            *((now_ms - step * 1000, float(step)) for step in range(5)),
            metadata=(2, "A gauge.", ""),
        )
        request.exemplar(entry, {"trace_id": str(number)}, 1.0, now_ms)
        whole_histogram(request.series({"__name__": f"h_{number % 3}", "i": str(number)}), now_ms - number)
    answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (204, (1500, 300, 300))
    assert len(values("family_0", now_ms)) == 43 * 5
    assert len(kept_histograms("h_2", now_ms)) == 100


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "text/plain",
        "",
        "application/x-protobuf;proto=io.prometheus.write.v3.Request",
        "application/x-protobuf;proto=",
    ],
)
def test_an_unknown_message_is_415_with_a_text(client: Client, token: str, content_type: str):
    """[TestBadContentTypes]."""
    answer = push2(client, token, Builder().body(), **{"Content-Type": content_type})
    assert answer.status_code == 415
    assert b"application/x-protobuf" in answer.content or b"io.prometheus.write.v2.Request" in answer.content


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-protobuf; proto=io.prometheus.write.v2.Request",
        'Application/X-Protobuf; charset=utf-8; proto="io.prometheus.write.v2.Request"',
    ],
)
def test_the_content_type_may_be_written_in_other_ways(client: Client, token: str, now_ms: int, content_type: str):
    request = Builder()
    request.series({"__name__": "a"}, (now_ms, 1.0))
    assert written(push2(client, token, request.body(), **{"Content-Type": content_type})) == (1, 0, 0)


def test_another_encoding_is_415(client: Client, token: str):
    answer = push2(client, token, Builder().raw(), **{"Content-Encoding": "gzip"})
    assert (answer.status_code, written(answer)) == (415, (0, 0, 0))


@pytest.mark.parametrize(
    "body",
    [
        b"\x80",
        b"\xff\xff\xff",
        bytes(cramjam.snappy.compress_raw(b"\xff" * 40)),
        bytes(cramjam.snappy.compress_raw(b"\x2a\x7f\x01")),
        bytes(cramjam.snappy.compress_raw(b"\x22\x00\x2a\x03\x0a\x01\xff")),
    ],
)
def test_a_corrupt_body_is_400_and_counts_nothing(client: Client, token: str, body: bytes):
    """[TestCorruptRequestBody]."""
    answer = push2(client, token, body)
    assert (answer.status_code, written(answer)) == (400, (0, 0, 0))


def test_a_request_of_version_1_under_the_name_of_version_2_holds_nothing(client: Client, token: str, now_ms: int):
    answer = push2(client, token, snappy(write_request(({"__name__": "a"}, [(now_ms, 1.0)]))))
    assert (answer.status_code, written(answer)) == (204, (0, 0, 0))


def test_version_1_still_has_no_counts(client: Client, token: str, now_ms: int):
    """[TestRW1BasicCompatibility, TestRW1ErrorHandling]."""
    answer = push(client, token, snappy(write_request(({"__name__": "a"}, [(now_ms, 1.0)]))))
    assert (answer.status_code, "X-Prometheus-Remote-Write-Samples-Written" in answer) == (204, False)


def test_a_limit_keeps_the_old_series_and_holds_back_the_new(
    client: Client, token: str, now_ms: int, settings, django_capture_on_commit_callbacks: Commits
):
    import dataclasses

    settings.CONFIG = dataclasses.replace(settings.CONFIG, ingest_series_per_source=3)
    for step, count in enumerate((3, 5)):
        request = Builder()
        for number in range(count):
            request.series({"__name__": "m", "i": str(number)}, (now_ms + step, 1.0))
        with django_capture_on_commit_callbacks(execute=True):
            answer = push2(client, token, request.body())
    assert (answer.status_code, written(answer)) == (429, (3, 0, 0))
    assert int(answer["Retry-After"]) > 0
    assert "limit of 3 series a source (2)" in answer.content.decode()
