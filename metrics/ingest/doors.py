"""The doors machines push to: plain views, a token each, nothing kept that was not committed."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache, wraps
from http import HTTPStatus
from uuid import UUID

import msgspec
import numpy as np
import prometheus_client
import psycopg
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from aivillage_console.accounts.authentication import TokenRefused, authenticate_request, client_ip
from aivillage_console.accounts.models import ApiToken
from aivillage_console.lib import clock
from metrics.domain import Rejection
from metrics.ingest.body import decode_body, lone_surrogates_spoiled, read_bounded
from metrics.ingest.limits import DiskGuard
from metrics.ingest.refusals import LAG, REJECTED, ROWS, Refusal, rejection_record
from metrics.ingest.rows import METRICS, all_limited, gate, reasons_of
from metrics.ingest.writer import Written
from metrics.models import IngestBatch
from metrics.registry import RECORD_KINDS, IngestContext, RecordKind, record_kind_register
from metrics.wire import kernels

MAX_JSON_BYTES = 10_000_000
MAX_COMPRESSED_JSON_BYTES = 1_000_000
MAX_JSON_DEPTH = 32
MAX_JSON_NODES = 200_000
MAX_ROWS = 50_000
MAX_BATCH_ID = 64
# In the environment of a request: the source that it was counted for already. No header can have this name.
COUNTED = "console.counted"
NOT_UNICODE = "a text of the row is not Unicode: it holds half a surrogate pair or bytes that are not UTF-8"
Answer = Callable[[Refusal], HttpResponse]
Door = Callable[..., HttpResponse]

# Here and not in a hook: only processes with a door pay for the compiled kernels behind it.
record_kind_register(METRICS)
_guards: list[DiskGuard] = []


def disk_guard() -> DiskGuard:
    """Return the guard of the embedded database's disk."""
    if not _guards:
        _guards.append(DiskGuard(settings.CONFIG.state_path))
    return _guards[0]


def problem(refusal: Refusal) -> HttpResponse:
    """Answer as our own API does."""
    body = {"type": "about:blank", "title": "Not taken", "status": refusal.status, "detail": refusal.reason}
    return JsonResponse(body, status=refusal.status, headers=refusal.headers, content_type="application/problem+json")


def plain(refusal: Refusal) -> HttpResponse:
    """Answer as a Prometheus receiver does: one line of text."""
    return HttpResponse(
        refusal.reason + "\n", status=refusal.status, headers=refusal.headers, content_type="text/plain; charset=utf-8"
    )


def _database_refusal(error: Exception) -> Refusal:
    if isinstance(error.__cause__, psycopg.errors.DiskFull):
        return Refusal(507, "the disk of the database is full", "disk_full", retry_after_seconds=60)
    return Refusal(503, "the database is away, send again", "database_away", retry_after_seconds=2)


def door(name: str, answer: Answer) -> Callable[[Door], Door]:
    """Turn every refusal into the protocol's own answer, and remember it."""

    def decorate(view: Door) -> Door:
        @csrf_exempt
        @wraps(view)
        def guarded(request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
            try:
                return view(request, *args, **kwargs)
            except Refusal as refusal:
                _remember(request, name, refusal)
                return _finish(answer(refusal))
            except (OperationalError, InterfaceError) as error:
                return _finish(answer(_database_refusal(error)))

        return guarded

    return decorate


def _finish(response: HttpResponse) -> HttpResponse:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response


def _remember(request: HttpRequest, name: str, refusal: Refusal) -> None:
    token: ApiToken | None = getattr(request, "token", None)
    source = token.source if token else None
    REJECTED.labels(name, "metrics", source.name if source else "", refusal.kind).inc()
    _keep(request, name, refusal.status, refusal.reason, source.pk if source else None)


def _keep(request: HttpRequest, name: str, status: int, reason: str, source_id: UUID | None) -> None:
    agent = request.headers.get("User-Agent", "")
    rejection_record(
        door=name,
        status=status,
        reason=reason,
        source_id=source_id,
        ip=client_ip(request),
        excerpt=f"{request.method} {request.path} {request.headers.get('Content-Type', '')} {agent}",
        at=clock.now(),
    )


def admit(request: HttpRequest, scope: str, *, methods: Sequence[str] = ("POST",)) -> ApiToken:
    """Return the token of a request that may go on: right method, key, scope, source, rate, and room on the disk."""
    if request.method not in methods:
        raise Refusal(405, f"send a {' or a '.join(methods)}", "method", headers={"Allow": ", ".join(methods)})
    try:
        token = authenticate_request(request, scope=scope)
    except TokenRefused as error:
        raise Refusal(401, str(error), "token", headers={"WWW-Authenticate": "Bearer"}) from None
    except (PermissionError, PermissionDenied) as error:
        raise Refusal(403, str(error), "scope") from None
    request.token = token  # type: ignore[attr-defined]
    if token.source is None:
        raise Refusal(403, "the token has no source, so what it sends would be nobody's", "scope")
    disk_guard().check()
    if request.META.get(COUNTED) != token.source.pk:
        gate().take_request(token.source.pk)
    return token


def context_of(token: ApiToken, now: datetime) -> IngestContext:
    """Return who sends, and how far back they may reach."""
    if token.source is None:
        raise ValueError("admit lets no token without a source in")
    return IngestContext(token.source.pk, token.source.name, now, "backfill" in token.scopes)


@lru_cache(maxsize=1_000)
def _counts_of(path: str, source: str) -> tuple[prometheus_client.Counter, prometheus_client.Gauge]:
    return ROWS.labels(path, "metrics", source), LAG.labels(source)


def written_count(path: str, source: str, written: Written, now: datetime) -> None:
    """Count what a request brought."""
    rows, lag = _counts_of(path, source)
    rows.inc(written.samples + written.histograms)
    if written.newest_ms is not None:
        lag.set(now.timestamp() - written.newest_ms / 1000)


class Envelope(msgspec.Struct):
    """What every batch of the native door looks like; rows stay text until their own schema reads them."""

    batch_id: str
    rows: list[msgspec.Raw]


@door("native", problem)
def native_door(request: HttpRequest, kind: str) -> HttpResponse:
    """POST /api/v1/ingest/<kind>: a batch of JSON rows, stored once whatever is sent again."""
    record_kind = RECORD_KINDS.get(kind)
    if record_kind is None:
        raise Refusal(404, f"there is no record kind {kind[:40]!r}", "kind")
    token = admit(request, record_kind.scope)
    envelope = _envelope(_json_body(request))
    now = clock.now()
    context = context_of(token, now)
    gate().take_samples(context.source_id, len(envelope.rows))
    with transaction.atomic():
        stored = _batch_claim(context.source_id, envelope.batch_id, record_kind.slug, now)
        if stored is not None:
            return _finish(JsonResponse({**stored.reply, "duplicate": True}))
        reply, reasons = _write_batch(record_kind, envelope, context)
    if reasons:
        text = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(5))
        text = f"{sum(reasons.values())} of {len(envelope.rows)} rows refused: {text}"
        _keep(request, "native", HTTPStatus.OK, text, context.source_id)
    return _finish(JsonResponse({**reply, "duplicate": False}))


def _json_body(request: HttpRequest) -> bytes:
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "send application/json", "content_type")
    encoding = request.headers.get("Content-Encoding", "")
    plain_text = encoding.strip().lower() in ("", "identity")
    body = read_bounded(request, MAX_JSON_BYTES if plain_text else MAX_COMPRESSED_JSON_BYTES)
    return decode_body(body, encoding, limit=MAX_JSON_BYTES)


def _envelope(body: bytes) -> Envelope:
    deepest, nodes = kernels.json_shape(np.frombuffer(body, np.uint8))
    if deepest > MAX_JSON_DEPTH or nodes > MAX_JSON_NODES:
        most = f"at most {MAX_JSON_DEPTH} and {MAX_JSON_NODES} are taken"
        raise Refusal(413, f"the JSON has depth {deepest} and {nodes} nodes, {most}", "too_large")
    envelope = _envelope_read(body)
    if not 1 <= len(envelope.batch_id) <= MAX_BATCH_ID or "\0" in envelope.batch_id:
        raise Refusal(400, f"the batch_id must have 1 to {MAX_BATCH_ID} characters", "bad_body")
    if len(envelope.rows) > MAX_ROWS:
        raise Refusal(413, f"{len(envelope.rows)} rows in one batch, at most {MAX_ROWS} are taken", "too_large")
    return envelope


def _envelope_read(body: bytes) -> Envelope:
    try:
        return msgspec.json.decode(body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        told = f"the body is not a batch: {error}"
    try:
        return msgspec.json.decode(lone_surrogates_spoiled(body), type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal(400, told, "bad_body") from None


def _batch_claim(source_id: UUID, batch_id: str, kind: str, now: datetime) -> IngestBatch | None:
    """Return the batch if it was stored before; a second sender of it waits here for the first one's commit."""
    created = IngestBatch(source_id=source_id, batch_id=batch_id, kind=kind, received_at=now)
    IngestBatch.objects.bulk_create([created], ignore_conflicts=True)
    stored = IngestBatch.objects.get(source_id=source_id, batch_id=batch_id)
    return None if stored.pk == created.pk else stored


def _write_batch(
    kind: RecordKind, envelope: Envelope, context: IngestContext
) -> tuple[dict[str, object], Counter[str]]:
    decoder = msgspec.json.Decoder(kind.schema)
    rows: list[tuple[int, msgspec.Struct]] = []
    rejected: list[Rejection] = []
    for number, raw in enumerate(envelope.rows):
        try:
            rows.append((number, decoder.decode(raw)))
        except UnicodeDecodeError:
            rejected.append(Rejection(number, NOT_UNICODE))
        except msgspec.DecodeError as error:
            rejected.append(Rejection(number, str(error)))
    rejected.extend(kind.write(rows, context))
    limit = all_limited(rejected, len(envelope.rows))
    if limit:
        raise Refusal(429, f"nothing was stored: {limit}", "cardinality", retry_after_seconds=60)
    accepted = len(envelope.rows) - len(rejected)
    ROWS.labels("native", kind.slug, context.source_name).inc(accepted)
    reasons = reasons_of(rejected)
    for reason, count in reasons.items():
        REJECTED.labels("native", kind.slug, context.source_name, _label(reason)).inc(count)
    reply: dict[str, object] = {
        "batch_id": envelope.batch_id,
        "accepted": accepted,
        "rejected": [{"row": one.row, "reason": one.reason} for one in sorted(rejected, key=lambda one: one.row)],
    }
    IngestBatch.objects.filter(source_id=context.source_id, batch_id=envelope.batch_id).update(reply=reply)
    return reply, reasons


def _label(reason: str) -> str:
    # Reasons quote what was sent; as a label value that would let a sender make series of ours.
    return "window" if "window" in reason else "limit" if reason.startswith("limit") else "row"
