"""Writes the newest samples of many series as one exposition page: text, OpenMetrics, or delimited protobuf."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from metrics.domain import METRIC_NAME_LABEL
from metrics.native_histograms.layout import indices_of
from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.text import general
from metrics.wire.exposition.protobuf import GAUGE_HISTOGRAM, HISTOGRAM, UNTYPED, new_family

Labels = Sequence[tuple[str, str]]
ESCAPED_VALUE = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


@dataclass(frozen=True, slots=True)
class Row:
    """The newest sample of a series; labels without the name, in order, those of the console at the end."""

    name: str
    labels: Labels
    timestamp_ms: int
    value: float
    histogram: Histogram | None


def row_of(
    labels: dict[str, str], extra: dict[str, str], timestamp_ms: int, value: float, histogram: Histogram | None
) -> Row:
    """Return the row of a series; a label it has itself is not overwritten."""
    own = sorted((name, text) for name, text in labels.items() if name != METRIC_NAME_LABEL)
    more = sorted((name, text) for name, text in extra.items() if name not in labels)
    return Row(labels.get(METRIC_NAME_LABEL, ""), [*own, *more], timestamp_ms, value, histogram)


def is_plain(name: str, *, metric: bool) -> bool:
    """Tell whether a name needs no quotes."""
    rest = name.replace(":", "_") if metric else name
    return bool(rest) and rest.isascii() and rest.replace("_", "a").isalnum() and not rest[0].isdigit()


def escaped(name: str, scheme: str, *, metric: bool) -> str:
    """Return a name as a client that knows no UTF-8 names is given it: `underscores`, `dots` or `values`."""
    if scheme == "allow-utf-8" or not name or (scheme != "dots" and is_plain(name, metric=metric)):
        return name
    parts = [_escaped_character(character, place, scheme, metric) for place, character in enumerate(name)]
    return ("U__" if scheme == "values" else "") + "".join(parts)


def _escaped_character(character: str, place: int, scheme: str, metric: bool) -> str:
    known = character.isascii() and (character.isalpha() or (character.isdigit() and place > 0))
    if known or (metric and character == ":"):
        return character
    if scheme == "dots":
        return {"_": "__", ".": "_dot_"}.get(character, "__")
    if scheme == "values":
        return "__" if character == "_" else f"_{ord(character):x}_"
    return "_"


def _sample(name: str, labels: Labels, value: float, stamp: str) -> str:
    inside = [f"{key if is_plain(key, metric=False) else _quoted(key)}={_quoted(text)}" for key, text in labels]
    if is_plain(name, metric=True):
        shown = f"{name}{{{','.join(inside)}}}" if inside else name
    else:
        shown = f"{{{','.join([_quoted(name), *inside])}}}"
    return f"{shown} {general(value)} {stamp}\n"


def _quoted(text: str) -> str:
    return '"' + text.translate(ESCAPED_VALUE) + '"'


def _families(rows: Sequence[Row]) -> Iterator[tuple[str, int, list[Row]]]:
    """Yield runs of one name and one kind; a name that has numbers and histograms comes in several runs."""
    run: list[Row] = []
    for row in sorted(rows, key=lambda row: row.name):
        if run and (row.name, _kind(row)) != (run[0].name, _kind(run[0])):
            yield run[0].name, _kind(run[0]), run
            run = []
        run.append(row)
    if run:
        yield run[0].name, _kind(run[0]), run


def _kind(row: Row) -> int:
    if row.histogram is None:
        return UNTYPED
    return GAUGE_HISTOGRAM if row.histogram.reset_hint is ResetHint.GAUGE else HISTOGRAM


def text_page(rows: Sequence[Row], scheme: str, *, openmetrics: bool = False) -> str:
    """Return the page as text; native histograms whose buckets have no listed bounds cannot be written there."""
    stamp = _seconds if openmetrics else str
    untyped = "unknown" if openmetrics else "untyped"
    lines: list[str] = []
    for name, kind, run in _families(rows):
        shown = escaped(name, scheme, metric=True)
        if kind == UNTYPED:
            lines.append(f"# TYPE {shown if is_plain(shown, metric=True) else _quoted(shown)} {untyped}\n")
            lines += [_sample(shown, _named(row, scheme), row.value, stamp(row.timestamp_ms)) for row in run]
            continue
        listed = [row for row in run if row.histogram is not None and row.histogram.is_custom]
        if listed:
            lines.append(f"# TYPE {shown if is_plain(shown, metric=True) else _quoted(shown)} histogram\n")
            lines += [line for row in listed for line in _classic(shown, row, scheme, stamp)]
    return "".join([*lines, "# EOF\n"] if openmetrics else lines)


def _seconds(timestamp_ms: int) -> str:
    whole, rest = divmod(timestamp_ms, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)


def _named(row: Row, scheme: str) -> Labels:
    return [(escaped(name, scheme, metric=False), text) for name, text in row.labels]


def cumulative(histogram: Histogram) -> list[tuple[float, float]]:
    """Return (upper bound, observations up to it) of a histogram whose bounds are listed, without infinity."""
    counts = dict(zip(indices_of(histogram.positive_spans), histogram.positive, strict=True))
    totals = accumulate(counts.get(place, 0.0) for place in range(len(histogram.custom_values)))
    return list(zip(histogram.custom_values, totals, strict=True))


def _classic(name: str, row: Row, scheme: str, stamp: Callable[[int], str]) -> Iterator[str]:
    histogram, labels, at = row.histogram, _named(row, scheme), stamp(row.timestamp_ms)
    if histogram is None:
        return
    for bound, count in [*cumulative(histogram), (float("inf"), histogram.count)]:
        yield _sample(f"{name}_bucket", [*labels, ("le", general(bound))], count, at)
    yield _sample(f"{name}_sum", labels, histogram.sum, at)
    yield _sample(f"{name}_count", labels, histogram.count, at)


def protobuf_page(rows: Sequence[Row], scheme: str) -> bytes:
    """Return the page as delimited messages, native histograms among them."""
    parts: list[bytes] = []
    for name, kind, run in _families(rows):
        family = new_family()
        family.name, family.type = escaped(name, scheme, metric=True), kind
        for row in run:
            metric = family.metric.add(timestamp_ms=row.timestamp_ms)
            for label, text in _named(row, scheme):
                metric.label.add(name=label, value=text)
            if row.histogram is None:
                metric.untyped.value = row.value
            else:
                _fill(metric.histogram, row.histogram)
        body = family.SerializeToString()
        parts += [varint(len(body)), body]
    return b"".join(parts)


def _fill(message: Any, histogram: Histogram) -> None:
    message.sample_count_float, message.sample_sum = histogram.count, histogram.sum
    if histogram.is_custom:
        for bound, count in cumulative(histogram):
            message.bucket.add(upper_bound=bound, cumulative_count_float=count)
        return
    message.schema, message.zero_threshold = histogram.schema, histogram.zero_threshold
    message.zero_count_float = histogram.zero_count
    for span in histogram.positive_spans:
        message.positive_span.add(offset=span.offset, length=span.length)
    for span in histogram.negative_spans:
        message.negative_span.add(offset=span.offset, length=span.length)
    message.positive_count.extend(histogram.positive)
    message.negative_count.extend(histogram.negative)


def varint(number: int) -> bytes:
    """Return a number in groups of seven bits."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
