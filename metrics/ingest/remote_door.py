"""POST /api/v1/write: Prometheus remote write, version 1 and 2, told apart by the content type."""

from collections.abc import Callable
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse

from aivillage_console.accounts.models import ApiToken
from metrics.ingest.arrival import ARRIVAL
from metrics.ingest.body import decode_body, read_bounded
from metrics.ingest.doors import admit, context_of, door, plain, written_count
from metrics.ingest.refusals import REJECTED, Refusal
from metrics.ingest.remote_rows import write_columns
from metrics.ingest.rows import gate
from metrics.ingest.windows import Window
from metrics.ingest.writer import COMMITS, SYMBOL_TABLE, TABLE, Written
from metrics.wire import remote_write
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.remote_write import WriteColumns
from metrics.wire.remote_write_2 import decoding
from metrics.wire.series_table import SeriesTable

MEDIA_TYPE = "application/x-protobuf"
HEADER = "X-Prometheus-Remote-Write-{}-Written"


class Version(NamedTuple):
    """One version of the protocol; only the second tells the sender what was written."""

    decode: Callable[[bytes, SeriesTable], WriteColumns]
    table: SeriesTable
    tells: bool


VERSIONS = {
    "prometheus.writerequest": Version(remote_write.decode, TABLE, tells=False),
    "io.prometheus.write.v2.request": Version(decoding.decode, SYMBOL_TABLE, tells=True),
}


def version_of(content_type: str) -> Version:
    """Return the version a content type names, the first where it names none; raises Refusal for another type."""
    media, *parameters = content_type.split(";")
    if media.strip().lower() != MEDIA_TYPE:
        raise Refusal(415, f"send {MEDIA_TYPE}", "content_type")
    proto = "prometheus.writerequest"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto":
            proto = value.strip().strip('"').lower()
    if proto not in VERSIONS:
        known = "prometheus.WriteRequest (remote write 1) and io.prometheus.write.v2.Request (remote write 2)"
        raise Refusal(415, f"the message {proto[:60]!r} is not taken; known are {known}", "content_type")
    return VERSIONS[proto]


def written_headers(written: Written) -> dict[str, str]:
    """Return what remote write 2 tells a sender, of success and of failure."""
    return {
        HEADER.format("Samples"): str(written.samples),
        HEADER.format("Histograms"): str(written.histograms),
        HEADER.format("Exemplars"): str(written.exemplars),
    }


@door("remote_write", plain)
def remote_write_door(request: HttpRequest) -> HttpResponse:
    """POST /api/v1/write: Prometheus remote write 1 and 2."""
    token = admit(request, "ingest:metrics")
    version = version_of(request.META.get("CONTENT_TYPE", ""))
    written = Written()
    try:
        with COMMITS.coming():
            _take(request, token, version, written)
    except Refusal as refusal:
        if version.tells:
            refusal.headers.update(written_headers(written))
        raise
    return HttpResponse(status=204, headers=written_headers(written) if version.tells else None)


def _take(request: HttpRequest, token: ApiToken, version: Version, written: Written) -> None:
    if request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in ("snappy", ""):
        raise Refusal(415, "send the snappy block encoding", "encoding")
    body = read_bounded(request, remote_write.MAX_DECODED_BYTES)
    now = ARRIVAL.now()
    context = context_of(token, now)
    try:
        columns = version.decode(decode_body(body, "snappy", limit=remote_write.MAX_DECODED_BYTES), version.table)
        gate().take_samples(context.source_id, columns.timestamps_ms.size + columns.parts.series.size)
        window = Window.at(now, backfill=context.backfill)
        found = write_columns(
            columns, version.table, source_id=context.source_id, gate=gate(), window=window, now=now
        )  # fmt: skip
    except TooLarge as error:
        raise Refusal(413, str(error), "too_large") from None
    except WireError as error:
        raise Refusal(400, str(error), "bad_body") from None
    # Only what is committed is told; an error on the way leaves zeros.
    written.samples, written.histograms, written.exemplars = found.samples, found.histograms, found.exemplars
    written_count("remote_write", context.source_name, found, now)
    _refuse_part(found, context.source_name)


def _refuse_part(written: Written, source: str) -> None:
    """Answer 400 (or 429 for a limit) when a part was left out; the rest is stored."""
    refused = written.refused
    if not refused.total():
        return
    REJECTED.labels("remote_write", "metrics", source, "rows").inc(refused.total())
    reasons = "; ".join(f"{reason} ({count})" for reason, count in refused.most_common(5))
    others = [(written.histograms, "histograms"), (written.exemplars, "exemplars")]
    stored = ", ".join([f"{written.samples} samples", *(f"{count} {what}" for count, what in others if count)])
    text = f"{stored} stored, {refused.total()} refused: {reasons}"
    if written.limited:
        raise Refusal(429, text, "cardinality", retry_after_seconds=60)
    raise Refusal(400, text, "rows")
