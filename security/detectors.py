"""What the detectors make of one event and the windows around it. Pure: rows and clock are the caller's."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, TypeGuard

from aivillage_observability.scoring import (
    NOTHING,
    Reason,
    Score,
    base_for,
    score_behaviour,
    score_brute_force,
    score_exfiltration,
    score_fixed,
    score_injection,
    score_rate,
    score_tool_use,
)
from security.catalogue import Detector, Signal

TEXT_KEYS = ("input_data", "query", "path", "body")
MOST_TEXTS = 40
TEXT_CHARS_MAX = 64 * 1024
USUAL_THRESHOLD = 5
USUAL_MULTIPLIER = 2.0
# What an attack of many may add to what is laid to the charge of one of its addresses: by itself, and where that
# address shows something of its own. Neither is critical, for any innocent who mistypes meanwhile is among them.
CHARGED_ALONE = 0.6
CHARGED_WITH_OWN = 0.8
OWN_FROM = 0.4
TOOL_TYPES = ("high_risk_tool_usage", "suspicious_command")
NAMED = {
    "brute_force_pair": Detector.BRUTE_FORCE, "brute_force_user": Detector.BRUTE_FORCE,
    "brute_force_address": Detector.BRUTE_FORCE, "password_spraying": Detector.SPRAYING,
    "distributed_brute_force": Detector.DISTRIBUTED, "credential_stuffing": Detector.STUFFING,
    "slow_brute_force": Detector.SLOW_BRUTE_FORCE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tuning:
    """The settings of the original, where 1 means as documented."""

    tries_scale: float = 1.0
    rate_scale: float = 1.0
    text_floor: float = 0.3
    floor: float = 0.3
    behaviour: bool = True

    @classmethod
    def of(cls, *, threshold: int, sensitivity: float, multiplier: float, floor: float, behaviour: bool) -> "Tuning":
        """Return the tuning of BRUTE_FORCE_THRESHOLD, SQL_INJECTION_SENSITIVITY and RATE_LIMIT_MULTIPLIER."""
        return cls(
            tries_scale=USUAL_THRESHOLD / max(1, threshold), rate_scale=max(0.05, multiplier) / USUAL_MULTIPLIER,
            text_floor=round(1.0 - sensitivity, 4), floor=floor, behaviour=behaviour,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Windows:
    """What the stored rows say about an event's user, address and endpoint, the event itself counted."""

    pair: int = 0
    user: int = 0
    address: int = 0
    users_of_address: int = 0
    addresses_of_user: int = 0
    strangers: int = 0
    pair_slow: int = 0
    requests: int = 0
    requests_here: int = 0  # Those of them that came from the event's own address.
    usual_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """One event as the detectors see it."""

    event_type: str
    signal: str
    user_id: str = ""
    source_ip: str = ""
    endpoint: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """What one detector found.

    `attack` is how bad the attack of many is that this is a part of, 0 where it is none; `blames` tells whether the
    address itself did what was found, so that it may be blocked for it.
    """

    detector: Detector
    score: Score
    key: str
    attack: float = 0.0
    blames: bool = True


class Poison(ValueError):
    """An event that must not be looked at further; the text says why."""


def is_number(value: object) -> TypeGuard[float]:
    """Tell a number from everything else that JSON has, true and false included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def windowed(facts: Facts, windows: Windows, tuning: Tuning) -> Iterator[Hit]:
    """Yield what the counts around the event say."""
    who = facts.user_id or facts.source_ip
    if facts.signal == Signal.FAILURE:
        yield from _tries(facts, windows, tuning.tries_scale)
    if windows.requests:
        base = max(1, round(base_for(facts.endpoint) * tuning.rate_scale))
        score, here = score_rate(windows.requests, base), score_rate(windows.requests_here, base)
        yield Hit(Detector.RATE_LIMIT, score, f"{who} {facts.endpoint}", blames=here.value >= score.value)


def _tries(facts: Facts, windows: Windows, scale: float) -> Iterator[Hit]:
    """Yield what the address did by itself, and apart from it the attacks of many that it may be a part of."""

    def scaled(count: int) -> int:
        return count if scale == 1.0 else int(count * scale)

    key = f"{facts.user_id} {facts.source_ip}"
    own = score_brute_force(
        pair=scaled(windows.pair), address=scaled(windows.address), users_of_address=windows.users_of_address,
        pair_slow=windows.pair_slow,
    )  # fmt: skip
    on_user = score_brute_force(user=scaled(windows.user), addresses_of_user=windows.addresses_of_user)
    is_of_many = any(reason.code == "distributed_brute_force" for reason in on_user.reasons)
    seen = own
    if not is_of_many:
        charged = _charged(on_user, own, facts.source_ip)
        seen = max(own, replace(charged, reasons=charged.reasons + own.reasons), key=lambda score: score.value)
    if seen.value:
        yield Hit(NAMED[seen.reasons[0].code], seen, key)
    if is_of_many:
        yield Hit(
            Detector.DISTRIBUTED, _charged(on_user, own, facts.source_ip), key, attack=on_user.value, blames=False
        )
    stuffing = score_brute_force(strangers=windows.strangers)
    if stuffing.value:
        yield Hit(Detector.STUFFING, _charged(stuffing, own, facts.source_ip), key, attack=stuffing.value, blames=False)


def _charged(attack: Score, own: Score, source_ip: str) -> Score:
    """Return how much of an attack is laid to the charge of one address; where none is known, nobody is accused."""
    most = CHARGED_WITH_OWN if own.value >= OWN_FROM else CHARGED_ALONE
    if not source_ip or attack.value <= most:
        return attack
    text = f"at most {most:.1f} of it speaks against this address, which by itself shows {own.value:.1f}"
    return Score(most, (*attack.reasons, Reason("own_evidence", text, 0.0)))


def texts_of(details: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts of an event that came from outside; raise Poison for one that is too long to be read."""
    found = 0
    for key in TEXT_KEYS:
        for text in _leaves(details.get(key)):
            if len(text) > TEXT_CHARS_MAX:
                raise Poison(f"{key} has {len(text)} characters, at most {TEXT_CHARS_MAX} are looked at")
            found += 1
            if found > MOST_TEXTS:
                raise Poison(f"more than {MOST_TEXTS} texts in one event")
            yield text


def _leaves(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, str):
            if each:
                yield each
        elif isinstance(each, Mapping):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def textual(text: str, tuning: Tuning, key: str = "") -> Iterator[Hit]:
    """Yield what one text says."""
    found = score_injection(text)
    for detector, score in (
        (Detector.SQL_INJECTION, found.sqli), (Detector.XSS, found.xss),
        (Detector.TRAVERSAL, found.traversal), (Detector.COMMAND, found.command),
    ):  # fmt: skip
        if score.value >= tuning.text_floor:
            yield Hit(detector, score, key)


def told(facts: Facts, windows: Windows, tuning: Tuning) -> Iterator[Hit]:
    """Yield what the details and the kind of the event say by themselves."""
    key = facts.user_id or facts.source_ip
    yield Hit(Detector.KIND, score_fixed(facts.event_type), key)
    yield Hit(Detector.TOOL_USE, _tool(facts), key)
    if tuning.behaviour:
        yield Hit(Detector.BEHAVIOUR, score_behaviour(facts.details, zone=facts.zone), key)
        volume = facts.details.get("data_access_volume")
        if windows.usual_mb is not None and is_number(volume):
            yield Hit(Detector.EXFILTRATION, score_exfiltration(volume, windows.usual_mb), key)


def _tool(facts: Facts) -> Score:
    name = facts.details.get("tool_name")
    if isinstance(name, str) and name:
        score = score_tool_use(name, facts.details.get("arguments", "")).score
        if score.value:
            return score
    if facts.event_type in TOOL_TYPES:
        text = "its sender says that this tool call is risky"
        return Score(0.7, (Reason(facts.event_type, text, 0.7),))
    return NOTHING


def worst_of_each(hits: Iterator[Hit]) -> list[Hit]:
    """Return the highest hit of each detector, the worst first; a score of nothing is no hit."""
    best: dict[Detector, Hit] = {}
    for hit in hits:
        if hit.score.value > best.get(hit.detector, Hit(hit.detector, NOTHING, "")).score.value:
            best[hit.detector] = hit
    return sorted(best.values(), key=lambda hit: -hit.score.value)
