"""The generic reader, on payloads of the field, on the corpus and on anything at all."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.engine.inbound import guessing, tools
from alerts.engine.inbound.samples import Sample, samples, tool_of, verdict
from alerts.engine.inbound.told import (
    LONGEST_LABEL,
    LONGEST_NAME,
    MOST_ALERTS,
    MOST_LABELS,
    Hints,
    Reading,
    Status,
    Unreadable,
)
from alerts.engine.states import Severity

# Payloads as tools of the field send them, written from their documentation, and what must come of each.
FIELD: dict[str, Any] = json.loads(Path(__file__).with_name("field.json").read_text())


@pytest.mark.parametrize("sample", FIELD)
def test_a_payload_of_the_field_is_read_as_its_sender_means_it(sample: str) -> None:
    given = FIELD[sample]
    (told,) = guessing.read(given["payload"], Hints()).alerts
    assert (told.name, told.status, told.severity) == (given["name"], given["status"], given["severity"])
    assert not given["label"] or given["label"] in told.labels
    assert told.key


def corpus(corpora_dir: Path) -> list[Sample]:
    return samples(json.loads((corpora_dir / "alert-webhooks/keep_provider_mocks.json").read_text()))


def test_every_payload_of_the_corpus_is_accepted_with_all_that_belongs_to_an_alert(corpora_dir: Path) -> None:
    found = corpus(corpora_dir)
    assert [(sample.provider, sample.name, wrong) for sample in found if (wrong := verdict(sample))] == []
    assert len({sample.provider for sample in found}) >= 17


def test_a_sample_that_gives_too_little_is_told() -> None:
    given = {
        "grafana_provider": {"A": {"title": "x"}},
        "x": {"B": [{"state": "ok"}], "C": {}},
        "registry": {"D": {"payload": {"push_data": {"tag": "1"}, "repository": {"repo_name": "a"}}}},
    }
    told = [verdict(sample) for sample in samples(given)]
    assert [word in text for word, text in zip(("not a message", "without a name", "empty"), told, strict=False)] == [
        True
    ] * 3
    assert (told[-1], tool_of("prometheus_provider"), tool_of("datadog_provider")) == ("", "alertmanager", "generic")


@pytest.mark.parametrize(
    ("provider", "facts"),
    [
        ("checkmk_provider", ("CheckMK server1", "resolved", "host")),
        ("checkly_provider", ("API Check #1", "resolved", "check_id")),
        ("axiom_provider", ("New monitor", "firing", "monitor_id")),
        ("coralogix_provider", ("Keep", "firing", "team")),
        ("dash0_provider", ("This is a summay", "resolved", "service_name")),
        ("graylog_provider", ("Event - 1", "firing", "source")),
        ("libre_nms_provider", ("Devices up/down", "resolved", "host")),
        ("thousandeyes_provider", ("Default Agent Offline Notification", "firing", "agent")),
        ("wazuh_provider", ("New dpkg (Debian Package) installed.", "firing", "agent_name")),
    ],
)
def test_what_comes_of_payloads_of_the_corpus(corpora_dir: Path, provider: str, facts: tuple[str, str, str]) -> None:
    sample = next(each for each in corpus(corpora_dir) if each.provider == provider)
    told = tools.read(sample.tool, sample.payload, Hints()).alerts[0]
    assert (told.name, told.status) == facts[:2]
    assert not facts[2] or facts[2] in told.labels


def test_beginning_and_end_have_one_key_though_title_and_severity_move() -> None:
    began = {"title": "[Triggered] Disk full on db-1", "severity": "critical", "host": "db-1", "state": "alerting"}
    ended = {"title": "[Recovered] Disk full on db-1", "severity": "ok", "host": "db-1", "state": "ok"}
    first, last = (guessing.guessed(payload, Hints()) for payload in (began, ended))
    assert first.key == last.key
    assert (first.status, last.status) == (Status.FIRING, Status.RESOLVED)
    assert guessing.guessed({**began, "host": "db-2"}, Hints()).key != first.key


def test_a_list_is_so_many_alerts_and_what_stands_beside_it_holds_for_each() -> None:
    payload = {"team": "shop", "alerts": [{"title": "a", "status": "firing"}, {"title": "b", "status": "resolved"}]}
    found = guessing.read(payload, Hints()).alerts
    assert [(told.name, told.status, told.labels["team"]) for told in found] == [
        ("a", "firing", "shop"),
        ("b", "resolved", "shop"),
    ]
    many = guessing.read([{"title": str(number), "n": "x"} for number in range(MOST_ALERTS + 3)], Hints())
    assert len(many.alerts) == MOST_ALERTS
    assert "3 more" in many.problems[0]


def test_details_that_are_a_list_are_no_alerts() -> None:
    payload = {"title": "Too many errors", "events": [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]}
    assert [told.name for told in guessing.read(payload, Hints()).alerts] == ["Too many errors"]


@pytest.mark.parametrize("payload", [{}, [], [1, 2], "text", 7, None, {"a": None, "b": ""}])
def test_what_holds_nothing_is_refused(payload: Any) -> None:
    with pytest.raises(Unreadable, match="empty"):
        guessing.read(payload, Hints())


def test_the_default_severity_is_the_integrations() -> None:
    assert guessing.guessed({"title": "x"}, Hints(severity=Severity.LOW)).severity is Severity.LOW


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["name", "title", "status", "severity", "labels", "tags", "alerts", "state", "time", "fields", "x"]
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(payload=JSON, tool=st.sampled_from(sorted(tools.TOOLS)))
def test_any_json_is_read_or_refused_and_never_more_than_its_bounds(payload: Any, tool: str) -> None:
    try:
        found = tools.read(tool, json.loads(json.dumps(payload)), Hints())
    except Unreadable:
        found = Reading()
    for told in found.alerts:
        assert (len(told.name) <= LONGEST_NAME, len(told.labels) <= MOST_LABELS) == (True, True)
        assert all(text and "\x00" not in text and len(text) <= LONGEST_LABEL for text in told.labels.values())
