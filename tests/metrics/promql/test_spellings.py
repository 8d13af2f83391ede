"""Names that changed: either spelling finds what either kind of sender stored; the contract names are there."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from forge_dashboard import measures as forge
from metrics.management.commands.collect import PREFIXES
from metrics.management.commands.metric_names import PAGE
from metrics.promql.engine import evaluate
from metrics.promql.memory import MemorySource
from metrics.promql.names import CONTRACT, ContractName, as_table
from metrics.promql.spellings import SPELLING_LABEL, Spelled, canonical, spellings, widened
from metrics.promql.types import Limits, Matcher, SeriesColumns
from security import measures as security

DOCS = Path(__file__).parents[3] / "docs"


class Parted(MemorySource):
    """A source in parts."""

    def each(self, matchers, t_min_ms, t_max_ms, work):
        return [work(self.select(matchers, t_min_ms, t_max_ms))]


def answered(stored: list[dict[str, str]], query: str) -> list[dict[str, str]]:
    count = len(stored)
    times = np.full(count, 60_000, np.int64)
    columns = SeriesColumns(stored, np.arange(count + 1), times, np.arange(count) + 1.0)
    result = evaluate(
        query, start_ms=60_000, end_ms=60_000, step_ms=0, source=Spelled(Parted(columns)), lookback_ms=300_000,
        limits=Limits(), deadline=lambda: False,
    )  # fmt: skip
    return [dict(labels) for labels in result.labels]


@pytest.mark.parametrize("asked", ["p2p_mesh_peers_connected", "p2p_peers_connected"])
@pytest.mark.parametrize("sent", ["p2p_mesh_peers_connected", "p2p_peers_connected"])
def test_either_spelling_finds_either(asked: str, sent: str):
    stored = [{"__name__": sent, "protocol": "lora"}, {"__name__": "p2p_other", "protocol": "lora"}]
    assert answered(stored, asked) == [{"__name__": asked, "protocol": "lora"}]
    assert answered(stored, f'{asked}{{protocol="wifi"}}') == []
    assert answered(stored, f"sum({asked})") == [{}]


def test_series_of_both_spellings_stay_apart():
    stored = [{"__name__": "edge_x", "d": "1"}, {"__name__": "edge_computing_x", "d": "1"},
              {"__name__": "edge_computing_x", "d": "2"}]  # fmt: skip
    assert answered(stored, "edge_x") == [
        {"__name__": "edge_x", "d": "1"},
        {"__name__": "edge_x", "d": "1", SPELLING_LABEL: "edge_computing_x"},
        {"__name__": "edge_x", "d": "2"},
    ]
    assert len(answered(stored, "abs(edge_x)")) == 3


def test_other_names_are_asked_as_they_are():
    matchers = [Matcher("__name__", "=", "up"), Matcher("job", "=", "x")]
    assert widened(matchers) == (matchers, None)
    assert spellings("up") == ("up",)
    assert canonical("edge_computing_cpu") == "edge_cpu"
    wider, _ = widened([Matcher("__name__", "=", "p2p_a.b")])
    assert wider[0] == Matcher("__name__", "=~", "p2p_a\\.b|p2p_mesh_a\\.b")


@pytest.mark.parametrize("one", CONTRACT, ids=lambda one: one.name)
def test_a_contract_name_is_documented_and_the_consoles_own_are_exposed_and_collected(one: ContractName):
    assert f"| `{one.name}` | {one.type} |" in (DOCS / "metric-names.md").read_text()
    if one.sender == "service":
        return
    family = one.name.removesuffix("_total")
    (found,) = [each for each in REGISTRY._names_to_collectors.values() if getattr(each, "_name", "") == family][:1]
    assert (found._type, tuple(found._labelnames)) == (one.type, one.labels)
    assert found in (*vars(security).values(), *vars(forge).values())
    assert one.name.startswith(PREFIXES)


def test_the_page_is_the_registry():
    assert (DOCS / "metric-names.md").read_text() == PAGE.format(table=as_table())
