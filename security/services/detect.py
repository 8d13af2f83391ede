"""Detection: claim due events, look at each with every detector, and write what was found in one transaction a batch.

Nothing is remembered between events: the windows are read from the stored rows, so any worker may take any event.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from time import monotonic, sleep, thread_time
from typing import ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from aivillage_console.lib import clock, live
from aivillage_observability.scoring import MEDIUM_FROM, band
from alerts.measures import WORK
from alerts.services import hurry
from security import detectors, measures
from security.catalogue import is_aimed_at_user
from security.detectors import Facts, Hit, Poison, Tuning, Windows
from security.models import DetectorPulse, Finding, SecurityEvent
from security.selectors.threat import PULSE, threat_scores
from security.services import claims, response
from security.services.claims import Verdict

Clock = Callable[[], datetime]
log = structlog.get_logger(__name__)
BUDGET_SECONDS = 0.05
ATTEMPTS_MAX = 5
SHOWN_EVERY_SECONDS = 1.0
LATE_SECONDS = 3.0
LOOK_AGAIN_SECONDS = 0.1
OVER_BUDGET = "looking at it took longer than 50 ms; the rest of its texts was left out"
# What a hostile event may make a scorer raise; a lost database is not among them and ends the round.
POISONOUS = (Poison, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Seen:
    """One event, what was found in it, and what went wrong on the way."""

    event: SecurityEvent
    hits: list[Hit]
    seconds: float
    error: str = ""
    skipped: str = ""

    @property
    def score(self) -> float:
        """Return the worst score."""
        return self.hits[0].score.value if self.hits else 0.0


class _Shown:
    """Whose threat score is to be shown anew, and when this process last did so."""

    lock = threading.Lock()
    users: ClassVar[set[str]] = set()
    at_seconds = 0.0


def detect_due(*, hand: str, read_clock: Clock = clock.now, deadline_seconds: float = 20) -> bool:
    """Look at due events for at most so many seconds; return whether events may remain."""
    ends_at = monotonic() + deadline_seconds
    while monotonic() < ends_at:
        now = read_clock()
        token, events = claims.claim(now=now)
        if not events:
            _show_threats(now)
            return False
        done = detect_batch(token, events, read_clock=read_clock)
        WORK.labels(kind="detect", hand=hand).inc(done)
    return True


def sweep_due(*, hand: str, deadline_seconds: float = 20) -> bool:
    """Look at due events unless others are at it: a burst is theirs until its oldest event is seconds late."""
    if claims.in_hand(now=clock.now(), late_seconds=LATE_SECONDS):
        sleep(LOOK_AGAIN_SECONDS)
        return True
    return detect_due(hand=hand, deadline_seconds=deadline_seconds)


def pulse(*, hand: str, now: datetime) -> None:
    """Note that somebody looked for work."""
    DetectorPulse.objects.update_or_create(name=PULSE, defaults={"at": now, "hand": hand})


def detect_batch(token: UUID, events: Sequence[SecurityEvent], *, read_clock: Clock = clock.now) -> int:
    """Look at claimed events and store what was found; return how many this claim still held."""
    began = monotonic()
    seen = look_at(events)
    try:
        done = _store(token, seen, read_clock())
    except (DataError, IntegrityError) as error:
        # Whatever cannot be stored is a poison too: each by itself, the good ones are kept.
        log.warning("detection.batch", events=len(events), error=str(error).strip())
        done = sum(_store_alone(token, one, read_clock()) for one in seen)
    shared = (monotonic() - began - sum(one.seconds for one in seen)) / max(1, len(seen))
    for one in seen:
        measures.DETECTION_SECONDS.observe(one.seconds + max(0.0, shared))
    return done


def look_at(events: Sequence[SecurityEvent]) -> list[Seen]:
    """Return what the detectors say of each event; reads the windows, writes nothing."""
    windows = claims.windows_of(events)
    tuning = tuning_now()
    return [_look(event, windows[event.pk], tuning) for event in events]


def tuning_now() -> Tuning:
    """Return the tuning that the settings ask for."""
    config = settings.CONFIG
    return Tuning.of(
        threshold=config.brute_force_threshold, sensitivity=config.sql_injection_sensitivity,
        multiplier=config.rate_limit_multiplier, floor=config.security_finding_score,
        behaviour=config.behavior_analysis_enabled,
    )  # fmt: skip


def _facts(event: SecurityEvent) -> Facts:
    return Facts(
        event_type=event.event_type, signal=event.signal, user_id=event.user_id, source_ip=event.source_ip or "",
        endpoint=event.endpoint, details=event.details, zone=_zone(event.details.get("time_zone")),
    )  # fmt: skip


def _zone(name: object) -> ZoneInfo | None:
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _look(event: SecurityEvent, windows: Windows, tuning: Tuning) -> Seen:
    # By the processor's clock: on a busy machine an innocent wait must not make an attack unread.
    began = thread_time()
    if event.attempts > ATTEMPTS_MAX:
        error = f"left alone after {event.attempts - 1} tries that never ended"
        return Seen(event, [], 0.0, error, "attempts")
    hits: list[Hit] = []
    error, skipped = "", ""
    try:
        facts = _facts(event)
        hits.extend(detectors.windowed(facts, windows, tuning))
        hits.extend(detectors.told(facts, windows, tuning))
        for text in detectors.texts_of(event.details):
            if thread_time() - began > BUDGET_SECONDS:
                error, skipped = OVER_BUDGET, "budget"
                break
            hits.extend(detectors.textual(text, tuning, facts.user_id or facts.source_ip))
    except Poison as reason:
        error, skipped = str(reason), "size"
    except POISONOUS as failure:
        error, skipped = f"{type(failure).__name__}: {failure}"[:500], "error"
    return Seen(event, detectors.worst_of_each(iter(hits)), thread_time() - began, error, skipped)


def _store_alone(token: UUID, one: Seen, now: datetime) -> int:
    try:
        return _store(token, [one], now)
    except (DataError, IntegrityError) as error:
        text = f"what was found cannot be stored: {str(error).strip()[:400]}"
        return _store(token, [Seen(one.event, [], one.seconds, text, "error")], now)


@transaction.atomic
def _store(token: UUID, seen: Sequence[Seen], now: datetime) -> int:
    verdicts = [Verdict(one.event.pk, one.score, band(one.score), one.error) for one in seen]
    held = claims.finish(token, verdicts, now=now)
    kept = [one for one in seen if one.event.pk in held]
    floor = settings.CONFIG.security_finding_score
    hits = [(one.event, hit) for one in kept for hit in one.hits if hit.score.value >= floor]
    found = [_finding(event, hit, now) for event, hit in hits]
    Finding.objects.bulk_create(found)
    if found:
        blaming = [finding for finding, (_, hit) in zip(found, hits, strict=True) if hit.blames]
        response.answer(blaming, now=now)
    if any(finding.score >= MEDIUM_FROM for finding in found):
        hurry("security_event")
    if kept:
        live.ring("security")
        transaction.on_commit(lambda: _counted(kept, found), robust=True)
    return len(kept)


def _finding(event: SecurityEvent, hit: Hit, now: datetime) -> Finding:
    value = hit.score.value
    return Finding(
        event=event, detector=hit.detector.value, score=value, band=band(value), key=hit.key[:540], at=event.at,
        reasons=[asdict(reason) for reason in hit.score.reasons], found_at=now, event_type=event.event_type,
        user_id=event.user_id, source_ip=event.source_ip, endpoint=event.endpoint, attack_score=hit.attack,
        user_is_target=is_aimed_at_user(event.event_type, event.signal, event.endpoint),
    )  # fmt: skip


def _counted(kept: Sequence[Seen], found: Sequence[Finding]) -> None:
    for one in kept:
        event = one.event
        measures.count_event(event.event_type, event.severity or band(one.score))
        if event.signal == "failure":
            reason = event.details.get("reason")
            why = reason if isinstance(reason, str) else ""
            measures.count_failure(event.user_id, event.source_ip or "", why, event.weight)
        if one.skipped:
            measures.SKIPPED.labels(one.skipped).inc()
            log.warning("detection.skipped", event_id=event.pk, reason=one.error)
    with _Shown.lock:
        _Shown.users.update(finding.user_id for finding in found if finding.user_id and not finding.user_is_target)


def _show_threats(now: datetime) -> None:
    """Show the scores of those about whom something was found; what is too soon is left to the next call."""
    with _Shown.lock:
        if not _Shown.users or monotonic() - _Shown.at_seconds < SHOWN_EVERY_SECONDS:
            return
        _Shown.at_seconds = monotonic()
        users = sorted(_Shown.users)[: measures.MOST_PEOPLE]
        _Shown.users.clear()
    for threat in threat_scores("user_id", now=now, among=users):
        measures.show_threat(threat.value, threat.score)
