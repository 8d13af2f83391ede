"""Columns of samples, and the codecs of one column."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, DeltaSpec, ModeSpec
from pcodec import standalone as pco

from metrics.promql.types import STALE_NAN, STALE_NAN_BITS
from metrics.store import histogram_column, kernels
from metrics.store.container import CorruptBlock, Section

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
# Every whole number up to here is the same number as a float64.
MAX_EXACT = float(1 << 53)


@dataclass(frozen=True, slots=True)
class Samples:
    """Three columns of equal length; nothing is promised about their order.

    `histograms` is None where every sample is a number; else each element is the bytes of
    metrics.native_histograms.codec or None, and the value of a histogram is its count.
    """

    series_ids: Ints
    timestamps_ms: Ints
    values: Floats
    histograms: npt.NDArray[np.object_] | None = None

    @property
    def nbytes(self) -> int:
        """Memory they hold."""
        numbers = self.series_ids.nbytes + self.timestamps_ms.nbytes + self.values.nbytes
        return numbers + histogram_column.nbytes(self.histograms)

    def take(self, index: npt.NDArray[np.bool_] | Ints | slice) -> "Samples":
        """Return the chosen rows."""
        histograms = None if self.histograms is None else self.histograms[index]
        return Samples(self.series_ids[index], self.timestamps_ms[index], self.values[index], histograms)


def no_samples() -> Samples:
    """Return empty columns."""
    return Samples(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))


def concatenate(parts: Sequence[Samples]) -> Samples:
    """Join columns, first part first."""
    if not parts:
        return no_samples()
    if len(parts) == 1:
        return parts[0]
    return Samples(
        np.concatenate([part.series_ids for part in parts]),
        np.concatenate([part.timestamps_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        histogram_column.joined([(part.histograms, part.values.size) for part in parts]),
    )


def distinct(numbers: Ints) -> Ints:
    """Return the numbers there are, each once, rising; neighbouring ones, as ids are, without sorting them."""
    if not numbers.size:
        return numbers
    low = int(np.min(numbers))
    span = int(np.max(numbers)) - low + 1
    if span > 4 * numbers.size:
        return np.unique(numbers)
    seen = np.zeros(span, np.bool_)
    seen[numbers - low] = True
    return np.flatnonzero(seen) + low


def encode_ints(column: Ints, *, level: int, consecutive: int) -> bytes:
    """Compress integers that may follow each other closely."""
    delta = DeltaSpec.try_consecutive(consecutive) if consecutive else DeltaSpec.no_op()
    config = ChunkConfig(compression_level=level, delta_spec=delta)
    return bytes(pco.simple_compress(np.ascontiguousarray(column), config))


def decode_ints(data: bytes, length: int) -> Ints:
    """Return the integers again; raises CorruptBlock where their number is another."""
    integers = np.empty(length, np.int64)
    _decode_into(data, integers)
    return integers


def _decode_into(data: bytes, out: Ints | Floats) -> None:
    if not out.size:
        return
    try:
        progress = pco.simple_decompress_into(data, out)
    except (RuntimeError, TypeError) as error:
        raise CorruptBlock(f"a column cannot be decoded: {error}") from None
    if progress.n_processed != out.size or not progress.finished:
        raise CorruptBlock("a column has another length than its block says")


def whole_numbers(values: Floats) -> Ints | None:
    """Return the values as integers where that loses nothing: no fraction, no -0.0, no NaN, within 2^53."""
    integers = np.empty(values.size, np.int64)
    return integers if kernels.whole_numbers(np.ascontiguousarray(values), MAX_EXACT, integers) else None


def without_stale(values: Floats) -> tuple[Floats, list[tuple[Section, bytes]]]:
    """Return the values with stale markers filled, and the section of their bitmap, if there are any."""
    stale = values.view(np.uint64) == STALE_NAN_BITS
    if not bool(stale.any()):
        return values, []
    filled = values.copy()
    filled[stale] = _filler(values, stale)
    return filled, [(Section.STALE, np.packbits(stale, bitorder="little").tobytes())]


def encode_values(values: Floats, *, level: int, delta: bool) -> list[tuple[Section, bytes]]:
    """Return the sections of a value column; stale markers move to a bitmap, so that integers stay integers."""
    values, sections = without_stale(values)
    integers = whole_numbers(values)
    spec = DeltaSpec.auto() if delta else DeltaSpec.no_op()
    if integers is not None:
        config = ChunkConfig(compression_level=level, mode_spec=ModeSpec.classic(), delta_spec=spec)
        return [(Section.INTEGERS, bytes(pco.simple_compress(integers, config))), *sections]
    mode = ModeSpec.auto() if delta else ModeSpec.classic()
    config = ChunkConfig(compression_level=level, mode_spec=mode, delta_spec=spec)
    return [(Section.FLOATS, bytes(pco.simple_compress(np.ascontiguousarray(values), config))), *sections]


def _filler(values: Floats, stale: npt.NDArray[np.bool_]) -> float:
    others = values[~stale]
    return float(others[0]) if others.size and np.isfinite(others[0]) else 0.0


def decode_values(sections: dict[int, bytes], length: int) -> Floats:
    """Return the value column of a block."""
    if Section.INTEGERS in sections:
        values = decode_ints(sections[Section.INTEGERS], length).astype(np.float64)
    elif Section.FLOATS in sections:
        values = np.empty(length, np.float64)
        _decode_into(sections[Section.FLOATS], values)
    else:
        raise CorruptBlock("a block has no values")
    stale = decode_stale(sections, length)
    if stale is not None:
        values[stale] = STALE_NAN
    return values


def decode_stale(sections: dict[int, bytes], length: int) -> npt.NDArray[np.bool_] | None:
    """Return which values are stale markers, None where none is."""
    if Section.STALE not in sections:
        return None
    bits = np.frombuffer(sections[Section.STALE], np.uint8)
    if bits.size != (length + 7) // 8:
        raise CorruptBlock("the stale bitmap has another length than its block says")
    return np.unpackbits(bits, count=length, bitorder="little").view(np.bool_)


def encode_histograms(samples: Samples, *, level: int) -> list[tuple[Section, bytes]]:
    """Return the section of the histograms, or none where all is numbers."""
    if samples.histograms is None:
        return []
    section = histogram_column.encode(samples.histograms, level=level)
    return [] if section is None else [(Section.NATIVE_HISTOGRAMS, section)]


def decode_histograms(sections: dict[int, bytes], length: int) -> npt.NDArray[np.object_] | None:
    """Return the histogram column of a block, None where all is numbers."""
    section = sections.get(Section.NATIVE_HISTOGRAMS)
    return None if section is None else histogram_column.decode(section, length)
