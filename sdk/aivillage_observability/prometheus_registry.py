"""Samples the shared registry of a program whose processes use prometheus_client in multi-process mode."""

import importlib
import os
from collections.abc import Callable, Iterable
from typing import Any

from aivillage_observability.rows import Kind, Metric, Row, label_key

MOST_ROWS = 5_000
KINDS: dict[str, Kind] = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "summary": "summary"}


def registry_reader(
    directory: str, *, wanted: Callable[[str], bool], instance: str, service: str
) -> Callable[[int], list[Row]]:
    """Return a function that reads the registry under `directory`; only families `wanted` by name are kept.

    The client library is imported here and not with the package, because only a host that has it needs it.
    """
    # Read at import: without it the library would start a registry of its own process.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    core = importlib.import_module("prometheus_client.registry")
    multiprocess = importlib.import_module("prometheus_client.multiprocess")
    labels = {"service": service, "instance": instance}

    def read(at_ms: int) -> list[Row]:
        registry = core.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, directory)
        return family_rows(registry.collect(), wanted=wanted, labels=labels, at_ms=at_ms)

    return read


def family_rows(
    families: Iterable[Any], *, wanted: Callable[[str], bool], labels: dict[str, str], at_ms: int
) -> list[Row]:
    """Return the rows of the wanted families, at most 5,000 (a runaway label must not fill the console)."""
    rows: list[Row] = []
    for family in families:
        if not wanted(family.name):
            continue
        kind = KINDS.get(family.type, "untyped")
        for sample in family.samples:
            # The client's own creation times carry nothing that the samples do not.
            if sample.name.endswith("_created") or sample.value != sample.value:
                continue
            metric = Metric(sample.name, kind, family.unit, family.documentation)
            rows.append(Row(metric, float(sample.value), labels | dict(label_key(sample.labels)), at_ms))
            if len(rows) >= MOST_ROWS:
                return rows
    return rows
