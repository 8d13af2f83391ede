"""GitLab's webhooks: pipelines, jobs, deployments, releases and pushes of tags."""

from collections.abc import Callable, Mapping
from typing import Any

from alerts.engine.inbound import ci
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.told import Changed, Hints, Reading, Unreadable, labels_of, text_of, url_of
from alerts.engine.states import Severity

Payload = Mapping[str, Any]


def read(payload: Any, hints: Hints) -> Reading:
    """Return what an event means, by its `object_kind`."""
    if not isinstance(payload, Mapping):
        raise Unreadable("The message is no JSON object.")
    kind = text_of(payload.get("object_kind")) or _of_header(hints.event)
    if not kind:
        raise Unreadable("The message has no object_kind, and X-Gitlab-Event names none.")
    reader = KINDS.get(kind)
    if reader is None:
        return Reading(said=f"the event {kind[:60]} is not followed", reader="gitlab")
    return reader(payload)


def _of_header(event: str) -> str:
    name = event.removesuffix(" Hook").replace(" ", "_").lower()
    return {"job": "build", "tag_push": "tag_push"}.get(name, name)


def _inner(payload: Payload, name: str) -> Payload:
    found = payload.get(name)
    return found if isinstance(found, Mapping) else {}


def _project(payload: Payload) -> str:
    project = _inner(payload, "project")
    named = project.get("path_with_namespace") or project.get("name") or payload.get("project_name")
    return text_of(named).replace(" / ", "/") or "unknown project"


def _page(payload: Payload, tail: str) -> str:
    base = text_of(_inner(payload, "project").get("web_url") or _inner(payload, "repository").get("homepage"))
    return f"{base}/-/{tail}" if base else ""


def _pipeline(payload: Payload) -> Reading:
    facts, project = _inner(payload, "object_attributes"), _project(payload)
    ref, commit = text_of(facts.get("ref")), _inner(payload, "commit")
    failed = [
        text_of(job.get("name")) for job in payload.get("builds") or []
        if isinstance(job, Mapping) and job.get("status") == "failed" and not job.get("allow_failure")
    ]  # fmt: skip
    run = ci.Run(
        what="GitLab pipeline", kind="build", place=f"pipeline:{project}:{ref}", number=text_of(facts.get("id")),
        name=f"{project} {ref}".strip(), status=text_of(facts.get("status")),
        at=moment(facts.get("finished_at") or facts.get("created_at")),
        url=text_of(facts.get("url")) or _page(payload, f"pipelines/{text_of(facts.get('id'))}"),
        labels={"project": project, "ref": ref, "pipeline_source": facts.get("source")},
        details={
            "description": text_of(commit.get("title") or commit.get("message")), "failed_jobs": ", ".join(failed),
            "started_by": _inner(payload, "user").get("name"), "commit": facts.get("sha"),
        },
    )  # fmt: skip
    return ci.read(run, "gitlab")


def _job(payload: Payload) -> Reading:
    project, ref, job = _project(payload), text_of(payload.get("ref")), text_of(payload.get("build_name"))
    if payload.get("build_allow_failure") and payload.get("build_status") == "failed":
        return Reading(said=f"the job {job} may fail", reader="gitlab")
    environment = _environment(payload.get("environment"))
    run = ci.Run(
        what="GitLab job", kind="deploy" if environment else "build", place=f"job:{project}:{ref}:{job}",
        number=text_of(payload.get("build_id")), name=f"{project} {job}".strip(),
        status=text_of(payload.get("build_status")), severity=Severity.HIGH,
        at=moment(payload.get("build_finished_at") or payload.get("build_started_at")),
        url=_page(payload, f"jobs/{text_of(payload.get('build_id'))}"), is_change=bool(environment),
        labels={
            "project": project, "ref": ref, "job": job, "stage": payload.get("build_stage"), "environment": environment,
        },
        details={
            "description": payload.get("build_failure_reason"), "commit": payload.get("sha"),
            "started_by": _inner(payload, "user").get("name"),
        },
    )  # fmt: skip
    return ci.read(run, "gitlab")


def _environment(value: Any) -> str:
    return text_of(value.get("name") if isinstance(value, Mapping) else value)


def _deployment(payload: Payload) -> Reading:
    project, environment = _project(payload), _environment(payload.get("environment"))
    run = ci.Run(
        what="GitLab deployment", kind="deploy", place=f"deployment:{project}:{environment}",
        number=text_of(payload.get("deployment_id")), name=f"{project} to {environment}",
        status=text_of(payload.get("status")), at=moment(payload.get("status_changed_at")),
        url=text_of(payload.get("deployable_url")),
        labels={"project": project, "environment": environment, "ref": payload.get("ref")},
        details={
            "description": payload.get("commit_title"), "commit": payload.get("short_sha"),
            "started_by": _inner(payload, "user").get("name"),
        },
    )  # fmt: skip
    return ci.read(run, "gitlab")


def _release(payload: Payload) -> Reading:
    project, tag = _project(payload), text_of(payload.get("tag"))
    action = text_of(payload.get("action")) or "create"
    change = Changed(
        kind="release", name=f"{project} {tag}".strip(), status=action, key=f"release:{project}:{tag}:{action}",
        at=moment(payload.get("released_at") or payload.get("created_at")), summary=text_of(payload.get("name")),
        url=url_of(payload.get("url")), labels=labels_of({"project": project, "tag": tag}),
    )  # fmt: skip
    return Reading(changes=(change,), reader="gitlab")


def _tag(payload: Payload) -> Reading:
    project, tag = _project(payload), text_of(payload.get("ref")).removeprefix("refs/tags/")
    deleted = not text_of(payload.get("checkout_sha")).strip("0")
    change = Changed(
        kind="tag", name=f"{project} {tag}", status="deleted" if deleted else "pushed",
        key=f"tag:{project}:{tag}:{text_of(payload.get('after'))}", summary=text_of(payload.get("message")),
        labels=labels_of({"project": project, "tag": tag, "user": payload.get("user_username")}),
        url=url_of(_page(payload, f"tags/{tag}")),
    )  # fmt: skip
    return Reading(changes=(change,), reader="gitlab")


KINDS: Mapping[str, Callable[[Payload], Reading]] = {
    "pipeline": _pipeline, "build": _job, "deployment": _deployment, "release": _release, "tag_push": _tag,
}  # fmt: skip
