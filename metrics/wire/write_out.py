"""Requests of remote write as a sender makes them, in both versions of the protocol."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cramjam
import numpy as np
import numpy.typing as npt

from metrics.domain import METRIC_NAME_LABEL, Metadata
from metrics.native_histograms.model import Histogram
from metrics.wire.federation import varint
from metrics.wire.forwarding import NAMES
from metrics.wire.messages import histogram_message
from metrics.wire.remote_read import field_bytes, label_bytes, sample_bytes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
TYPES = {"counter": 1, "gauge": 2, "histogram": 3, "gaugehistogram": 4, "summary": 5, "info": 6, "stateset": 7}
FAMILY_ENDS = ("_bucket", "_count", "_sum")
_ALL_BITS = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Named:
    """The labels of a series on their way out, in the order of their names, and as version 1 writes them."""

    labels: dict[str, str]
    encoded: bytes

    @classmethod
    def of(cls, labels: dict[str, str]) -> "Named":
        """Sort and encode labels."""
        ordered = dict(sorted((name, text) for name, text in labels.items() if text))
        return cls(ordered, label_bytes(ordered, {}))


@dataclass(frozen=True, slots=True)
class SentExemplar:
    """An exemplar on its way out."""

    timestamp_ms: int
    value: float
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What one request holds of one series, older samples first."""

    named: Named
    timestamps_ms: Ints
    values: Floats
    histograms: Sequence[tuple[int, Histogram]] = ()
    exemplars: Sequence[SentExemplar] = field(default_factory=tuple)


def _number(at: int, number: int) -> bytes:
    return varint(at << 3) + varint(number & _ALL_BITS)


def _double(at: int, value: float) -> bytes:
    return varint(at << 3 | 1) + struct.pack("<d", value)


def _histograms(at: int, series: Outgoing) -> bytes:
    return b"".join(field_bytes(at, histogram_message(time, found)) for time, found in series.histograms)


def _exemplar_1(exemplar: SentExemplar) -> bytes:
    return field_bytes(
        3, label_bytes(exemplar.labels, {}) + _double(2, exemplar.value) + _number(3, exemplar.timestamp_ms)
    )


def _metadata_1(entry: Metadata) -> bytes:
    texts = field_bytes(2, entry.family.encode()) + field_bytes(4, entry.help.encode())
    return field_bytes(3, _number(1, TYPES.get(entry.type, 0)) + texts + field_bytes(5, entry.unit.encode()))


def request_1(series: Iterable[Outgoing], metadata: Iterable[Metadata] = ()) -> bytes:
    """Return a compressed prometheus.WriteRequest."""
    parts = [
        field_bytes(
            1,
            one.named.encoded + sample_bytes(one.timestamps_ms, one.values)
            + b"".join(map(_exemplar_1, one.exemplars)) + _histograms(4, one),
        )
        for one in series
    ]  # fmt: skip
    return bytes(cramjam.snappy.compress_raw(b"".join([*parts, *map(_metadata_1, metadata)])))


class _Symbols:
    """Every text once, the empty one first."""

    def __init__(self) -> None:
        self.refs = {"": 0}

    def ref(self, text: str) -> int:
        return self.refs.setdefault(text, len(self.refs))

    def pairs(self, labels: dict[str, str]) -> bytes:
        refs = [self.ref(text) for pair in sorted(labels.items()) for text in pair]
        return field_bytes(1, b"".join(map(varint, refs)))


def _exemplar_2(exemplar: SentExemplar, symbols: _Symbols) -> bytes:
    rest = _double(2, exemplar.value) + _number(3, exemplar.timestamp_ms)
    return field_bytes(4, symbols.pairs(exemplar.labels) + rest)


def declared(name: str, families: dict[str, Metadata]) -> Metadata | None:
    """Return what is declared about the family of a metric."""
    entry = families.get(name)
    for end in FAMILY_ENDS if entry is None else ():
        if name.endswith(end) and (found := families.get(name.removesuffix(end))) is not None:
            return found if found.type in ("histogram", "gaugehistogram", "summary") else None
    return entry


def _metadata_2(entry: Metadata | None, symbols: _Symbols) -> bytes:
    if entry is None:
        return b""
    refs = _number(3, symbols.ref(entry.help)) + _number(4, symbols.ref(entry.unit))
    return field_bytes(5, _number(1, TYPES.get(entry.type, 0)) + refs)


def request_2(series: Iterable[Outgoing], families: dict[str, Metadata]) -> bytes:
    """Return a compressed io.prometheus.write.v2.Request."""
    symbols = _Symbols()
    parts = [
        field_bytes(
            5,
            symbols.pairs(one.named.labels) + sample_bytes(one.timestamps_ms, one.values) + _histograms(3, one)
            + b"".join(_exemplar_2(exemplar, symbols) for exemplar in one.exemplars)
            + _metadata_2(declared(one.named.labels.get(METRIC_NAME_LABEL, ""), families), symbols),
        )
        for one in series
    ]  # fmt: skip
    texts = [field_bytes(4, text.encode()) for text in symbols.refs]
    return bytes(cramjam.snappy.compress_raw(b"".join([*texts, *parts])))


def headers_for(version: int) -> dict[str, str]:
    """Return the headers of a request of this version."""
    kind = "application/x-protobuf" + (f";proto={NAMES[2]}" if version == 2 else "")
    return {
        "content-type": kind,
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": {1: "0.1.0", 2: "2.0.0"}[version],
        "user-agent": "aivillage-console",
    }
