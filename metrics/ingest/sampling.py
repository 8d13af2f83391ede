"""Of sources that send too much, a part is kept: whole series, or of those that say so single points.

A rule is `SELECTOR [rate] [points]`; rules are separated by `;`, the first that takes a series holds, the rate is 0.1
unless it is given. Whether a series or a point is kept is told from a hash of its labels (of its id and time), so that
what is sent again, by whatever door and to whatever process, meets the same fate.

Whole series are the default because what is kept is then true: a rate, a quantile or an average of a kept series is
that of all its points. The metric's name, `le` and `quantile` are no part of the hash: a histogram is kept with all its
buckets or not at all, and so are metrics that have the same labels, which keeps their ratios true. Sums and counts over
series come out at the rate's share; `console_sampling_rate` tells it to whoever wants to divide by it. Points are for
gauges that are sent more often than anybody looks; stale markers always stay.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

import numpy as np
import numpy.typing as npt
import orjson
import structlog
from django.conf import settings
from prometheus_client import Counter, Gauge

from aivillage_console.accounts.models import Source
from metrics.domain import METRIC_NAME_LABEL, NewSeries
from metrics.models import SERIES_PER_GROUP
from metrics.promql.questions import selectors_of
from metrics.promql.types import STALE_NAN_BITS, Matcher, QueryError
from metrics.store.catalogue import accepts
from metrics.store.columns import Samples

Ints = npt.NDArray[np.int64]
log = structlog.get_logger(__name__)
SOURCE_LABEL = "__source__"
DEFAULT_RATE = 0.1
# Ids below this are no series: one of them says which rule left a series out.
MOST_RULES = SERIES_PER_GROUP
NOT_IN_THE_HASH = frozenset({METRIC_NAME_LABEL, "le", "quantile"})
LEFT_OUT = Counter("console_sampled_out", "Samples a sampling rule left out.", ["rule"])
RATE = Gauge("console_sampling_rate", "Share that a sampling rule keeps.", ["rule"], multiprocess_mode="mostrecent")
_WHOLE = float(1 << 64)
_SPREAD, _MIX, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


class BadSamplingRule(ValueError):
    """A rule that cannot be read."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which series a rule takes (any of the matcher sets), and what it keeps of them."""

    text: str
    alternatives: tuple[tuple[Matcher, ...], ...]
    rate: float
    points: bool

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the rule is for a series."""
        return any(
            all(bool(accepts(one, [labels.get(one.name, "")])[0]) for one in matchers) for matchers in self.alternatives
        )


def rules_of(text: str) -> list[Rule]:
    """Return the rules that are written in a setting; raises BadSamplingRule."""
    rules = [_rule(part.strip()) for part in _split(text) if part.strip()]
    if len(rules) > MOST_RULES:
        raise BadSamplingRule(f"{len(rules)} sampling rules, at most {MOST_RULES} are taken")
    return rules


def _split(text: str) -> list[str]:
    """Cut at semicolons outside of quotes and braces."""
    parts, depth, quote, escaped = [""], 0, "", False
    for char in text:
        if quote:
            quote = "" if char == quote and not escaped else quote
            escaped = char == "\\" and not escaped
        elif char in "\"'`":
            quote = char
        else:
            depth += {"{": 1, "}": -1}.get(char, 0)
        if char == ";" and not quote and depth <= 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _rule(text: str) -> Rule:
    selector, words = text, list[str]()
    while len(words) < 2 and not selector.endswith("}"):
        rest, _, word = selector.rpartition(" ")
        if not rest or not (word == "points" or _is_number(word)):
            break
        selector, words = rest.rstrip(), [word, *words]
    points = words[-1:] == ["points"]
    numbers = words[:-1] if points else words
    rate = float(numbers[0]) if len(numbers) == 1 else DEFAULT_RATE
    if len(numbers) > 1 or "points" in numbers or not 0 < rate <= 1:
        raise BadSamplingRule(
            f"{text[:80]!r}: after the selector comes a rate above 0 and up to 1, then maybe `points`"
        )
    try:
        alternatives = tuple(selectors_of(selector))
        for matchers in alternatives:
            for one in matchers:
                accepts(one, [""])
    except QueryError as error:
        raise BadSamplingRule(f"{selector[:80]!r} is no selector: {error}") from None
    if not alternatives:
        raise BadSamplingRule(f"{selector[:80]!r} selects nothing")
    return Rule(text, alternatives, rate, points)


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def series_share(labels: Mapping[str, str]) -> float:
    """Return a number from 0 up to 1 that is the same for the same labels, the name aside."""
    digest = blake2b(digest_size=8)
    for name in sorted(labels.keys() - NOT_IN_THE_HASH):
        digest.update(f"{len(name)},{len(labels[name])}:{name}{labels[name]}".encode())
    return int.from_bytes(digest.digest(), "little") / _WHOLE


def point_shares(series_ids: Ints, timestamps_ms: Ints) -> npt.NDArray[np.float64]:
    """Return a number from 0 up to 1 for each point, the same for the same series and time."""
    mixed = series_ids.view(np.uint64) * _SPREAD + timestamps_ms.view(np.uint64) * _MIX_2
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    return np.asarray((mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / _WHOLE)


class Sampling:
    """The rules of this process, and which ids they thin out."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Keep the rules; without any nothing is looked at."""
        self.rules = list(rules)
        self._lock = threading.Lock()
        self._sources: dict[UUID, str] = {}
        self._thinned: dict[int, int] = {}
        # Ids in order, and the rule of each; replaced as a whole.
        self._columns: tuple[Ints, Ints] = np.empty(0, np.int64), np.empty(0, np.int64)
        for rule in self.rules:
            RATE.labels(rule.text).set(rule.rate)

    def left_out(self, series: Mapping[bytes, NewSeries], source_id: UUID) -> tuple[dict[bytes, int], dict[bytes, int]]:
        """Return the rules of series that are not kept at all, and of those that are thinned out, by number."""
        gone: dict[bytes, int] = {}
        thinned: dict[bytes, int] = {}
        for key, one in series.items() if self.rules else ():
            labels: dict[str, str] = orjson.loads(one.labels_json)
            number = self._rule_of({**labels, SOURCE_LABEL: self._source(source_id)})
            if number is None:
                continue
            if self.rules[number].points:
                thinned[key] = number
            elif series_share(labels) >= self.rules[number].rate:
                gone[key] = number
        return gone, thinned

    def _rule_of(self, labels: Mapping[str, str]) -> int | None:
        return next((number for number, rule in enumerate(self.rules) if rule.takes(labels)), None)

    def _source(self, source_id: UUID) -> str:
        if source_id not in self._sources:
            found = Source.objects.filter(pk=source_id).values_list("name", flat=True).first()
            self._sources[source_id] = found or ""
        return self._sources[source_id]

    def thin(self, rules_by_id: Mapping[int, int]) -> None:
        """Have the points of these series thinned out."""
        if not rules_by_id:
            return
        with self._lock:
            self._thinned.update(rules_by_id)
            ids = np.array(sorted(self._thinned), np.int64)
            self._columns = ids, np.array([self._thinned[one] for one in ids.tolist()], np.int64)

    def kept(self, samples: Samples) -> Samples:
        """Return the samples that are kept, and count the others."""
        if not self.rules or not samples.values.size:
            return samples
        ids = samples.series_ids
        stays = ids >= MOST_RULES
        self._count(ids[~stays])
        thinned, rules = self._columns
        if thinned.size:
            place = np.minimum(np.searchsorted(thinned, ids), thinned.size - 1)
            rates = np.array([rule.rate for rule in self.rules])
            drop = (thinned[place] == ids) & (point_shares(ids, samples.timestamps_ms) >= rates[rules[place]])
            drop &= samples.values.view(np.uint64) != np.uint64(STALE_NAN_BITS)
            self._count(rules[place[drop]])
            stays &= ~drop
        return samples if bool(stays.all()) else samples.take(stays)

    def _count(self, rules: Ints) -> None:
        for number, count in enumerate(np.bincount(rules).tolist()) if rules.size else ():
            if count:
                LEFT_OUT.labels(self.rules[number].text).inc(count)


_samplings: list[Sampling] = []


def sampling() -> Sampling:
    """Return the rules of this process."""
    if not _samplings:
        try:
            _samplings.append(Sampling(rules_of(settings.CONFIG.sampling_rules)))
        except BadSamplingRule as error:
            # The check of settings refuses it before anything starts; a door that is open keeps everything.
            log.exception("sampling.bad_rule", error=str(error))
            _samplings.append(Sampling([]))
    return _samplings[0]


def reset_sampling() -> None:
    """Read the rules again at the next request."""
    _samplings.clear()
