"""Every expression of the corpora is read, and reads the same once it is printed."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.conformance import corpora_dir
from metrics.promql.parsing import format_query, parse

CORPORA = corpora_dir()
pytestmark = pytest.mark.skipif(CORPORA is None, reason="CORPORA_DIR is not set and no corpora lie beside the project")


def expressions(value: Any) -> Iterator[str]:
    """Yield what stands under `expr`, however deep."""
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str) and value["expr"]:
            yield value["expr"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from expressions(each)


def scripts(folder: Path) -> Iterator[str]:
    """Yield the queries of the engine's test scripts that should be answered."""
    for path in sorted((folder / "promql-testdata" / "json").glob("*.json")):
        for command in json.loads(path.read_text()):
            if command["cmd"] == "eval" and not command["expect"].get("fail"):
                yield command["query"]


def compliance(folder: Path) -> Iterator[str]:
    """Yield the conformance queries; those that fail do so when they are evaluated."""
    with gzip.open(folder / "prom-compliance" / "promql" / "golden-results.jsonl.gz", "rt") as lines:
        yield from (query["query"] for query in map(json.loads, lines) if not query["should_fail"])


def rules(folder: Path) -> Iterator[str]:
    """Yield the expressions of rule files."""
    for path in sorted((folder / "kube-prometheus").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield from expressions(document)


def dashboards(folder: Path) -> Iterator[str]:
    """Yield the expressions of dashboards, their variables filled in."""
    for path in sorted((folder / "rfmoz-dashboards").glob("*.json")):
        for text in expressions(json.loads(path.read_text())):
            yield re.sub(r"\$__\w*(interval|range)\w*", "5m", text)


@pytest.mark.parametrize(("source", "least"), [(scripts, 100), (compliance, 400), (rules, 100), (dashboards, 200)])
def test_every_expression_is_read_and_reads_the_same_once_printed(
    source: Callable[[Path], Iterator[str]], least: int
) -> None:
    assert CORPORA is not None
    queries = list(source(CORPORA))
    assert len(queries) >= least
    for query in queries:
        text = format_query(query)
        assert parse(text, experimental=True).depth == parse(query, experimental=True).depth
        assert format_query(text) == text
