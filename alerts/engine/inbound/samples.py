"""Files of samples: payloads by provider, with choices of parameters, each as its tool would send it."""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from alerts.engine.inbound import tools
from alerts.engine.inbound.told import Hints, Told, Unreadable

# What providers of samples are called where that is not the tool's name here; what is no tool is any JSON.
NAMES = {"prometheus": "alertmanager", "grafana_oncall": "oncall"}
MOST_CHOICES = 24
# What a payload with choices of its parameters has.
TEMPLATE = {"payload", "parameters", "renders", "service"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One payload, and the tool whose reader it is for."""

    provider: str
    name: str
    tool: str
    payload: Any


def samples(given: Mapping[str, Any]) -> list[Sample]:
    """Return each payload with each choice of its parameters filled in."""
    return [
        Sample(provider, name, tool_of(provider), payload)
        for provider, groups in given.items()
        for name, template in _templates(groups)
        for payload in _filled(template)
    ]


def tool_of(provider: str) -> str:
    """Return the tool that reads what a provider sends."""
    name = provider.removesuffix("_provider")
    name = NAMES.get(name, name)
    return name if name in tools.TOOLS else "generic"


def verdict(sample: Sample) -> str:
    """Return what is missing of what a sample should give; empty where nothing is."""
    try:
        found = tools.read(sample.tool, sample.payload, Hints())
    except Unreadable as error:
        return str(error)
    if found.reader != sample.tool:
        return found.problems[-1]
    if found.changes:
        return ""
    gaps = [gap for told in found.alerts for gap in _gaps(told)]
    return "" if found.alerts and not gaps else f"without {', '.join(gaps) or 'an alert'}"


def _gaps(told: Told) -> list[str]:
    name = told.name and told.name != "Alert"
    return [word for word, there in (("a name", name), ("labels", told.labels), ("a key", told.key)) if not there]


def _templates(groups: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, group in groups.items():
        if isinstance(group, list):
            yield from ((f"{name}[{place}]", payload) for place, payload in enumerate(group))
        elif not isinstance(group, Mapping):
            continue
        elif "payload" in group and set(group) <= TEMPLATE:
            yield name, group
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
        payload = payload.setdefault(name, {}) if isinstance(payload, dict) else None
    if isinstance(payload, dict):
        payload[path[-1]] = value
