"""`GET /federate`: the newest samples of chosen series as an exposition page for another Prometheus."""

from collections.abc import Sequence

from django.http import HttpResponse

from metrics import selectors
from metrics.compat.answers import Asked, endpoint
from metrics.compat.parameters import matcher_sets
from metrics.compat.queries import LOOKBACK_MS, now_ms
from metrics.compat.status import external_labels
from metrics.promql.types import Matcher
from metrics.wire.federation import Row, protobuf_page, row_of, text_page

SCHEMES = ("allow-utf-8", "underscores", "dots", "values")
TEXT, OPENMETRICS, PROTOBUF = "text/plain", "application/openmetrics-text", "application/vnd.google.protobuf"
TYPES = {
    TEXT: "text/plain; version=0.0.4; charset=utf-8; escaping=",
    OPENMETRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=",
    PROTOBUF: "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=",
}


@endpoint("GET")
def federate(asked: Asked) -> HttpResponse:
    """GET /federate?match[]=…; without any selector the page is empty, as Prometheus' is."""
    form, scheme = negotiated(asked.request.META.get("HTTP_ACCEPT", ""))
    wanted = matcher_sets(asked.values) if asked.values.getlist("match[]") else []
    rows = _rows(wanted, asked)
    if form == PROTOBUF:
        page = protobuf_page(rows, scheme)
    else:
        page = text_page(rows, scheme, openmetrics=form == OPENMETRICS).encode()
    return HttpResponse(page, content_type=TYPES[form] + scheme)


def _rows(wanted: Sequence[Sequence[Matcher]], asked: Asked) -> list[Row]:
    found = selectors.latest_samples(wanted, at_ms=now_ms(), lookback_ms=LOOKBACK_MS, viewer=asked.viewer)
    # Whoever scrapes this page must not put its own instance in place of one that is missing.
    extra = {"instance": "", **external_labels()}
    histograms = found.histograms if found.histograms is not None else [None] * len(found.labels)
    columns = zip(found.labels, found.timestamps_ms.tolist(), found.values.tolist(), histograms, strict=True)
    rows = [row_of(labels, extra, at, value, histogram) for labels, at, value, histogram in columns]
    return [row for row in rows if row.name]


def negotiated(accept: str) -> tuple[str, str]:
    """Return the form and the escaping of names for what a client accepts; text where it says nothing we know."""
    best: tuple[float, str, str] = (0.0, TEXT, "underscores")
    for clause in accept.split(","):
        name, *rest = (part.strip() for part in clause.split(";"))
        options = dict(part.replace(" ", "").partition("=")[::2] for part in rest)
        if name not in TYPES or not _understood(name, options):
            continue
        scheme = options.get("escaping", "underscores")
        weight = _weight(options.get("q", "1"))
        if weight > best[0]:
            best = (weight, name, scheme if scheme in SCHEMES else "underscores")
    return best[1], best[2]


def _understood(name: str, options: dict[str, str]) -> bool:
    if name == PROTOBUF:
        return (
            options.get("proto") == "io.prometheus.client.MetricFamily"
            and options.get("encoding", "delimited") == "delimited"
        )
    return options.get("version", "") in ("", "0.0.4", "1.0.0", "0.0.1")


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
