"""The rule kind `heartbeat`: a job that reports in has missed its time, failed, or runs for too long."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from operator import itemgetter
from typing import Any

import orjson
from django.db import connection
from django.db.models import QuerySet

from aivillage_console.lib import clock
from aivillage_console.lib.durations import format_seconds
from alerts.engine.heartbeats.standing import Because, Facts, JobState, Verdict, verdict
from alerts.models import CronJob, Ping
from alerts.models.heartbeats import facts_of
from alerts.rules.fields import SpecField
from alerts.rules.kinds import AskedKind, Case

MOST_JOBS_NAMED = 200
ALL = tuple(each.value for each in Because)
FIELDS = (
    SpecField(
        name="jobs", type="names", label="Jobs", default=(), example='["backup"]',
        help="Names of the jobs it is about; empty: all of them.",
    ),
    SpecField(
        name="on", type="names", label="Fires when", default=ALL, example='["missed", "failed"]',
        help="missed: nothing was heard within schedule and grace. failed: it reported a failure. overrun: a run that "
        "reported its start takes longer than it may.",
    ),
)  # fmt: skip
# The facts as they were at a time: with the last report before it.
FACTS_AT = """
SELECT job.id, ping.facts::text FROM unnest(%(ids)s::uuid[]) AS job(id) CROSS JOIN LATERAL (
    SELECT facts FROM alerts_ping WHERE job_id = job.id AND at <= %(at)s ORDER BY at DESC, number DESC LIMIT 1) ping
"""


def facts_at(jobs: Iterable[CronJob], at: datetime) -> dict[Any, Facts]:
    """Return by job what was known at a time; the row of a job that told nothing since says it all."""
    found, earlier = {}, []
    for job in jobs:
        if job.last_at is not None and job.last_at > at:
            earlier.append(job.pk)
        found[job.pk] = facts_of(job.facts if job.last_at is not None and job.last_at <= at else {})
    if earlier:
        with connection.cursor() as cursor:
            cursor.execute(FACTS_AT, {"ids": earlier, "at": at})
            found |= {key: facts_of(orjson.loads(facts)) for key, facts in cursor.fetchall()}
    return found


def verdicts_at(jobs: Sequence[CronJob], at: datetime) -> list[tuple[CronJob, Facts, Verdict]]:
    """Return how jobs stood at a time; raises BadSchedule."""
    facts, now = facts_at(jobs, at), at.timestamp()
    return [(job, facts[job.pk], verdict(facts[job.pk], job.schedule, now)) for job in jobs]


def because_text(job: CronJob, facts: Facts, standing: Verdict) -> str:
    """Return in a sentence why a job is down."""
    if standing.because is Because.FAILED:
        return "it reported a failure" + (f", exit status {facts.exit_status}" if facts.exit_status else "")
    if standing.because is Because.OVERRUN:
        return f"a run takes longer than {format_seconds(job.longest_run_seconds or 0)}"
    return f"nothing was heard, {format_seconds(job.grace_seconds)} of grace included"


def problems(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with a spec, by key."""
    found, jobs, on = {}, spec.get("jobs", []), spec.get("on", list(ALL))
    if not _texts(jobs) or len(jobs) > MOST_JOBS_NAMED:
        found["jobs"] = f"must be a list of at most {MOST_JOBS_NAMED} names; empty means all jobs"
    if not _texts(on) or not on or set(on) - set(ALL):
        found["on"] = f"must be a list of {', '.join(ALL)}"
    return found


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _asked(spec: Mapping[str, Any]) -> QuerySet[CronJob]:
    named = spec.get("jobs") or ()
    return CronJob.objects.filter(name__in=named) if named else CronJob.objects.all()


def ask(spec: Mapping[str, Any], _window_seconds: int, at: datetime) -> Sequence[Case]:
    """Return the jobs that were down at a time, by what they had told until then."""
    return _down(spec, verdicts_at(list(_asked(spec)), at), at)


def _down(spec: Mapping[str, Any], jobs: Iterable[tuple[CronJob, Facts, Verdict]], at: datetime) -> list[Case]:
    wanted = set(spec.get("on") or ALL)
    return [
        _case(job, facts, standing, at)
        for job, facts, standing in jobs
        if standing.state is JobState.DOWN and standing.because in wanted
    ]


def between(spec: Mapping[str, Any], start: datetime, end: datetime) -> Callable[[datetime], Sequence[Case]]:
    """Answer for many times between two: what was told meanwhile is read once."""
    jobs = list(_asked(spec))
    stories: dict[Any, list[tuple[float, Facts]]] = {
        key: [(float("-inf"), facts)] for key, facts in facts_at(jobs, start).items()
    }
    rows = Ping.objects.filter(job__in=jobs, at__gt=start, at__lte=end).order_by("job", "number")
    for key, at, facts in rows.values_list("job_id", "at", "facts").iterator(chunk_size=10_000):
        stories[key].append((at.timestamp(), facts_of(facts)))

    def asked(at: datetime) -> Sequence[Case]:
        now = at.timestamp()
        told = ((job, stories[job.pk][bisect_right(stories[job.pk], now, key=itemgetter(0)) - 1][1]) for job in jobs)
        return _down(spec, [(job, facts, verdict(facts, job.schedule, now)) for job, facts in told], at)

    return asked


def _case(job: CronJob, facts: Facts, standing: Verdict, at: datetime) -> Case:
    since = standing.since or at.timestamp()
    told = because_text(job, facts, standing)
    return Case(
        labels={**job.labels, "job": job.name}, value=round(at.timestamp() - since, 1), severity=job.severity,
        annotations={"because": told, "summary": f"{job.name} is down: {told}"},
        evidence={"because": standing.because, "said": told, "job": str(job.pk), "expected_at": standing.expected_at,
                  "down_since": since, "facts": asdict(facts), "schedule": job.cron or job.period_seconds,
                  "time_zone": job.time_zone, "grace_seconds": job.grace_seconds},
    )  # fmt: skip


def over_because(_spec: Mapping[str, Any], labels: Mapping[str, str], *, at: datetime) -> str:
    """Say why a job is no longer down."""
    job = CronJob.objects.filter(name=labels.get("job", "")).first()
    if job is None:
        return "the job was deleted"
    [(_, facts, standing)] = verdicts_at([job], at)
    if standing.state is JobState.PAUSED:
        return "the job was paused"
    if facts.finished_at is not None and standing.state is not JobState.DOWN:
        return f"the job reported at {clock.at_seconds(facts.finished_at):%H:%M:%S} UTC"
    return ""


HEARTBEAT = AskedKind(
    label="Heartbeat", keys=frozenset(field.name for field in FIELDS), problems=problems, ask=ask,
    between=between, over="the job reports again", over_because=over_because, fields=FIELDS, uses_window=False,
    evidence_template="heartbeats/_alert_evidence.html",
    help="Jobs that call an address of their own when they are done: one that does not, or that failed, is an alert.",
)  # fmt: skip
