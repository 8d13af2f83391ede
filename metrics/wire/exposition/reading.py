"""A whole page of any form to rows, for doors that meet it once; a scraper keeps its own tables (`page.scan`)."""

from dataclasses import replace

import numpy as np

from metrics.domain import SeriesBatch
from metrics.wire.exposition.forms import NO_TIMESTAMP, ExpositionError, Form
from metrics.wire.exposition.page import (
    PrefixTable,
    exemplar_of,
    exemplar_rows,
    exemplar_text,
    labels_at,
    remarks_of,
    scan,
)
from metrics.wire.exposition.protobuf import read_protobuf
from metrics.wire.exposition.strict import check_openmetrics


def read_page(data: bytes, form: Form, *, classic: bool = False) -> SeriesBatch:
    """Return the rows of a page; raises ExpositionError (a bad page) or TooLarge.

    Every sample has labels of its own place, repeated or not. Timestamps are NO_TIMESTAMP where the page names none
    (see `stamped`). OpenMetrics is held to every rule of its specification.
    """
    if form is Form.PROTOBUF:
        return read_protobuf(data, classic=classic)
    openmetrics = form is Form.OPENMETRICS
    if openmetrics:
        check_openmetrics(data)
    page = scan(data, PrefixTable(), openmetrics=openmetrics)
    remarks = remarks_of(page, openmetrics=openmetrics)
    labels = [labels_at(page, row, remarks) for row in range(page.values.size)]
    exemplars = []
    for row in exemplar_rows(page):
        try:
            exemplars.append(exemplar_of(exemplar_text(page, row), row))
        except ExpositionError as error:
            raise ExpositionError(str(error), page.line(int(page.spans[row, 0]))) from None
    places = np.arange(len(labels), dtype=np.int64)
    return SeriesBatch(labels, places, page.timestamps_ms, page.values, None, exemplars, remarks.metadata())


def stamped(batch: SeriesBatch, at_ms: int) -> SeriesBatch:
    """Return the rows with this time where the page named none."""
    times = np.where(batch.timestamps_ms == NO_TIMESTAMP, at_ms, batch.timestamps_ms)
    exemplars = [
        replace(each, timestamp_ms=at_ms) if each.timestamp_ms == NO_TIMESTAMP else each for each in batch.exemplars
    ]
    return replace(batch, timestamps_ms=times, exemplars=exemplars)
