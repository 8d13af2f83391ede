"""Jobs that report in: made, changed, given a new key, paused; and their reports taken in. The key is shown once."""

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import clock, live
from alerts.engine.heartbeats.schedule import schedule_problems
from alerts.engine.heartbeats.standing import Event, JobState, PingKind, told, verdict
from alerts.engine.inbound.told import LONGEST_LABEL, label_name
from alerts.models import CronJob, Ping
from alerts.models.heartbeats import facts_of
from alerts.services.configuration import OWN_FIELDS, checked, saved, stored_of
from alerts.services.hurrying import hurry

BODY_BYTES = 10_000
PINGS_KEPT, BODIES_KEPT, TIDY_EVERY = 10_000, 100, 100
MOST_JOBS = 2_000
MOST_OWN_LABELS = 20
LIVE_TOPIC = "setup"


@dataclass(frozen=True, slots=True)
class Keyed:
    """A job and its key, which nobody sees again."""

    job: CronJob
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One call of a job's address."""

    kind: PingKind
    exit_status: int | None = None
    run_id: uuid.UUID | None = None
    method: str = ""
    ip: str | None = None
    agent: str = ""
    body: bytes = b""


def key_hash(key: str) -> str:
    """Return what is kept of a key; it is random and long, so a plain hash is enough."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _new_key(job: CronJob) -> str:
    # A UUID, because what calls such addresses checks for one.
    key = str(uuid.uuid4())
    job.key_sha256, job.key_hint = key_hash(key), key[-4:]
    return key


def job_problems(job: CronJob, now: datetime) -> dict[str, str]:
    """Return what is wrong with a job, by field."""
    found = schedule_problems({name: getattr(job, name) for name in OWN_FIELDS[CronJob]}, now.timestamp())
    if problem := labels_problem(job.labels):
        found["labels"] = problem
    if job._state.adding and CronJob.objects.count() >= MOST_JOBS:
        found["name"] = f"There are {MOST_JOBS} jobs already; delete some."
    return found


def labels_problem(labels: Any) -> str:
    """Return what is wrong with labels that are added to the alerts of a job."""
    if not isinstance(labels, Mapping) or len(labels) > MOST_OWN_LABELS:
        return f"An object of at most {MOST_OWN_LABELS} names and texts."
    for name, text in labels.items():
        if label_name(str(name)) != name or name in ("alertname", "severity", "job"):
            return f"{str(name)[:60]!r} is no name for a label of yours."
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_LABEL or "\x00" in text:
            return f"The value of {name} is no text of 1 to {LONGEST_LABEL} characters."
    return ""


@transaction.atomic
def job_save(job: CronJob, *, actor: Actor, now: datetime, version: int | None = None) -> Keyed:
    """Store a job; a new one gets a key."""
    stored = stored_of(job, version)
    key = "" if stored is not None else _new_key(job)
    checked(job, job_problems(job, now))
    saved(job, stored, actor=actor, now=now)
    hurry("heartbeat")
    return Keyed(job, key)


@transaction.atomic
def job_rotate(job: CronJob, *, actor: Actor, now: datetime) -> Keyed:
    """Give a job a new key; the old one ends at once."""
    stored = stored_of(job, None)
    key = _new_key(job)
    saved(job, stored, actor=actor, now=now, also=["key_sha256", "key_hint"], key_changed=True)
    return Keyed(job, key)


@transaction.atomic
def job_pause(job: CronJob, *, actor: Actor, now: datetime, paused: bool) -> CronJob:
    """Pause a job, or have it watched again from now on; nothing changes where it is so already."""
    row = CronJob.objects.select_for_update().get(pk=job.pk)
    audit(actor, f"cronjob.{'pause' if paused else 'resume'}", row, now=now)
    if (facts_of(row.facts).paused_at is not None) != paused:
        _keep(row, Report(kind=PingKind.PAUSED if paused else PingKind.RESUMED), now)
        hurry("heartbeat")
    return row


def ping_keep(key: str, report: Report, *, now: datetime) -> CronJob | None:
    """Take in a report; None where no job has this key."""
    with transaction.atomic():
        job = CronJob.objects.select_for_update().filter(key_sha256=key_hash(key)).first()
        if job is None:
            return None
        stood = _state(job, now)
        _keep(job, report, now)
        # Everything else is seen at the next tick: a report that changes nothing costs nobody anything.
        if stood is JobState.DOWN or report.kind is PingKind.FAIL:
            hurry("heartbeat")
    return job


def _state(job: CronJob, now: datetime) -> JobState:
    return verdict(facts_of(job.facts), job.schedule, now.timestamp()).state


def _keep(job: CronJob, report: Report, now: datetime) -> None:
    """Write one report and what follows from it; the caller holds the job's row."""
    # Two processes read the clock: what comes later is never earlier, or a past time would have two answers.
    at = max(now, job.last_at) if job.last_at else now
    run_id = str(report.run_id) if report.run_id else ""
    facts, took_seconds = told(facts_of(job.facts), Event(at.timestamp(), report.kind, run_id, report.exit_status))
    job.pings, job.last_at, job.facts = job.pings + 1, at, asdict(facts)
    CronJob.objects.filter(pk=job.pk).update(pings=job.pings, last_at=at, facts=job.facts)
    Ping.objects.create(
        job=job, number=job.pings, at=at, kind=report.kind, exit_status=report.exit_status, run_id=report.run_id,
        duration_ms=round(took_seconds * 1000) if took_seconds is not None else None, method=report.method,
        ip=report.ip, agent=report.agent, body=report.body, facts=job.facts,
    )  # fmt: skip
    if job.pings % TIDY_EVERY == 0:
        _tidy(job)
    live.ring(LIVE_TOPIC)


def _tidy(job: CronJob) -> None:
    """Drop the oldest reports and the bodies of older ones: a job tidies up after itself."""
    rows = Ping.objects.filter(job=job)
    rows.filter(number__lte=job.pings - PINGS_KEPT).delete()
    newest = job.pings - BODIES_KEPT
    rows.filter(number__lte=newest, number__gt=newest - 2 * TIDY_EVERY).update(body=b"")


def expected_times(job: CronJob, *, now: datetime, count: int = 3) -> list[datetime]:
    """Return the next times a job is expected, were it to report on each of them."""
    found, at = [], now.timestamp()
    for _ in range(count):
        at = job.schedule.next_after(at)
        found.append(clock.at_seconds(at))
    return found
