"""Senders that are not ours push into a real console: OpenTelemetry's exporter and Prometheus' client library."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Gauge, delete_from_gateway, push_to_gateway, pushadd_to_gateway
from prometheus_client import Counter as PrometheusCounter

from bench.harness import Console, running_console
from bench.roles import environment, furnish
from tests.scenarios.test_thread import until

pytestmark = pytest.mark.timeout(240)


@dataclass
class Target:
    """A running console and a token that may push and ask."""

    console: Console
    token: str
    cookies: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def ask(self, query: str) -> dict[tuple[tuple[str, str], ...], Any]:
        """Return the vector of an instant query by its labels."""
        reply = httpx.get(
            f"{self.console.url}/api/v1/query", params={"query": query}, cookies=self.cookies, timeout=20.0
        )
        result = reply.json()["data"]["result"]
        return {tuple(sorted(one["metric"].items())): one.get("histogram", one.get("value"))[1] for one in result}

    def value(self, query: str) -> str | None:
        """Return the one value of a query, None where there is none."""
        found = list(self.ask(query).values())
        assert len(found) < 2, found
        return found[0] if found else None


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with running_console({"PUSH_REPEAT_SECONDS": "1"}) as console:
        made = furnish(environment(console), {"scopes": ["ingest:metrics"], "session": True})
        yield Target(console, made["token"], made["cookies"])


def meter_provider(target: Target, path: str, temporality: AggregationTemporality, service: str) -> MeterProvider:
    exporter = OTLPMetricExporter(
        endpoint=f"{target.console.url}{path}",
        headers=target.headers,
        compression=Compression.Gzip,
        preferred_temporality={Counter: temporality, Histogram: temporality},
    )
    views = [View(instrument_name="exp.*", aggregation=ExponentialBucketHistogramAggregation())]
    resource = Resource({"service.name": service, "service.instance.id": "one", "deployment.environment": "test"})
    return MeterProvider([PeriodicExportingMetricReader(exporter, 3_600_000)], resource, views=views)


@pytest.mark.parametrize(
    ("path", "temporality", "service"),
    [
        ("/v1/metrics", AggregationTemporality.CUMULATIVE, "cumulative"),
        ("/api/v1/otlp/v1/metrics", AggregationTemporality.DELTA, "delta"),
    ],
)
def test_the_official_exporter_is_understood(
    target: Target, path: str, temporality: AggregationTemporality, service: str
):
    provider = meter_provider(target, path, temporality, service)
    meter = provider.get_meter("test.meter", "1.2")
    calls = meter.create_counter("calls", unit="{call}", description="Calls.")
    busy = meter.create_up_down_counter("busy")
    explicit = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    sparse = meter.create_histogram("exp.latency", unit="s")
    meter.create_gauge("temperature", unit="Cel").set(21.5)
    for _ in range(3):
        calls.add(2, {"http.method": "GET"})
        busy.add(1)
        explicit.record(0.5)
        sparse.record(0.5)
        assert provider.force_flush()
    provider.shutdown()
    of = f'{{job="{service}"}}'
    assert target.ask(f"calls_total{of}") == {
        (
            ("__name__", "calls_total"), ("http_method", "GET"), ("instance", "one"), ("job", service),
            ("otel_scope_name", "test.meter"), ("otel_scope_version", "1.2"),
        ): "6",
    }  # fmt: skip
    assert target.value(f"busy{of}") == "3"
    assert target.value(f"temperature_celsius{of}") == "21.5"
    buckets = target.ask(f"latency_seconds_bucket{of}")
    assert {dict(labels)["le"]: value for labels, value in buckets.items()} == {"0.1": "0", "1": "3", "+Inf": "3"}
    assert target.value(f"histogram_count(exp_latency_seconds{of})") == "3"
    assert target.value(f"histogram_sum(exp_latency_seconds{of})") == "1.5"
    assert float(target.value(f"histogram_quantile(0.5, exp_latency_seconds{of})") or 0) == pytest.approx(0.5, rel=0.01)
    assert target.value(f'target_info{{job="{service}", deployment_environment="test"}}') == "1"


def test_the_clients_gateway_calls_are_understood(target: Target):
    def handler(url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes):
        def send() -> None:
            reply = httpx.request(method, url, headers=dict(headers) | target.headers, content=data, timeout=timeout)
            reply.raise_for_status()

        return send

    registry = CollectorRegistry()
    Gauge("rows_copied", "Rows.", registry=registry).set(7)
    PrometheusCounter("runs", "Runs.", registry=registry).inc()
    key = {"instance": "a/b", "zone": ""}
    push_to_gateway(target.console.url, "nightly", registry, grouping_key=key, handler=handler)
    of = '{job="nightly", instance="a/b"}'
    assert (target.value(f"rows_copied{of}"), target.value(f"runs_total{of}")) == ("7", "1")
    assert float(target.value(f"push_time_seconds{of}") or 0) > 1_700_000_000
    more = CollectorRegistry()
    Gauge("rows_copied", "Rows.", registry=more).set(9)
    pushadd_to_gateway(target.console.url, "nightly", more, grouping_key=key, handler=handler)
    assert (target.value(f"rows_copied{of}"), target.value(f"runs_total{of}")) == ("9", "1")
    # The compactor's process writes it again, as a scrape would.
    until(lambda: int(target.value(f"count_over_time(runs_total{of}[5m])") or 0) >= 3, "the group is not written again")
    delete_from_gateway(target.console.url, "nightly", grouping_key=key, handler=handler)
    assert target.ask(f"rows_copied{of}") == {}
