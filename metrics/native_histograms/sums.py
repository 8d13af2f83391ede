"""Sums and means of many histograms."""

from dataclasses import dataclass
from typing import Protocol

from metrics.native_histograms.arithmetic import accumulate, add_to, losses_of, overflows
from metrics.native_histograms.model import Histogram, ResetHint
from metrics.native_histograms.tally import Tally, histogram_of, tally_of


class Gathering(Protocol):
    """What takes in one histogram after the other."""

    hints: set[ResetHint]
    bounds_differ: bool

    def add(self, histogram: Histogram) -> None:
        """Take in one more; raises IncompatibleSchemas."""
        ...

    def result(self, *, compact: bool) -> Histogram:
        """Return what they are together."""
        ...


def collide(hints: set[ResetHint]) -> bool:
    """Tell whether some say reset and others no reset."""
    return ResetHint.YES in hints and ResetHint.NO in hints


class Sum:
    """Adds histograms with compensation."""

    def __init__(self, first: Histogram) -> None:
        """Begin with one."""
        self.first = first
        self.total: Tally | None = None
        self.lost = Tally(first.schema)
        self.hints = {first.reset_hint}
        self.bounds_differ = False

    def add(self, histogram: Histogram) -> None:
        """Take in one more; raises IncompatibleSchemas."""
        if self.total is None:
            self.total = tally_of(self.first)
            self.lost = losses_of(self.total)
        self.hints.add(histogram.reset_hint)
        self.bounds_differ |= accumulate(self.total, self.lost, tally_of(histogram)).bounds_differ

    def result(self, *, compact: bool) -> Histogram:
        """Return the sum."""
        total = tally_of(self.first) if self.total is None else self.total.copy()
        if self.total is not None:
            add_to(total, self.lost)
        return histogram_of(total, compact=compact)


@dataclass(slots=True)
class Running:
    """The sum so far, or the mean so far, with what it lost."""

    total: Tally
    lost: Tally | None = None

    def accumulated(self, term: Tally) -> tuple["Running", bool]:
        """Return the sum with one more term, and whether listed bounds differed."""
        total = self.total.copy()
        lost = losses_of(total) if self.lost is None else self.lost.copy()
        return Running(total, lost), accumulate(total, lost, term).bounds_differ

    def share(self, parts: float) -> None:
        """Divide by a number."""
        self.total.share(parts)
        if self.lost is not None:
            self.lost.share(parts)

    def scale(self, factor: float) -> None:
        """Multiply by a number."""
        self.total.scale(factor)
        if self.lost is not None:
            self.lost.scale(factor)


class Mean:
    """Averages histograms: by their sum until that would overflow, then step by step."""

    def __init__(self, first: Histogram) -> None:
        """Begin with one."""
        self.running = Running(tally_of(first))
        self.count = 1.0
        self.stepwise = False
        self.hints = {first.reset_hint}
        self.bounds_differ = False

    def add(self, histogram: Histogram) -> None:
        """Take in one more; raises IncompatibleSchemas."""
        self.hints.add(histogram.reset_hint)
        self.count += 1.0
        if not self.stepwise:
            together, differ = self.running.accumulated(tally_of(histogram))
            self.bounds_differ |= differ
            if not overflows(together.total):
                self.running = together
                return
            self.stepwise = True
            self.running.share(self.count - 1.0)
        self.running.scale((self.count - 1.0) / self.count)
        term = tally_of(histogram)
        term.share(self.count)
        self.running, differ = self.running.accumulated(term)
        self.bounds_differ |= differ

    def result(self, *, compact: bool) -> Histogram:
        """Return the mean."""
        mean = Running(self.running.total.copy(), None if self.running.lost is None else self.running.lost.copy())
        if not self.stepwise:
            mean.share(self.count)
        if mean.lost is not None:
            add_to(mean.total, mean.lost)
        return histogram_of(mean.total, compact=compact)
