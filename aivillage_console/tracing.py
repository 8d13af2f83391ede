"""OpenTelemetry: spans of requests, tasks and what they ask of PostgreSQL and Redis, by OTLP over HTTP.

Only what a request or a task began is a trace. A statement without either (the ingest doors, whose handler has no
middleware, and the loops that look for due work) starts none, so the spans' own way in is never traced.
"""

from collections.abc import Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, TraceState, get_current_span, set_tracer_provider
from opentelemetry.util.types import Attributes

from aivillage_console.env import Config

UNTRACED_URLS = "/-/,/metrics,/api/v1/ingest/,/api/v1/write,/sign-in/"
URL_ATTRIBUTES = ("http.url", "http.target", "url.full", "url.query")


class BegunByRequestOrTask(Sampler):
    """Samples the roots that are requests or tasks, and nothing else."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,  # noqa: ARG002
        name: str,  # noqa: ARG002
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,  # noqa: ARG002
        trace_state: TraceState | None = None,  # noqa: ARG002
    ) -> SamplingResult:
        """Decide by the kind of the span."""
        taken = kind in (SpanKind.SERVER, SpanKind.CONSUMER)
        decision = Decision.RECORD_AND_SAMPLE if taken else Decision.DROP
        state = get_current_span(parent_context).get_span_context().trace_state
        return SamplingResult(decision, attributes if taken else None, state)

    def get_description(self) -> str:
        """Name the sampler."""
        return "BegunByRequestOrTask"


def _without_query(span: Span, request: Any) -> None:
    # Addresses carry what people search for; the route and the path are enough to find a slow page.
    for name in URL_ATTRIBUTES:
        span.set_attribute(name, request.path)


def start(role: str, config: Config) -> TracerProvider:
    """Send this process's spans; call it before the request handler is built."""
    resource = Resource.create({"service.name": "aivillage-console", "service.instance.id": role})
    provider = TracerProvider(resource=resource, sampler=ParentBased(BegunByRequestOrTask()))
    endpoint = config.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5)))
    set_tracer_provider(provider)
    DjangoInstrumentor().instrument(tracer_provider=provider, excluded_urls=UNTRACED_URLS, request_hook=_without_query)
    PsycopgInstrumentor().instrument(tracer_provider=provider)
    RedisInstrumentor().instrument(tracer_provider=provider)
    CeleryInstrumentor().instrument(tracer_provider=provider)  # type: ignore[no-untyped-call]
    return provider
