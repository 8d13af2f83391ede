"""The queries of public dashboards and rule files, with variables put in as Grafana does."""

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DASHBOARD = "rfmoz-dashboards/node-exporter-full.json"
DEFINITIONS = "kube-prometheus/grafana-dashboardDefinitions.yaml.gz"
VARIABLE = re.compile(r"\$\{(\w+)(?::[^}]*)?\}|\[\[(\w+)\]\]|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Question:
    """One query and where it is from; what a table or a gauge asks is asked at one moment."""

    origin: str
    query: str
    instant: bool


def _panels(owner: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in owner.get("panels", []):
        yield panel
        yield from _panels(panel)
    for row in owner.get("rows", []):
        yield from _panels(row)


def put_in(query: str, variables: Mapping[str, str]) -> str:
    """Replace the variables of a query; those that nobody knows become empty, as a variable without options is."""
    return VARIABLE.sub(lambda match: variables.get(match[1] or match[2] or match[3], ""), query)


def _questions(origin: str, dashboard: Mapping[str, Any], variables: Mapping[str, str]) -> Iterator[Question]:
    for panel in _panels(dashboard):
        for target in panel.get("targets", []):
            if target.get("expr"):
                yield Question(origin, put_in(target["expr"], variables), bool(target.get("instant")))


def node_exporter_full(corpora: Path, variables: Mapping[str, str]) -> list[Question]:
    """Return the queries of the well-known dashboard for the node exporter."""
    return list(_questions("node-exporter-full", json.loads((corpora / DASHBOARD).read_text()), variables))


def kube_prometheus(corpora: Path, variables: Mapping[str, str]) -> list[Question]:
    """Return the queries of all dashboards and rules of kube-prometheus."""
    found: list[Question] = []
    with gzip.open(corpora / DEFINITIONS) as file:
        for item in yaml.safe_load(file)["items"]:
            for name, text in item["data"].items():
                found += _questions(name, json.loads(text), variables)
    for path in sorted((corpora / "kube-prometheus").glob("*prometheusRule.yaml")):
        for group in yaml.safe_load(path.read_text())["spec"]["groups"]:
            found += [Question(path.stem, rule["expr"], instant=True) for rule in group["rules"]]
    return found


def variables_of(instance: str, job: str, nodename: str) -> dict[str, str]:
    """Return what the dashboards' variables become for one exporter."""
    return {
        "job": job, "node": instance, "instance": instance, "nodename": nodename, "cluster": "",
        "__rate_interval": "5s", "__interval": "5s", "__range": "60s", "resolution": "30s",
    }  # fmt: skip
