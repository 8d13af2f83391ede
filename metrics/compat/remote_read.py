"""`POST /api/v1/read`: the stored samples of series, for a Prometheus that keeps older ones here."""

from django.http import HttpResponse

from metrics import selectors
from metrics.compat.answers import Asked, endpoint
from metrics.compat.status import external_labels
from metrics.promql.types import QueryError, SeriesColumns
from metrics.wire.errors import TooLarge, WireError
from metrics.wire.remote_read import (
    MAX_REQUEST_BYTES,
    SAMPLES,
    ReadQuery,
    read_request,
    read_response,
    without_own,
)

MAX_ANSWER_SAMPLES = 5_000_000


def _plain(status: int, text: str) -> HttpResponse:
    return HttpResponse(text + "\n", status=status, content_type="text/plain; charset=utf-8")


@endpoint("POST")
def read(asked: Asked) -> HttpResponse:
    """POST /api/v1/read; errors are lines of text, as remote read has them."""
    request = asked.request
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_REQUEST_BYTES:
        return _plain(413, f"the request is larger than {MAX_REQUEST_BYTES} bytes")
    try:
        queries, accepted = read_request(request.body)
        if accepted and SAMPLES not in accepted:
            return _plain(400, "only answers of the type SAMPLES are given here")
        extra = external_labels()
        body = read_response(_results(asked, queries, extra), extra)
    except TooLarge as error:
        return _plain(413, str(error))
    except WireError as error:
        return _plain(400, str(error))
    except QueryError as error:
        return _plain(400 if error.kind == "bad_data" else 503 if error.kind == "timeout" else 422, str(error))
    return HttpResponse(body, content_type="application/x-protobuf", headers={"Content-Encoding": "snappy"})


def _results(asked: Asked, queries: list[ReadQuery], extra: dict[str, str]) -> list[SeriesColumns]:
    found, samples = [], 0
    for query in queries:
        columns = selectors.samples_between(
            without_own(query.matchers, extra), start_ms=query.start_ms, end_ms=query.end_ms, viewer=asked.viewer
        )
        samples += columns.values.size
        if samples > MAX_ANSWER_SAMPLES:
            raise QueryError(f"the answer has more than {MAX_ANSWER_SAMPLES} samples, ask for fewer series")
        found.append(columns)
    return found
