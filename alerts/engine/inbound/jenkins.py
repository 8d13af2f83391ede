"""Jenkins' Notification plug-in."""

from collections.abc import Mapping
from typing import Any

from alerts.engine.inbound import ci
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.told import Hints, Reading, Unreadable, text_of
from alerts.engine.states import Severity

ENDED = frozenset(("completed", "finalized", "finished", ""))


def read(payload: Any, _hints: Hints) -> Reading:
    """Return what the end of a build means; its other phases mean nothing."""
    if not isinstance(payload, Mapping) or not isinstance(payload.get("build"), Mapping):
        raise Unreadable('The message has no object "build"; expected what the Notification plug-in sends.')
    build = payload["build"]
    job = text_of(payload.get("display_name") or payload.get("name"))
    if not job:
        raise Unreadable("The message has no name of the job.")
    phase = text_of(build.get("phase")).lower()
    if phase not in ENDED:
        return Reading(said=f"build {text_of(build.get('number'))} of {job} is {phase}", reader="jenkins")
    status = text_of(build.get("status"))
    scm = build.get("scm") if isinstance(build.get("scm"), Mapping) else {}
    branch = text_of(scm.get("branch"))
    return ci.read(ci.Run(
        what="Jenkins build", kind="build", place=f"jenkins:{text_of(payload.get('url')) or job}:{branch}",
        number=text_of(build.get("number")), name=job, status=status, at=moment(build.get("timestamp")),
        url=text_of(build.get("full_url") or build.get("url")),
        labels={"job": job, "branch": branch},
        details={"description": text_of(build.get("notes")), "commit": scm.get("commit"), "build": build.get("number")},
        severity=Severity.MEDIUM if status.lower() == "unstable" else Severity.HIGH,
    ), "jenkins")  # fmt: skip
