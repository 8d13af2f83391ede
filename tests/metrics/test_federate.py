"""`/federate`: the newest samples as a page, in the form the client takes."""

from collections.abc import Callable

import pytest
from django.test import Client

from metrics.compat.federate import negotiated
from metrics.native_histograms.model import Histogram, Span
from metrics.promql.types import STALE_NAN
from metrics.wire.exposition.protobuf import families
from metrics.wire.federation import escaped, protobuf_page, row_of, text_page
from tests.metrics.senders import push, snappy, write_request

PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
EXPONENTIAL = Histogram(3, 5.0, 12.5, 0.001, 1.0, (Span(0, 2),), (1.0, 3.0))
LISTED = Histogram(-53, 6.0, 9.0, positive_spans=(Span(0, 2),), positive=(1.0, 5.0), custom_values=(0.5, 2.0))


@pytest.fixture
def now_ms(now_ms: int) -> int:
    """A moment that has certainly passed: the clock stands still at the begin of the test's transaction."""
    return now_ms - 20_000


@pytest.fixture
def federated(client: Client, token: str, issue: Callable[..., str], now_ms: int) -> Callable[..., str]:
    message = write_request(
        ({"__name__": "up", "job": "node"}, [(now_ms - 15_000, 0.0), (now_ms, 1.0)]),
        ({"__name__": "up", "instance": "b:9100", "job": "x\n"}, [(now_ms, 0.5)]),
        ({"__name__": "gone"}, [(now_ms - 30_000, 1.0), (now_ms, STALE_NAN)]),
        ({"__name__": "old"}, [(now_ms - 300_000, 1.0)]),
        ({"__name__": "http.requests", "the.code": "200"}, [(now_ms, 12.0)]),
    )
    assert push(client, token, snappy(message)).status_code == 204
    bearer = f"Bearer {issue('query', kind='service', of=None)}"

    def asked(*selectors: str, accept: str = "") -> str:
        answer = client.get("/federate", {"match[]": selectors}, headers={"Authorization": bearer, "Accept": accept})
        assert answer.status_code == 200
        return answer.content.decode()

    return asked


@pytest.mark.django_db
def test_the_newest_samples_come_as_text(federated: Callable[..., str], now_ms: int):
    assert federated("up", "gone", "old", '{job="node"}') == (
        f'# TYPE up untyped\nup{{instance="b:9100",job="x\\n"}} 0.5 {now_ms}\nup{{job="node",instance=""}} 1 {now_ms}\n'
    )
    assert federated() == ""


@pytest.mark.django_db
def test_utf8_names_are_escaped_unless_the_client_takes_them(federated: Callable[..., str], now_ms: int):
    selector = '{"http.requests"}'
    assert f'http_requests{{the_code="200",instance=""}} 12 {now_ms}\n' in federated(selector)
    quoted = federated(selector, accept="text/plain;version=1.0.0;escaping=allow-utf-8")
    assert f'{{"http.requests","the.code"="200",instance=""}} 12 {now_ms}\n' in quoted
    assert '# TYPE "http.requests" untyped\n' in quoted
    assert federated(selector, accept="application/openmetrics-text").endswith("# EOF\n")


@pytest.mark.django_db
def test_a_bad_selector_is_refused(client: Client, issue: Callable[..., str]):
    headers = {"Authorization": f"Bearer {issue('query', kind='service', of=None)}"}
    assert client.get("/federate", {"match[]": "{"}, headers=headers).status_code == 400
    assert client.get("/federate", {"match[]": "up"}).status_code == 401


def test_external_labels_fill_only_what_is_missing():
    row = row_of({"__name__": "a", "region": "x"}, {"region": "y", "zone": "z"}, 1000, 2.0, None)
    assert text_page([row], "allow-utf-8") == '# TYPE a untyped\na{region="x",zone="z"} 2 1000\n'


def test_native_histograms_are_left_out_of_text_and_listed_ones_become_classic():
    rows = [row_of({"__name__": "e"}, {}, 1000, 5.0, EXPONENTIAL), row_of({"__name__": "l"}, {}, 1500, 6.0, LISTED)]
    assert text_page(rows, "allow-utf-8") == (
        "# TYPE l histogram\n"
        'l_bucket{le="0.5"} 1 1500\nl_bucket{le="2"} 6 1500\nl_bucket{le="+Inf"} 6 1500\nl_sum 9 1500\nl_count 6 1500\n'
    )
    assert 'l_bucket{le="0.5"} 1 1.500' in text_page(rows, "allow-utf-8", openmetrics=True)


def test_protobuf_has_the_native_histograms_and_reads_back():

    rows = [
        row_of({"__name__": "e", "a": "b"}, {}, 1000, 5.0, EXPONENTIAL),
        row_of({"__name__": "n"}, {}, 5, 2.5, None),
    ]
    first, second = families(protobuf_page(rows, "underscores"))
    found = first.metric[0]
    assert (first.name, found.label[0].value, found.timestamp_ms) == ("e", "b", 1000)
    assert (found.histogram.schema, list(found.histogram.positive_count)) == (3, [1.0, 3.0])
    assert (second.name, second.metric[0].untyped.value) == ("n", 2.5)


@pytest.mark.parametrize(
    ("accept", "form", "scheme"),
    [
        ("", "text/plain", "underscores"),
        ("*/*", "text/plain", "underscores"),
        (f"{PROTOBUF};q=0.6;escaping=allow-utf-8,text/plain;q=0.3", "application/vnd.google.protobuf", "allow-utf-8"),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4",
         "application/openmetrics-text", "underscores"),
        ("application/vnd.google.protobuf;proto=other,text/plain;q=0.1;escaping=dots", "text/plain", "dots"),
        ("text/plain;q=high", "text/plain", "underscores"),
    ],
)  # fmt: skip
def test_the_form_is_the_one_the_client_likes_best(accept: str, form: str, scheme: str):
    assert negotiated(accept) == (form, scheme)


def test_names_are_escaped_by_each_scheme():
    assert escaped("a.b_c", "underscores", metric=True) == "a_b_c"
    assert escaped("a.b_c", "dots", metric=True) == "a_dot_b__c"
    assert escaped("a.b_c", "values", metric=True) == "U__a_2e_b__c"
    assert escaped("plain_name", "values", metric=True) == "plain_name"
