"""POST /v1/metrics: OpenTelemetry's metrics over HTTP, protobuf or JSON, answered in the same form."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from metrics.domain import BadSeries, fingerprint, series_labels
from metrics.ingest.arrival import ARRIVAL
from metrics.ingest.body import decode_body, lone_surrogates_replaced, read_bounded
from metrics.ingest.deltas import totals_add
from metrics.ingest.doors import admit, context_of, door, written_count
from metrics.ingest.metadata import metadata_store
from metrics.ingest.refusals import REJECTED, Refusal
from metrics.ingest.rows import gate
from metrics.ingest.sampling import MOST_RULES
from metrics.ingest.windows import Window
from metrics.ingest.writer import SERIES_IDS, Written, write_series
from metrics.native_histograms.model import Histogram
from metrics.registry import IngestContext
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.otlp import reading
from metrics.wire.otlp.convert import rows_of
from metrics.wire.otlp.naming import Strategy
from metrics.wire.otlp.rows import NO_POINT, Rows, Translation

PROTOBUF, JSON = "application/x-protobuf", "application/json"
# The codes of google.rpc.Code.
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 11, 415: 3, 429: 8, 503: 14}


def _answer(message: Message, media: str, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    body = message.SerializeToString() if media == PROTOBUF else json_format.MessageToJson(message, indent=None)
    return HttpResponse(body, status=status, headers=headers, content_type=media)


def _refusal(refusal: Refusal, media: str) -> HttpResponse:
    # A sender tries again after 503 and drops what it has after 507.
    status = 503 if refusal.status == 507 else refusal.status
    message = Status(code=CODES.get(status, 2), message=refusal.reason)
    return _answer(message, media, status, refusal.headers)


@csrf_exempt
def metrics_door(request: HttpRequest) -> HttpResponse:
    """POST /v1/metrics and /api/v1/otlp/v1/metrics."""
    return _protobuf_door(request) if _media(request) == PROTOBUF else _json_door(request)


@door("otlp", lambda refusal: _refusal(refusal, PROTOBUF))
def _protobuf_door(request: HttpRequest) -> HttpResponse:
    return _take(request, PROTOBUF)


@door("otlp", lambda refusal: _refusal(refusal, JSON))
def _json_door(request: HttpRequest) -> HttpResponse:
    return _take(request, JSON)


def _media(request: HttpRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _take(request: HttpRequest, media: str) -> HttpResponse:
    context = context_of(admit(request, "ingest:metrics"), ARRIVAL.now())
    window = Window.at(context.now, backfill=context.backfill)
    rows = _rows(_body(request), media, translation(window))
    gate().take_samples(context.source_id, len(rows.labels))
    taken = _store(rows, context, window)
    written_count("otlp", context.source_name, taken.written, context.now)
    return _answer(_reply(taken, context), media)


def _body(request: HttpRequest) -> bytes:
    if _media(request) not in (PROTOBUF, JSON):
        raise Refusal(415, f"send {PROTOBUF} or {JSON}", "content_type")
    encoding = request.headers.get("Content-Encoding", "")
    body = read_bounded(request, reading.MAX_DECODED_BYTES)
    return decode_body(body, encoding, limit=reading.MAX_DECODED_BYTES)


def translation(window: Window) -> Translation:
    """Return the settings of the translation to series."""
    config = settings.CONFIG
    return Translation(
        Strategy(config.otlp_translation),
        frozenset(config.otlp_promote_resource_attributes),
        config.otlp_scope_labels,
        window.low_ms,
        window.high_ms,
    )


def _rows(body: bytes, media: str, how: Translation) -> Rows:
    rows = Rows()
    try:
        if media == PROTOBUF:
            request: Any = reading.protobuf_request(body)
        else:
            request = reading.json_request(lone_surrogates_replaced(body), rows)
        return rows_of(request, how, rows)
    except TooLarge as error:
        raise Refusal(413, str(error), "too_large") from None
    except WireError as error:
        raise Refusal(400, str(error), "bad_body") from None


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that was stored, as far as it could be."""

    rows: Rows
    written: Written

    def rejected_points(self) -> int:
        """Return how many data points were left out, as a whole or in part."""
        rows, ids = self.rows, self.written.series_ids.tolist()
        parts = {point for point, series in zip(rows.sample_points, ids, strict=True) if series < 0}
        return rows.refused.total() + len((parts | rows.refused_points.keys()) - {NO_POINT})

    def reasons(self) -> Counter[str]:
        """Return why something was left out, and how often."""
        return self.rows.refused + Counter(self.rows.refused_points.values()) + self.written.refused


def _store(rows: Rows, context: IngestContext, window: Window) -> Taken:
    """Commit the rows, and what the deltas among them add up to."""
    with transaction.atomic():
        metadata_store(list(rows.metadata.values()))
        dropped = _accumulate(rows, context, window) if rows.delta_starts_ms else set()
        batch = rows.batch(dropped)
        batch.metadata = []
        written = write_series(batch, source_id=context.source_id, gate=gate(), window=window, now=context.now)
        if written.limited and not written.samples + written.histograms:
            raise Refusal(429, f"nothing was stored: {written.limited}", "cardinality", retry_after_seconds=60)
    return Taken(rows, written)


def _accumulate(rows: Rows, context: IngestContext, window: Window) -> set[int]:
    """Put totals in the place of deltas; returns the rows that came before."""
    # All series at once, because they are locked by name: in two steps two requests might wait for each other.
    labels: dict[bytes, dict[str, str]] = {}
    keys: dict[int, bytes] = {}
    for row, given in enumerate(rows.labels):
        try:
            named = series_labels(list(given.items()))
        except BadSeries:
            continue  # the writer counts it
        keys[row] = fingerprint(named)
        labels[keys[row]] = named
    ids, _ = SERIES_IDS.resolve(labels, source_id=context.source_id, gate=gate(), now=context.now)
    # What a sampling rule leaves out adds up to nothing.
    row_ids = {row: ids[keys[row]] for row in rows.delta_starts_ms if ids.get(keys.get(row, b""), -1) >= MOST_RULES}
    addition = totals_add(rows, row_ids, now=context.now)
    for row, at_ms in addition.starts:
        if at_ms >= window.low_ms:
            _add_start(rows, row, at_ms)
    return addition.dropped


def _add_start(rows: Rows, row: int, at_ms: int) -> None:
    """Say that a series was 0 when it began, so that its first increase is seen."""
    first = rows.histograms.get(row)
    if first is None:
        added = rows.add(rows.labels[row], at_ms, 0.0)
    else:
        empty = Histogram(first.schema, 0.0, 0.0, first.zero_threshold)
        added = rows.add_histogram(rows.labels[row], at_ms, empty, delta_from_ms=None)
    rows.sample_points[added] = NO_POINT


def _reply(taken: Taken, context: IngestContext) -> ExportMetricsServiceResponse:
    reply = ExportMetricsServiceResponse()
    reasons = taken.reasons()
    if reasons:
        rejected = taken.rejected_points()
        text = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(5))
        reply.partial_success.rejected_data_points = rejected
        reply.partial_success.error_message = text[:2_000]
        REJECTED.labels("otlp", "metrics", context.source_name, "rows").inc(max(rejected, 1))
    return reply
