"""What a service records, held until the next flush. No I/O and no clock of its own."""

import math
import threading
from collections import Counter as Tally
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aivillage_observability.buckets import Bounds, Folded, bounds_for
from aivillage_observability.rows import Metric, Row, label_key, metric_name

Labels = Mapping[str, object]
SeriesKey = tuple[str, tuple[tuple[str, str], ...]]

BUFFER_ROWS = 10_000


@dataclass(slots=True)
class _Counted:
    total: float
    first_at_ms: int
    announced: bool = False


@dataclass(slots=True)
class _Observed:
    folded: Folded
    first_at_ms: int
    announced: bool = False


class MetricRecorder:
    """Counters and histograms grow from the start of the process; gauges wait as rows with their own time.

    Memory is bounded: `max_rows` gauge rows and `max_rows` counter and bucket series. What does not fit is counted by
    reason in `dropped` and travels as `sdk_rows_dropped_total`. Nothing here raises for what a host passes in.
    """

    def __init__(
        self,
        *,
        now_ms: Callable[[], int],
        labels: Mapping[str, str],
        buckets: Mapping[str, Bounds] | None = None,
        max_rows: int = BUFFER_ROWS,
        on_half_full: Callable[[], None] = lambda: None,
    ) -> None:
        self.dropped: Tally[str] = Tally()
        self._now_ms = now_ms
        self._labels = dict(labels)
        self._buckets = dict(buckets or {})
        self._max_rows = max_rows
        self._on_half_full = on_half_full
        self.reset()

    def reset(self) -> None:
        """Forget everything: a forked child starts counting from nothing, under its own instance label."""
        self._lock = threading.Lock()
        self._gauges: list[tuple[SeriesKey, float, int]] = []
        self._counters: dict[SeriesKey, _Counted] = {}
        self._histograms: dict[SeriesKey, _Observed] = {}
        self._series_held = 0

    def rename_instance(self, instance: str) -> None:
        """Set the label that tells this process from its siblings."""
        self._labels["instance"] = instance

    def record_counter(self, name: str, value: float = 1.0, labels: Labels | None = None) -> None:
        """Add to a counter; it travels as the total since the process began."""
        number = self._number(value)
        if number is None:
            return
        if number < 0:
            self.dropped["negative_counter"] += 1
            return
        key = self._key(name, labels)
        with self._lock:
            counted = self._counters.get(key)
            if counted is None and self._room_for(1):
                counted = self._counters[key] = _Counted(0.0, self._now_ms())
            if counted is not None:
                counted.total += number

    def record_gauge(self, name: str, value: float, labels: Labels | None = None) -> None:
        """Keep a value with the time it was recorded."""
        number = self._number(value)
        if number is None:
            return
        key = self._key(name, labels)
        with self._lock:
            held = len(self._gauges)
            if held >= self._max_rows:
                self.dropped["buffer_full"] += 1
                return
            self._gauges.append((key, number, self._now_ms()))
        if held == self._max_rows // 2:
            self._on_half_full()

    def record_histogram(self, name: str, value: float, labels: Labels | None = None) -> None:
        """Fold one observation into its buckets."""
        number = self._number(value)
        if number is None:
            return
        key = self._key(name, labels)
        with self._lock:
            observed = self._histograms.get(key) or self._new_histogram(key)
            if observed is not None:
                observed.folded.observe(number)

    def record_timer(self, name: str, duration_ms: float, labels: Labels | None = None) -> None:
        """Fold one duration into `<name>_duration_ms`; a name that already says so is kept."""
        stem = str(name).removesuffix("_ms").removesuffix("_duration")
        self.record_histogram(f"{stem}_duration_ms", duration_ms, labels)

    def drain(self) -> list[Row]:
        """Return what is owed: gauges since the last call, and every counter and histogram as it stands."""
        now_ms = self._now_ms()
        with self._lock:
            gauges, self._gauges = self._gauges, []
            rows = [self._row(Metric(key[0], "gauge"), value, key, at_ms) for key, value, at_ms in gauges]
            for key, counted in self._counters.items():
                rows += self._counter_rows(key, counted, now_ms)
            for key, observed in self._histograms.items():
                rows += self._histogram_rows(key, observed, now_ms)
        return rows + self._dropped_rows(now_ms)

    def _number(self, value: object) -> float | None:
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            self.dropped["not_a_number"] += 1
            return None
        if not math.isfinite(number):
            self.dropped["not_finite"] += 1
            return None
        return number

    def _key(self, name: str, labels: Labels | None) -> SeriesKey:
        return metric_name(str(name)), label_key(labels)

    def _room_for(self, series: int) -> bool:
        if self._series_held + series > self._max_rows:
            self.dropped["too_many_series"] += 1
            return False
        self._series_held += series
        return True

    def _new_histogram(self, key: SeriesKey) -> _Observed | None:
        bounds = self._buckets.get(key[0]) or bounds_for(key[0])
        if not self._room_for(len(bounds) + 3):
            return None
        observed = self._histograms[key] = _Observed(Folded(bounds), self._now_ms())
        return observed

    def _row(self, metric: Metric, value: float, key: SeriesKey, at_ms: int) -> Row:
        # A label of the caller wins over ours, so a service may report for another one.
        return Row(metric, value, {**self._labels, **dict(key[1])}, at_ms)

    def _counter_rows(self, key: SeriesKey, counted: _Counted, now_ms: int) -> list[Row]:
        metric = Metric(key[0], "counter")
        rows = [self._row(metric, counted.total, key, now_ms)]
        if not counted.announced:
            # A series that begins at 5 looks like no increase at all; a zero just before makes `rate` see the five.
            rows.insert(0, self._row(metric, 0.0, key, counted.first_at_ms - 1))
            counted.announced = True
        return rows

    def _histogram_rows(self, key: SeriesKey, observed: _Observed, now_ms: int) -> list[Row]:
        rows: list[Row] = []
        if not observed.announced:
            rows += self._folded_rows(key, Folded(observed.folded.bounds), observed.first_at_ms - 1)
            observed.announced = True
        return rows + self._folded_rows(key, observed.folded, now_ms)

    def _folded_rows(self, key: SeriesKey, folded: Folded, at_ms: int) -> list[Row]:
        name, pairs = key
        cumulative = folded.cumulative()
        bucket = Metric(f"{name}_bucket", "histogram")
        rows = [self._row(bucket, count, (name, (*pairs, ("le", le))), at_ms) for le, count in cumulative]
        rows.append(self._row(Metric(f"{name}_sum", "histogram"), folded.total, key, at_ms))
        rows.append(self._row(Metric(f"{name}_count", "histogram"), cumulative[-1][1], key, at_ms))
        return rows

    def _dropped_rows(self, now_ms: int) -> list[Row]:
        metric = Metric("sdk_rows_dropped_total", "counter", "rows", "Rows the SDK could not keep or deliver.")
        # `list` of the items copies in one step, so a thread that counts a new reason cannot disturb the loop.
        return [
            self._row(metric, count, (metric.name, (("reason", reason),)), now_ms)
            for reason, count in list(self.dropped.items())
        ]
