"""The readers of builds, deployments and registries."""

from typing import Any

import pytest

from tests.alerts.inbound.reading import read

PROJECT = {"path_with_namespace": "shop/web", "web_url": "https://git/shop/web", "default_branch": "main"}


@pytest.mark.parametrize(
    ("status", "alerts", "changes"),
    [("failed", ["firing"], 1), ("success", ["resolved"], 1), ("running", [], 0), ("canceled", [], 0)],
)
def test_a_pipeline_of_gitlab(status: str, alerts: list[str], changes: int) -> None:
    payload = {
        "object_kind": "pipeline",
        "project": PROJECT,
        "user": {"name": "Eva"},
        "commit": {"title": "Fix"},
        "object_attributes": {
            "id": 31,
            "ref": "main",
            "sha": "abc",
            "source": "push",
            "status": status,
            "finished_at": "2026-11-20 10:00:00 UTC",
        },
        "builds": [
            {"name": "test", "status": "failed", "allow_failure": False},
            {"name": "lint", "status": "failed", "allow_failure": True},
        ],
    }
    found = read("gitlab", payload)
    assert ([told.status for told in found.alerts], len(found.changes)) == (alerts, changes)
    if alerts:
        told = found.alerts[0]
        assert (told.name, told.key, told.severity) == ("GitLab pipeline failed", "pipeline:shop/web:main", "high")
        assert told.url == "https://git/shop/web/-/pipelines/31"
        assert told.annotations["failed_jobs"] == "test"
        assert (found.changes[0].kind, found.changes[0].key) == ("build", "pipeline:shop/web:main#31")


def test_a_job_of_gitlab_and_one_that_may_fail() -> None:
    job = {
        "object_kind": "build",
        "project": PROJECT,
        "ref": "main",
        "build_id": 7,
        "build_name": "deploy",
        "build_stage": "deploy",
        "build_status": "failed",
        "build_allow_failure": False,
        "build_failure_reason": "script_failure",
        "environment": {"name": "production", "action": "start"},
    }
    found = read("gitlab", job)
    assert (found.alerts[0].key, found.alerts[0].labels["environment"]) == ("job:shop/web:main:deploy", "production")
    assert found.changes[0].kind == "deploy"
    assert read("gitlab", {**job, "environment": None}).changes == ()
    assert read("gitlab", {**job, "build_allow_failure": True}).said == "the job deploy may fail"


def test_other_events_of_gitlab() -> None:
    deployment = {
        "object_kind": "deployment",
        "project": PROJECT,
        "environment": "production",
        "status": "success",
        "deployment_id": 3,
        "deployable_url": "https://git/d",
        "short_sha": "abc",
        "status_changed_at": "2026-11-20 10:00:00 +0000",
    }
    assert read("gitlab", deployment).changes[0].name == "shop/web to production"
    release = {
        "object_kind": "release",
        "project": PROJECT,
        "tag": "v1",
        "name": "One",
        "action": "create",
        "url": "https://git/r",
    }
    assert read("gitlab", release).changes[0].kind == "release"
    tag = {"object_kind": "tag_push", "project": PROJECT, "ref": "refs/tags/v1", "checkout_sha": "abc", "after": "abc"}
    assert (read("gitlab", tag).changes[0].name, read("gitlab", tag).changes[0].status) == ("shop/web v1", "pushed")
    assert read("gitlab", {**tag, "checkout_sha": None}).changes[0].status == "deleted"
    assert read("gitlab", {"object_kind": "note"}).said == "the event note is not followed"
    assert read("gitlab", {"project": PROJECT}, event="Wiki Page Hook").said == "the event wiki_page is not followed"


BUILD: dict[str, Any] = {
    "name": "shop",
    "display_name": "shop",
    "url": "job/shop/",
    "build": {
        "full_url": "https://ci/job/shop/18/",
        "number": 18,
        "phase": "FINALIZED",
        "status": "FAILURE",
        "timestamp": 1795168800000,
        "scm": {"branch": "main", "commit": "abc"},
    },
}


@pytest.mark.parametrize(
    ("phase", "status", "alerts", "severity"),
    [
        ("FINALIZED", "FAILURE", ["firing"], "high"),
        ("COMPLETED", "UNSTABLE", ["firing"], "medium"),
        ("FINALIZED", "SUCCESS", ["resolved"], ""),
        ("STARTED", "", [], ""),
        ("COMPLETED", "ABORTED", [], ""),
    ],
)
def test_a_build_of_jenkins(phase: str, status: str, alerts: list[str], severity: str) -> None:
    found = read("jenkins", {**BUILD, "build": {**BUILD["build"], "phase": phase, "status": status}})
    assert [told.status for told in found.alerts] == alerts
    assert len(found.changes) == len(alerts)
    if severity:
        assert (found.alerts[0].severity, found.alerts[0].key) == (severity, "jenkins:job/shop/:main")


def test_pushes_to_registries() -> None:
    target = {
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "repository": "shop/web",
        "tag": "v1",
        "digest": "sha256:1",
    }
    layer = {"mediaType": "application/octet-stream", "repository": "shop/web", "digest": "sha256:2"}
    events = [
        {"id": "e1", "timestamp": "2026-11-20T10:00:00Z", "action": "push", "target": target, "actor": {"name": "ci"}},
        {"id": "e2", "action": "push", "target": layer},
        {"id": "e3", "action": "pull", "target": target},
        7,
    ]
    (change,) = read("registry", {"events": events}).changes
    assert (change.kind, change.name, change.key) == ("image", "shop/web:v1", "e1")
    assert read("registry", {"events": [events[2]]}).said == "no push and no deletion among it"
    hub = {
        "push_data": {"tag": "v1", "pusher": "ci", "pushed_at": 1795168800},
        "repository": {"repo_name": "shop/web", "repo_url": "https://h"},
    }
    assert read("registry", hub).changes[0].name == "shop/web:v1"
    harbor = {
        "type": "PUSH_ARTIFACT",
        "occur_at": 1795168800,
        "operator": "ci",
        "event_data": {
            "resources": [{"digest": "sha256:1", "tag": "v1"}],
            "repository": {"repo_full_name": "shop/web"},
        },
    }
    assert read("registry", harbor).changes[0].labels["user"] == "ci"
    assert read("registry", {**harbor, "type": "SCANNING_COMPLETED"}).said == "no image was pushed"
    quay = {
        "repository": "shop/web",
        "docker_url": "quay.io/shop/web",
        "updated_tags": ["latest", "v1"],
        "homepage": "https://quay.io",
    }
    assert [change.name for change in read("registry", quay).changes] == [
        "quay.io/shop/web:latest",
        "quay.io/shop/web:v1",
    ]
