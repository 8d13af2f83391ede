"""The senders the console knows, and how their messages are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from alerts.engine.inbound import (
    alertmanager,
    gitlab,
    grafana,
    guessing,
    jenkins,
    mapping,
    oncall,
    opsgenie,
    pagerduty,
    registry,
)
from alerts.engine.inbound.told import Hints, Reading, Unreadable, url_of

Reader = Callable[[Any, Hints], Reading]


@dataclass(frozen=True, slots=True)
class Tool:
    """One kind of sender."""

    label: str
    read: Reader
    address: str  # After the console's own address; {token} is put in, {name} is for the sender to choose.
    where: str  # What to do with the address at the sender.
    event_header: str = ""
    id_header: str = ""
    token_header: str = ""  # In which a sender shows a shared secret in the clear.


def _generic(payload: Any, hints: Hints) -> Reading:
    if isinstance(payload, Mapping) and payload.get("Type") == "SubscriptionConfirmation":
        address = url_of(payload.get("SubscribeURL"))
        return Reading(said=f"a topic asks whether it may send; to let it, visit {address}", reader="generic")
    return mapping.read(payload, hints) if hints.mapping else guessing.read(payload, hints)


TOOLS: Mapping[str, Tool] = {
    "alertmanager": Tool(
        "Alertmanager", alertmanager.read, "/hooks/alertmanager/{token}/",
        "A receiver with webhook_configs: url is the address; send_resolved stays true.",
    ),
    "grafana": Tool(
        "Grafana", grafana.read, "/hooks/grafana/{token}/",
        "A contact point of the type Webhook: URL is the address. Older dashboard alerts: a notification channel.",
    ),
    "pagerduty": Tool(
        "PagerDuty Events", pagerduty.read, "/v2/enqueue",
        "The token is the routing key; the console's address takes the place of events.pagerduty.com.",
        id_header="X-Webhook-Id",
    ),
    "opsgenie": Tool(
        "Opsgenie", opsgenie.read, "/v2/alerts",
        "The token is the API key (GenieKey); the console's address takes the place of api.opsgenie.com.",
    ),
    "oncall": Tool(
        "OnCall formatted webhook", oncall.read, "/integrations/v1/formatted_webhook/{token}/",
        "The address takes the place of the integration's.",
    ),
    "gitlab": Tool(
        "GitLab", gitlab.read, "/hooks/gitlab/{token}/",
        "Settings, Webhooks: URL is the address, Secret token the secret; tick Pipeline, Job or Deployment events.",
        event_header="X-Gitlab-Event", id_header="X-Gitlab-Event-UUID", token_header="X-Gitlab-Token",  # noqa: S106 (the name of a header)
    ),
    "jenkins": Tool(
        "Jenkins", jenkins.read, "/hooks/jenkins/{token}/",
        "The Notification plug-in, in the job: JSON, HTTP, the address, event All or Job Finalized.",
    ),
    "registry": Tool(
        "Image registry", registry.read, "/hooks/registry/{token}/",
        "A notification endpoint or a webhook on push, of the distribution's registry, Docker Hub, Harbor or Quay.",
    ),
    "generic": Tool(
        "Any JSON", _generic, "/hooks/generic/{token}/",
        "Any program that posts JSON: a title and a state are found by their usual names, or where the mapping says.",
        event_header="X-Event-Type", id_header="X-Delivery-Id",
    ),
}  # fmt: skip


def read(tool: str, payload: Any, hints: Hints) -> Reading:
    """Return what a message of a tool says; one that is not in its shape is read like any JSON, and says so."""
    try:
        return TOOLS[tool].read(payload, hints)
    except Unreadable as unlike:
        if tool == "generic":
            raise
        try:
            found = guessing.read(payload, hints)
        except Unreadable:
            raise unlike from None
        return replace(found, problems=(*found.problems, f"not a message of {TOOLS[tool].label}: {unlike}"))
