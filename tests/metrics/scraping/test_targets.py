"""Targets from discovered labels, and the labels of their samples."""

import pytest

from metrics.wire.scraping.fields import BadConfig
from metrics.wire.scraping.relabelling import Action, Step
from metrics.wire.scraping.scrape_config import ScrapeConfig
from metrics.wire.scraping.targets import Target, build_target, discovered_labels, limit_broken, sample_labels

CONFIG = ScrapeConfig("node", interval_ms=15_000, params=(("module", ("a", "b")),))


def built(config: ScrapeConfig = CONFIG, /, **found: str) -> Target | None:
    return build_target(config, discovered_labels(config, {"__address__": "h:9100", **found}))


def test_a_target_has_its_address_as_instance_and_no_hidden_labels() -> None:
    target = built(team="x", __meta_zone="z")
    assert target is not None
    assert target.labels == {"instance": "h:9100", "job": "node", "team": "x"}
    assert target.url == "http://h:9100/metrics?module=a&module=b"
    assert target.discovered["__meta_zone"] == "z"
    assert (target.interval_ms, target.timeout_ms) == (15_000, 10_000)


def test_relabelling_moves_a_target_renames_it_and_changes_its_times() -> None:
    steps = (
        Step(Action.REPLACE, ("__address__",), target_label="__param_target"),
        Step(Action.REPLACE, ("__param_target",), target_label="instance"),
        Step(target_label="__address__", replacement="prober:9115"),
        Step(target_label="__metrics_path__", replacement="/probe"),
        Step(target_label="__scheme__", replacement="https"),
        Step(target_label="__scrape_interval__", replacement="30s"),
    )
    target = built(ScrapeConfig("probe", relabel=steps))
    assert target is not None
    assert (target.url, target.labels["instance"], target.interval_ms) == (
        "https://prober:9115/probe?target=h%3A9100", "h:9100", 30_000,
    )  # fmt: skip


def test_a_dropped_target_is_none_and_a_senseless_one_is_refused() -> None:
    drop = ScrapeConfig("x", relabel=(Step(Action.DROP, ("__address__",), regex="h.*"),))
    assert built(drop) is None
    for found in ({"__address__": ""}, {"__address__": "http://h"}, {"__scheme__": "ftp"},
                  {"__scrape_interval__": "10ms"}, {"__scrape_timeout__": "2m"}):  # fmt: skip
        with pytest.raises(BadConfig):
            built(CONFIG, **found)


@pytest.mark.parametrize(
    ("own", "honor", "expected"),
    [
        ({"a": "1"}, False, {"a": "1", "job": "j", "instance": "i"}),
        ({"job": "mine"}, False, {"job": "j", "instance": "i", "exported_job": "mine"}),
        ({"job": "mine", "exported_job": "other"}, False,
         {"job": "j", "instance": "i", "exported_job": "other", "exported_exported_job": "mine"}),
        ({"job": "mine"}, True, {"job": "mine", "instance": "i"}),
        ({"job": ""}, True, {"instance": "i"}),
        ({"job": ""}, False, {"job": "j", "instance": "i"}),
    ],
)  # fmt: skip
def test_a_label_of_the_target_wins_or_yields(own: dict[str, str], honor: bool, expected: dict[str, str]) -> None:
    target = {"job": "j", "instance": "i"}
    assert sample_labels({"__name__": "up", **own}, target, (), honor_labels=honor) == {"__name__": "up", **expected}


def test_limits_on_labels_are_named() -> None:
    labels = {"a": "123", "long_name": "1"}
    assert "label_limit" in limit_broken(labels, ScrapeConfig("x", label_limit=1))
    assert "label_name_length_limit" in limit_broken(labels, ScrapeConfig("x", label_name_length_limit=5))
    assert "label_value_length_limit" in limit_broken(labels, ScrapeConfig("x", label_value_length_limit=2))
    assert limit_broken(labels, ScrapeConfig("x", label_limit=2)) == ""
