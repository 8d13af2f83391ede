"""Token buckets in the process: an ingest door asks nobody else whether it may go on."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limit:
    """So many per second on average, so many at once."""

    per_second: float
    burst: float


@dataclass(slots=True)
class Buckets:
    """One bucket a key; the keys used longest ago are dropped, which only makes them full again."""

    limit: Limit
    max_keys: int = 10_000
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, key: str, *, now_seconds: float, cost: float = 1.0) -> float:
        """Take `cost` and return 0, or take nothing and return after how many seconds it would be there.

        A cost above the burst is charged as the whole burst: it waits for a full bucket instead of for ever.
        """
        with self._lock:
            level, at_seconds = self._levels.pop(key, (self.limit.burst, now_seconds))
            level = min(self.limit.burst, level + max(0.0, now_seconds - at_seconds) * self.limit.per_second)
            missing = min(cost, self.limit.burst) - level
            if missing <= 0:
                level -= min(cost, self.limit.burst)
            self._levels[key] = (level, now_seconds)
            if len(self._levels) > self.max_keys:
                self._levels.popitem(last=False)
        return max(0.0, missing) / self.limit.per_second

    def clear(self) -> None:
        """Fill every bucket again."""
        with self._lock:
            self._levels.clear()
