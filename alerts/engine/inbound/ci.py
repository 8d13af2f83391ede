"""What builds and deploys have in common: a bad end is an alert, a good end ends it, and either is a change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alerts.engine.inbound.told import Changed, Reading, Status, Told, labels_of, texts_of, url_of
from alerts.engine.states import Severity

FAILED = frozenset(("failed", "failure", "error", "unstable"))
PASSED = frozenset(("success", "successful", "fixed", "passed"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a pipeline, a job or a deployment."""

    what: str  # "GitLab pipeline": what the alert is called, followed by "failed".
    kind: str  # Of the change: build, deploy.
    place: str  # What the key is made of: the same for the run that fails and the one that passes.
    number: str
    name: str
    status: str
    summary: str = ""
    url: str = ""
    at: datetime | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = Severity.HIGH
    is_change: bool = True


def read(run: Run, reader: str) -> Reading:
    """Return what a run that has ended means; one that has not means nothing yet."""
    status = run.status.lower()
    if status not in FAILED | PASSED:
        return Reading(said=f"{run.what} {run.name} is {status or 'without a status'}: no end yet", reader=reader)
    failed = status in FAILED
    labels = labels_of(run.labels)
    summary = run.summary or f"{run.what} {run.name}: {status}"
    told = Told(
        name=f"{run.what} failed", status=Status.FIRING if failed else Status.RESOLVED, labels=labels,
        severity=run.severity, severity_text="", key=run.place, started_at=run.at if failed else None,
        ended_at=None if failed else run.at, url=url_of(run.url),
        annotations=texts_of({"summary": summary, **run.details}),
    )  # fmt: skip
    change = Changed(
        kind=run.kind, name=run.name, status=status, at=run.at, key=f"{run.place}#{run.number}", summary=summary,
        url=url_of(run.url), labels=labels,
    )  # fmt: skip
    return Reading(alerts=(told,), changes=(change,) if run.is_change else (), reader=reader)
