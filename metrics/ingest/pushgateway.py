"""PUT, POST and DELETE /metrics/job/<job>{/<label>/<value>}: what short-lived jobs push."""

import cramjam
from django.http import HttpRequest, HttpResponse

from metrics.domain import SeriesBatch
from metrics.ingest.arrival import ARRIVAL
from metrics.ingest.body import decode_body, read_bounded
from metrics.ingest.doors import admit, context_of, door, plain
from metrics.ingest.push_groups import group_delete, group_push
from metrics.ingest.refusals import ROWS, Refusal
from metrics.ingest.rows import gate
from metrics.registry import IngestContext
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.exposition.forms import Form, form_of
from metrics.wire.exposition.reading import read_page
from metrics.wire.pushing import BadGroup, group_labels

MAX_BODY_BYTES = 16 << 20
METHODS = ("PUT", "POST", "DELETE")
_FRAMED = b"\xff\x06\x00\x00sNaPpY"


@door("pushgateway", plain)
def push_door(request: HttpRequest, path: str, encoded: str = "") -> HttpResponse:
    """Take what a job pushes; `encoded` says that the job's name is base64."""
    context = context_of(admit(request, "ingest:metrics", methods=METHODS), ARRIVAL.now())
    try:
        labels = group_labels(path, is_job_encoded=bool(encoded))
    except BadGroup as error:
        raise Refusal(400, str(error), "group") from None
    if request.method == "DELETE":
        group_delete(context.source_id, labels)
        return HttpResponse(status=202)
    _push(request, context, labels)
    return HttpResponse(status=200)


def _push(request: HttpRequest, context: IngestContext, labels: dict[str, str]) -> None:
    page = _page(request)
    gate().take_samples(context.source_id, page.values.size)
    replace = request.method == "PUT"
    if replace and not page.values.size:
        group_delete(context.source_id, labels)
        return
    try:
        stored = group_push(context.source_id, labels, page, replace=replace)
    except BadGroup as error:
        text = f"pushed metrics are invalid or inconsistent with existing metrics: {error}"
        raise Refusal(400, text, "group") from None
    ROWS.labels("pushgateway", "metrics", context.source_name).inc(stored)


def _page(request: HttpRequest) -> SeriesBatch:
    form = form_of(request.headers.get("Content-Type", ""))
    try:
        # Whatever else a job says it sends is read as text, as a Pushgateway does.
        return read_page(_body(request), Form.PROTOBUF if form is Form.PROTOBUF else Form.TEXT)
    except TooLarge as error:
        raise Refusal(413, str(error), "too_large") from None
    except WireError as error:
        raise Refusal(400, str(error), "bad_body") from None


def _body(request: HttpRequest) -> bytes:
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    body = read_bounded(request, MAX_BODY_BYTES)
    if encoding == "snappy" and body.startswith(_FRAMED):
        return _unframed(body)
    return decode_body(body, encoding, limit=MAX_BODY_BYTES)


def _unframed(body: bytes) -> bytes:
    buffer = cramjam.Buffer(bytearray(MAX_BODY_BYTES + 1))
    try:
        size = cramjam.snappy.decompress_into(body, buffer)
    except cramjam.DecompressionError:
        raise Refusal(400, "the body is not snappy, or is too large", "bad_body") from None
    if size > MAX_BODY_BYTES:
        raise Refusal(413, f"the decoded body is larger than {MAX_BODY_BYTES} bytes", "too_large")
    buffer.seek(0)
    return bytes(buffer.read(size))
