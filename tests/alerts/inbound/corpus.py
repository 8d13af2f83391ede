"""The payloads of the corpus, each as its tool would send it."""

import copy
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

FILE = "alert-webhooks/keep_provider_mocks.json"
# The tools with a reader of their own; every other provider's payloads are any JSON.
NAMED = {"prometheus": "alertmanager", "grafana": "grafana", "pagerduty": "pagerduty", "opsgenie": "opsgenie",
         "alertmanager": "alertmanager", "gitlab": "gitlab", "jenkins": "jenkins"}  # fmt: skip
MOST_CHOICES = 12


def payloads(corpora: Path) -> list[tuple[str, str, str, Any]]:
    """Return (provider, sample, tool, payload), with each choice of parameters filled in."""
    given = json.loads((corpora / FILE).read_text())
    return [
        (provider, sample, NAMED.get(provider.removesuffix("_provider"), "generic"), payload)
        for provider, groups in given.items()
        for sample, template in _templates(groups)
        for payload in _filled(template)
    ]


def _templates(groups: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, group in groups.items():
        if isinstance(group, list):
            yield from ((f"{name}[{place}]", payload) for place, payload in enumerate(group))
        elif group and all(isinstance(inner, dict) and "payload" in inner for inner in group.values()):
            yield from group.items()
        else:
            yield name, {"payload": group}


def _filled(template: Any) -> Iterator[Any]:
    if "payload" not in template:
        yield template
        return
    choices = template.get("parameters") or {}
    renders = template.get("renders") or {}
    for values in list(product(*choices.values()))[:MOST_CHOICES]:
        payload = copy.deepcopy(template["payload"])
        for path, value in zip(choices, values, strict=True):
            _put(payload, path.split("."), value)
        text = json.dumps(payload)
        for name, texts in renders.items():
            text = text.replace("{{" + name + "}}", texts[0]).replace("{{ " + name + " }}", texts[0])
        yield json.loads(text)


def _put(payload: Any, path: list[str], value: Any) -> None:
    for name in path[:-1]:
        payload = payload.setdefault(name, {})
    payload[path[-1]] = value
