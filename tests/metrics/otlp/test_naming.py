"""Names of OpenTelemetry become names of Prometheus."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.wire.otlp.naming import BadName, Instrument, Strategy, label_name, metric_name, unit_name

SUFFIXED = Strategy.ESCAPED_WITH_SUFFIXES


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("http.server.request.duration", "s", "", "http_server_request_duration_seconds"),
        ("system.network.io", "By", "counter", "system_network_io_bytes_total"),
        ("requests_total", "{request}", "counter", "requests_total"),
        ("cpu.utilization", "1", "gauge", "cpu_utilization_ratio"),
        ("requests", "1", "counter", "requests_total"),
        ("flow", "By/s", "gauge", "flow_bytes_per_second"),
        ("already_seconds", "s", "", "already_seconds"),
        ("2xx", "", "gauge", "_2xx"),
        ("a  b--c", "", "gauge", "a_b_c"),
        ("speed", "m/{turn}", "gauge", "speed_meters"),
        ("agent_forge.phases", "", "counter", "agent_forge_phases_total"),
        ("load", "µs", "gauge", "load_s"),
    ],
)
def test_a_metric_gets_its_unit_and_type(name: str, unit: str, kind: str, expected: str):
    instrument = Instrument(name, unit, kind == "counter", kind == "gauge")
    assert metric_name(instrument, SUFFIXED) == expected


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ESCAPED, "http_io"),
        (Strategy.UTF8_WITH_SUFFIXES, "http.io_bytes_total"),
        (Strategy.UTF8, "http.io"),
    ],
)
def test_the_strategy_decides_what_is_replaced_and_added(strategy: Strategy, expected: str):
    assert metric_name(Instrument("http.io", "By", is_counter=True), strategy) == expected


@pytest.mark.parametrize("name", ["", "...", "漢字"])
def test_a_name_of_which_nothing_is_left_is_refused(name: str):
    with pytest.raises(BadName):
        metric_name(Instrument(name, ""), SUFFIXED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("http.method", "http_method"),
        ("1st", "key_1st"),
        ("__meta__", "__meta__"),
        ("a..b__c", "a_b_c"),
        ("_x", "_x"),
    ],
)
def test_an_attribute_becomes_a_label(name: str, expected: str):
    assert label_name(name, SUFFIXED) == expected


@pytest.mark.parametrize("name", ["", "_", "é"])
def test_an_attribute_without_a_letter_is_refused(name: str):
    with pytest.raises(BadName):
        label_name(name, SUFFIXED)


def test_a_label_keeps_its_dots_where_utf8_is_allowed():
    assert label_name("http.method", Strategy.UTF8) == "http.method"


@pytest.mark.parametrize(
    ("unit", "expected"), [("By/s", "bytes_per_second"), ("1", ""), ("{call}", ""), ("ms", "milliseconds")]
)
def test_a_unit_is_declared_in_words(unit: str, expected: str):
    assert unit_name(unit) == expected


ALLOWED = set(string.ascii_letters + string.digits + "_:")


@given(st.text(max_size=30), st.text(max_size=8), st.booleans(), st.booleans())
def test_escaped_names_are_always_valid(name: str, unit: str, counter: bool, gauge: bool):
    try:
        found = metric_name(Instrument(name, unit, counter, gauge), SUFFIXED)
    except BadName:
        return
    assert found
    assert not found[0].isdigit()
    assert set(found) <= ALLOWED
