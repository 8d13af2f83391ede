"""Pushes to image registries: the distribution's notifications, Docker Hub, Harbor, Quay."""

from collections.abc import Iterator, Mapping
from typing import Any

from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.told import Changed, Hints, Reading, Unreadable, labels_of, text_of, url_of

MOST_EVENTS = 500
Payload = Mapping[str, Any]


def read(payload: Any, _hints: Hints) -> Reading:
    """Return a change for each image that was pushed or deleted; pulls are none."""
    if not isinstance(payload, Mapping):
        raise Unreadable("The message is no JSON object.")
    if isinstance(payload.get("events"), list):
        changes = tuple(change for event in payload["events"][:MOST_EVENTS] for change in _event(event))
        return Reading(changes=changes, said="" if changes else "no push and no deletion among it", reader="registry")
    for shape in (_hub, _harbor, _quay):
        if (changes := tuple(shape(payload))) or shape_of(payload) is shape:
            return Reading(changes=changes, said="" if changes else "no image was pushed", reader="registry")
    raise Unreadable("The message has neither events, nor push_data, nor event_data, nor updated_tags.")


def shape_of(payload: Payload) -> Any:
    """Return the reader of the registry that sends such a message."""
    if "push_data" in payload:
        return _hub
    return _harbor if "event_data" in payload else _quay if "updated_tags" in payload else None


def _inner(payload: Payload, name: str) -> Payload:
    found = payload.get(name)
    return found if isinstance(found, Mapping) else {}


def _change(
    image: str, tag: str, *, digest: str = "", at: Any = None, by: Any = None, url: str = "", status: str = "pushed",
    key: str = "",
) -> Changed:  # fmt: skip
    name = f"{image}:{tag}" if tag else f"{image}@{digest}"
    return Changed(
        kind="image", name=name, status=status, at=moment(at), key=key or f"{name}:{digest or text_of(at)}:{status}",
        summary=f"{name} was {status}", url=url_of(url),
        labels=labels_of({"image": image, "tag": tag, "digest": digest, "user": by}),
    )  # fmt: skip


def _event(event: Any) -> Iterator[Changed]:
    if not isinstance(event, Mapping) or event.get("action") not in ("push", "delete"):
        return
    target = _inner(event, "target")
    image = text_of(target.get("repository"))
    media = text_of(target.get("mediaType"))
    # Layers are pushed one by one before the manifest that names them.
    if not image or (media and not any(word in media for word in ("manifest", "index"))):
        return
    yield _change(
        image, text_of(target.get("tag")), digest=text_of(target.get("digest")), at=event.get("timestamp"),
        by=_inner(event, "actor").get("name"), url=text_of(target.get("url")), key=text_of(event.get("id")),
        status="pushed" if event["action"] == "push" else "deleted",
    )  # fmt: skip


def _hub(payload: Payload) -> Iterator[Changed]:
    push, repository = _inner(payload, "push_data"), _inner(payload, "repository")
    image = text_of(repository.get("repo_name"))
    if push and image:
        yield _change(
            image, text_of(push.get("tag")), at=push.get("pushed_at"), by=push.get("pusher"),
            url=text_of(repository.get("repo_url")),
        )  # fmt: skip


def _harbor(payload: Payload) -> Iterator[Changed]:
    data = _inner(payload, "event_data")
    kind = text_of(payload.get("type")).upper()
    if not kind.startswith(("PUSH", "DELETE")) and "pushed" not in kind.lower():
        return
    image = text_of(_inner(data, "repository").get("repo_full_name"))
    for resource in data.get("resources") or []:
        if isinstance(resource, Mapping) and image:
            yield _change(
                image, text_of(resource.get("tag")), digest=text_of(resource.get("digest")), at=payload.get("occur_at"),
                by=payload.get("operator"), status="deleted" if kind.startswith("DELETE") else "pushed",
            )  # fmt: skip


def _quay(payload: Payload) -> Iterator[Changed]:
    tags = payload.get("updated_tags")
    image = text_of(payload.get("docker_url") or payload.get("repository"))
    names = list(tags) if isinstance(tags, list | Mapping) else []
    for tag in names[:MOST_EVENTS]:
        if image:
            yield _change(image, text_of(tag), url=text_of(payload.get("homepage")))
