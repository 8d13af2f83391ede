"""Scrapes of real sockets into the real store, read back by PromQL."""

import asyncio
import gzip
import math
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aivillage_console.accounts.models import Source
from metrics import selectors
from metrics.scrape.entrance import context_of
from metrics.scrape.sink import Sink
from metrics.scrape.target import RunningTarget
from metrics.store.postgres import STORE
from metrics.wire.scraping.scrape_config import one_config
from metrics.wire.scraping.targets import build_target, discovered_labels
from tests.certificates import signed
from tests.conftest import PROJECT_DIR
from tests.metrics.scraping.pages import Page, served

pytestmark = pytest.mark.django_db(transaction=True)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
CORPORA = Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data")
GO_PAGE = CORPORA / "exposition-testdata" / "textparse" / "alltypes.5mfs.om.txt"


class Bench:
    """One target, scraped when a test says so."""

    def __init__(self, source: Source, page: Page, **config: Any) -> None:
        self.page, self.source = page, source
        self.config = one_config({"job_name": "test", **config})
        labels = discovered_labels(self.config, {"__address__": f"127.0.0.1:{page.port}"})
        target = build_target(self.config, labels)
        assert target is not None
        self.target = target
        self.at_ms = int(time.time() * 1000) - 60_000
        self.running: RunningTarget | None = None
        self.sink: Sink | None = None

    def scrape(self, *bodies: bytes, end: bool = False) -> None:
        """Scrape once a body, a second apart, all in one event loop."""
        asyncio.run(self._scrape(bodies or (self.page.body,), end=end))
        STORE.forget()

    async def _scrape(self, bodies: tuple[bytes, ...], *, end: bool) -> None:
        encrypted = self.config.scheme == "https"
        context = context_of(self.config.access.tls) if encrypted else None
        sink = Sink()
        running = RunningTarget(self.target, self.config, sink=sink, source_id=self.source.pk, context=context,
                                now_ms=lambda: self.at_ms)  # fmt: skip
        for body in bodies:
            self.page.body = body
            self.at_ms += 1000
            await running.scrape(self.at_ms)
        self.state = running.state
        await running.end(stale=end)
        await sink.flush()
        sink.close()

    def ask(self, query: str) -> dict[str, float]:
        """Answer a query as of now: value by the labels, without those of the target."""
        result = selectors.instant_query(query, at_ms=int(time.time() * 1000) + 5000)
        hidden = {"instance", "job"}
        return {
            ",".join(f"{n}={v}" for n, v in sorted(labels.items()) if n not in hidden): float(value)
            for labels, value, there in zip(result.labels, result.values[:, 0], result.present[:, 0], strict=True)
            if there
        }


@pytest.fixture
def page() -> Iterator[Page]:
    with served() as page:
        yield page


@pytest.fixture
def bench(source: Source, page: Page) -> Callable[..., Bench]:
    return lambda **config: Bench(source, page, **config)


def test_a_page_is_stored_with_the_labels_of_its_target_and_reports(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.scrape(b'# TYPE hits counter\nhits{path="/"} 3\nhits{path="/b"} 4\n')
    assert one.ask("hits") == {"__name__=hits,path=/": 3.0, "__name__=hits,path=/b": 4.0}
    assert one.ask('count({job="test",instance=~"127.0.0.1:.*",__name__="hits"})') == {"": 2.0}
    assert one.ask("up") == {"__name__=up": 1.0}
    assert one.ask("scrape_samples_scraped") == {"__name__=scrape_samples_scraped": 2.0}
    assert one.ask("scrape_series_added") == {"__name__=scrape_series_added": 2.0}
    assert one.ask("scrape_body_size_bytes") == {"__name__=scrape_body_size_bytes": float(len(one.page.body))}
    assert selectors.metadata(metric="hits")["hits"][0]["type"] == "counter"
    assert one.state.health == "up"


def test_the_second_scrape_adds_values_and_nothing_else(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.scrape(b"a 1\nb 2\n", b"a 3\nb 5\n", b"a 4\nb 7\n")
    assert one.ask("sum_over_time(a[5m])") == {"": 8.0}
    assert one.ask("sum_over_time(b[5m])") == {"": 14.0}
    assert one.ask("scrape_series_added") == {"__name__=scrape_series_added": 0.0}


def test_a_series_that_disappears_ends_at_once(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.scrape(b"a 1\nb 2\n", b"a 3\n")
    assert one.ask("a") == {"__name__=a": 3.0}
    assert one.ask("b") == {}


def test_a_target_that_fails_ends_its_series_and_is_down(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.scrape(b"a 1\n", b"a one\n")
    assert one.ask("a") == {}
    assert one.ask("up") == {"__name__=up": 0.0}
    assert "line 1: 'one' is not a number" in one.state.error


def test_a_target_that_is_gone_ends_its_reports_too(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.scrape(b"a 1\n", end=True)
    assert one.ask("a") == {}
    assert one.ask("up") == {}


def test_times_of_the_page_are_kept_or_not_as_configured(bench: Callable[..., Bench]) -> None:
    then = int(time.time() * 1000) - 30_000
    bench().scrape(b"kept 1 %d\n" % then)
    own = bench(honor_timestamps=False)
    own.scrape(b"moved 1 %d\n" % then)
    assert own.ask("timestamp(kept)") == {"": then / 1000}
    assert own.ask("timestamp(moved)") == {"": own.at_ms / 1000}


def test_labels_that_clash_are_moved_or_honored(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.scrape(b'a{job="mine"} 1\n')
    assert one.ask("a") == {"__name__=a,exported_job=mine": 1.0}
    bench(honor_labels=True).scrape(b'b{job="mine"} 1\n')
    assert one.ask('b{job="mine"}') == {"__name__=b": 1.0}


def test_samples_are_relabelled_and_dropped(bench: Callable[..., Bench]) -> None:
    one = bench(
        metric_relabel_configs=[
            {"source_labels": ["__name__"], "regex": "go_.*", "action": "drop"},
            {"source_labels": ["__name__"], "regex": "old_(.*)", "target_label": "__name__", "replacement": "new_$1"},
        ]
    )
    one.scrape(b"go_x 1\nold_x 2\n", b"go_x 1\nold_x 3\n")
    assert one.ask("new_x") == {"__name__=new_x": 3.0}
    assert one.ask("go_x") == {}
    name = "scrape_samples_post_metric_relabeling"
    assert one.ask(name) == {f"__name__={name}": 1.0}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"sample_limit": 1}, "sample_limit exceeded: 2 samples"),
        ({"label_limit": 2}, "label_limit exceeded"),
        ({"label_value_length_limit": 3}, "label_value_length_limit exceeded"),
        ({"body_size_limit": "5B"}, "larger than"),
    ],
)
def test_what_breaks_a_limit_is_not_stored(bench: Callable[..., Bench], config: dict[str, Any], reason: str) -> None:
    one = bench(**config)
    one.scrape(b"a 1\nb 2\n")
    assert reason in one.state.error
    assert one.ask("a") == {}
    assert one.ask("up") == {"__name__=up": 0.0}


def test_a_compressed_page_is_read_and_one_that_swells_is_cut_off(bench: Callable[..., Bench], page: Page) -> None:
    page.headers["Content-Encoding"] = "gzip"
    one = bench()
    one.scrape(gzip.compress(b"a 1\n"))
    assert one.ask("a") == {"__name__=a": 1.0}
    swelling = bench(body_size_limit="1MB")
    swelling.scrape(gzip.compress(b"a 1\n" * 1_000_000))
    assert "larger" in swelling.state.error


def test_openmetrics_that_breaks_a_rule_is_taken_with_a_warning_unless_the_pool_is_strict(
    bench: Callable[..., Bench], page: Page
) -> None:
    page.content_type = OPENMETRICS
    bad = b"# TYPE a counter\na_total -1\n# EOF\n"
    one = bench()
    one.scrape(bad)
    assert one.ask("a_total") == {"__name__=a_total": -1.0}
    assert one.state.health == "up"
    assert one.state.error.startswith("taken although it breaks a rule of OpenMetrics: line 2: ")
    assert "negative" in one.state.error
    one.scrape(b"# TYPE a counter\na_total 1\nb 1\n# EOF\n")
    assert (one.state.health, one.state.error) == ("up", "")
    strict = bench(strict_openmetrics=True)
    strict.scrape(bad)
    assert (strict.state.health, "negative" in strict.state.error) == ("down", True)


@pytest.mark.parametrize("strict", [False, True])
def test_a_page_of_openmetrics_that_was_cut_is_never_taken(
    bench: Callable[..., Bench], page: Page, strict: bool
) -> None:
    page.content_type = OPENMETRICS
    one = bench(strict_openmetrics=strict)
    one.scrape(b"# TYPE a counter\na_total 1\n")
    assert (one.state.health, "# EOF" in one.state.error) == ("down", True)


@pytest.mark.skipif(not GO_PAGE.exists(), reason="CORPORA_DIR has no exposition-testdata")
def test_the_page_of_a_real_client_with_a_sum_below_zero_is_taken(bench: Callable[..., Bench], page: Page) -> None:
    page.content_type = OPENMETRICS
    one = bench()
    one.scrape(GO_PAGE.read_bytes())
    assert one.state.health == "up"
    assert "rpc_durations_histogram_seconds_sum" in one.state.error
    assert one.ask("rpc_durations_histogram_seconds_sum") == {
        "__name__=rpc_durations_histogram_seconds_sum": -8.452185437166741e-05
    }


def test_exemplars_are_stored_once(bench: Callable[..., Bench], page: Page) -> None:
    page.content_type = OPENMETRICS
    body = b'# TYPE a counter\na_total 5 # {trace_id="x"} 0.7 %.3f\n# EOF\n' % (time.time() - 5)
    bench().scrape(body, body)
    assert _exemplars() == [({"trace_id": "x"}, 0.7)]


def _exemplars() -> list[tuple[dict[str, str], float]]:
    from metrics.models import Exemplar

    return [(row.labels, row.value) for row in Exemplar.objects.all()]


def test_the_form_that_is_wanted_is_asked_for(bench: Callable[..., Bench], page: Page) -> None:
    bench(params={"module": ["x y"]}, metrics_path="/probe").scrape(b"a 1\n")
    path, headers = page.asked[-1]
    assert path == "/probe?module=x+y"
    assert headers["accept"].startswith("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6")
    assert headers["accept-encoding"] == "gzip"
    assert headers["x-prometheus-scrape-timeout-seconds"] == "10"
    bench(scrape_native_histograms=True).scrape(b"a 1\n")
    assert page.asked[-1][1]["accept"].startswith("application/vnd.google.protobuf")


@pytest.mark.parametrize(
    ("config", "header"),
    [
        ({"basic_auth": {"username": "u", "password": "p"}}, "Basic dTpw"),
        ({"bearer_token": "t"}, "Bearer t"),
        ({"authorization": {"type": "Token", "credentials": "c"}}, "Token c"),
    ],
)
def test_credentials_are_sent(bench: Callable[..., Bench], page: Page, config: dict[str, Any], header: str) -> None:
    bench(http_headers={"X-Scope": {"values": ["one"]}}, **config).scrape(b"a 1\n")
    assert page.asked[-1][1]["authorization"] == header
    assert page.asked[-1][1]["x-scope"] == "one"


def test_a_connection_is_kept_between_scrapes_and_made_anew_where_it_ended(
    bench: Callable[..., Bench], page: Page
) -> None:
    one = bench()
    one.scrape(b"a 1\n", b"a 2\n", b"a 3\n")
    assert one.ask("count_over_time(a[5m])") == {"": 3.0}
    page.headers["Connection"] = "close"
    one.scrape(b"a 4\n", b"a 5\n")
    assert one.ask("count_over_time(a[5m])") == {"": 5.0}


def test_a_slow_target_is_given_up_after_its_timeout(bench: Callable[..., Bench], page: Page) -> None:
    release = threading.Event()
    page.wait = lambda: release.wait(20)
    one = bench(scrape_interval="1s", scrape_timeout="100ms")
    try:
        one.scrape(b"a 1\n")
    finally:
        release.set()
    assert one.state.error == "no answer within 0.1 s"


def test_what_a_target_answers_badly_is_named(bench: Callable[..., Bench], page: Page) -> None:
    one = bench()
    page.status = 503
    one.scrape(b"a 1\n")
    assert one.state.error == "server returned HTTP status 503 Service Unavailable"
    page.status, page.headers["Location"] = 302, "http://localhost:1/metrics"
    one.scrape(b"a 1\n")
    assert "redirects to http://localhost:1" in one.state.error


@pytest.mark.parametrize("address", ["169.254.169.254:80", "[fe80::1]:80", "[::ffff:169.254.169.254]:80", "0.0.0.0:80"])
def test_metadata_and_link_local_addresses_are_never_asked(
    bench: Callable[..., Bench], page: Page, address: str
) -> None:
    one = bench()
    target = build_target(one.config, discovered_labels(one.config, {"__address__": address}))
    assert target is not None
    one.target = target
    one.scrape(b"a 1\n")
    assert "is never asked" in one.state.error
    assert page.asked == []


def test_tls_is_verified_by_the_pool_s_own_authority(source: Source, tmp_path: Path) -> None:
    ca, leaf = signed(tmp_path, "target.example", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf)
    with served(context) as page:
        trusting = Bench(source, page, scheme="https", tls_config={"ca": ca.read_text()})
        trusting.scrape(b"a 1\n")
        assert trusting.state.error == ""
        named = Bench(source, page, scheme="https",
                      tls_config={"ca": ca.read_text(), "server_name": "target.example"})  # fmt: skip
        named.scrape(b"a 1\n")
        assert named.state.error == ""
        plain = Bench(source, page, scheme="https")
        plain.scrape(b"a 1\n")
        assert "certificate" in plain.state.error.lower()
        careless = Bench(source, page, scheme="https", tls_config={"insecure_skip_verify": True})
        careless.scrape(b"a 2\n")
        assert careless.ask("a") == {"__name__=a": 2.0}


def test_a_native_histogram_is_scraped_and_asked(bench: Callable[..., Bench], page: Page) -> None:
    from tests.metrics.exposition.test_protobuf_pages import delimited, sparse

    family = sparse()
    family.metric[0].ClearField("timestamp_ms")
    page.content_type = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    one = bench(scrape_native_histograms=True)
    one.scrape(delimited(family), delimited(family))
    assert one.ask("histogram_count(lag_seconds)") == {"path=/": 9.0}


def test_values_that_are_not_numbers_are_kept(bench: Callable[..., Bench]) -> None:
    one = bench()
    one.scrape(b"a NaN\nb +Inf\nc -Inf\n")
    assert math.isnan(one.ask("a")["__name__=a"])
    assert one.ask("b") == {"__name__=b": np.inf}
