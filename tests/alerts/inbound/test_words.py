"""Words of states and severities, times, names, paths: the pieces readers are made of."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.engine.inbound import naming, walking, words
from alerts.engine.inbound.moments import moment
from alerts.engine.inbound.paths import BadPath, parsed, text_at, value_at
from alerts.engine.inbound.told import label_name, labels_of, url_of

# Bounds without a zone, as the strategy wants them.
FIRST, LAST = (datetime.fromisoformat(text) for text in ("2001-01-01", "2200-01-01"))
AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("firing", "firing"),
        ("OK", "resolved"),
        ("Recovered", "resolved"),
        ("DOWN -> UP", "resolved"),
        ("UP → DOWN", "firing"),
        ("ALERT_NOTIFICATION_CLEAR", "resolved"),
        ("incident.triggered", "firing"),
        ("alert.resolved", "resolved"),
        ("changed from OK to CRITICAL", "firing"),
        ("not resolved", "firing"),
        ("unresolved", "firing"),
        ("acked", "acknowledged"),
        ("ResolvedCritical", "resolved"),
        ("POLICY_CLOSE_WARNING", "resolved"),
        ("No Data", "firing"),
        ("nodata", "firing"),
        ("banana", None),
        ("", None),
    ],
)
def test_what_a_state_says(text: str, status: str | None) -> None:
    assert words.status_in(text) == status


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Critical", "critical"),
        ("SEV1", "critical"),
        ("Sev3", "medium"),
        ("P2", "high"),
        ("1", "critical"),
        ("4", "low"),
        ("0", "critical"),
        ("8.5", "high"),
        ("9.0", "critical"),
        ("12", "high"),
        ("95", "critical"),
        ("not classified", "low"),
        ("Average", "medium"),
        ("Disaster", "critical"),
        ("P1 - urgent", "critical"),
        ("INFORMATIONAL", "low"),
        ("whatever", None),
        ("", None),
        ("-3", None),
    ],
)
def test_what_a_severity_means(text: str, severity: str | None) -> None:
    assert words.severity_in(text) == severity


@pytest.mark.parametrize(
    "value",
    [
        1795168800,
        1795168800.0,
        "1795168800",
        1795168800000,
        1795168800000000,
        "1795168800000000000",
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.000000000Z",
        "2026-11-20 10:00:00 UTC",
        "2026-11-20 10:00:00.000000000 +0000 UTC",
        "2026/11/20 10:00:00 GMT",
        "Fri Nov 20 10:00:00 UTC 2026",
        "Fri, 20 Nov 2026 10:00:00 +0000",
        "2026-11-20T11:00:00+01.00",
        "2026-11-20T11:00:00+0100",
        "2026-11-20 10:00",
        "20.11.2026 10:00:00",
        "11/20/2026 10:00:00 AM UTC",
        "20 Nov 2026 10:00:00",
    ],
)
def test_a_time_is_read_however_it_is_written(value: object) -> None:
    assert moment(value) == AT


@pytest.mark.parametrize(
    "value", [0, "0", None, "", "0001-01-01T00:00:00Z", "soon", True, "x" * 100, 42, 1e30, float("inf"), "nan", -5]
)
def test_what_is_no_time_is_none(value: object) -> None:
    assert moment(value) is None


@given(st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.just(UTC)), st.integers(-14, 14))
def test_iso_times_of_any_zone_come_back(at: datetime, hours: int) -> None:
    zoned = at.astimezone(timezone(timedelta(hours=hours)))
    assert moment(zoned.isoformat()) == zoned


@given(st.text(max_size=70))
def test_no_text_breaks_the_reader_of_times(text: str) -> None:
    found = moment(text)
    assert found is None or found.tzinfo is not None


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("[FIRING:1] Disk full", "Disk full"),
        ("Triggered: New monitor", "New monitor"),
        ("RESOLVED - Disk full", "RESOLVED - Disk full"),
        ("Manually resolved: logs", "logs"),
        ("🔥 ALERT: Disk full", "Disk full"),
        ("Disk full has recovered", "Disk full"),
        ("Disk full is down", "Disk full is down"),
        ("web - DOWN -> UP", "web"),
        ("[host-1] Disk full", "[host-1] Disk full"),
        ("http://x.example.org/a: down", "http://x.example.org/a"),
        ("Resolved", "Resolved"),
        ("a\nb", "a"),
        ("", ""),
    ],
)
def test_a_title_loses_its_state_and_nothing_else(title: str, name: str) -> None:
    assert naming.bare(title) == name


def test_the_root_of_a_name_is_the_same_up_and_down() -> None:
    assert naming.root("Shop is down") == naming.root("Shop is up") == "shop"


def test_pairs_typed_values_and_json_in_texts_are_opened() -> None:
    payload = {
        "fields": [{"key": "team", "value": "a"}, {"key": "x", "value": None}],
        "tags": [["env", "prod"]],
        "labels": [{"key": "service.name", "value": {"stringValue": "s"}}],
        "message": '{"inner": {"n": 1}}',
        "text": "{not json",
        "gap": "$SERVICE",
        "todo": "*insert name*",
        "list": [1, "b", None],
    }
    found = {leaf.path: leaf.value for leaf in walking.leaves(payload)}
    assert found == {
        ("text",): "{not json",
        ("list",): (1, "b"),
        ("fields", "team"): "a",
        ("tags", "env"): "prod",
        ("labels", "service.name"): "s",
        ("message", "inner", "n"): 1,
    }


def test_a_payload_without_end_is_cut() -> None:
    deep: object = "x"
    for _ in range(100):
        deep = {"a": deep}
    assert walking.leaves(deep) == []
    assert len(walking.leaves({str(number): number for number in range(10_000)})) == walking.MOST_LEAVES


PAYLOAD = {
    "a": {"b": [{"k": "v", "n": 3}, {"k": "w", "n": 4}], "c.d": "dot", "e": ""},
    "t": "Title",
    "zero": 0,
    "no": False,
    "message": '{"x": {"y": "inside"}}',
}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("t", "Title"),
        ("$.t", "Title"),
        ("a.b[0].n", "3"),
        ("a.b[-1].n", "4"),
        ("a.b[*].n", "3, 4"),
        ('a["c.d"]', "dot"),
        ("a.b[k=w].n", "4"),
        ("nothing | t", "Title"),
        ("a.e | 'none'", "none"),
        ("'{t} of {a.b[0].k}'", "Title of v"),
        ("'{gone}' | t", "Title"),
        ("a.b[9].n", ""),
        ("a.b.n", ""),
        ("t.u", ""),
        ("zero", "0"),
        ("no", "false"),
        ("message.x.y", "inside"),
        ("'a | b'", "a | b"),
    ],
)
def test_an_expression_finds_what_it_names(expression: str, text: str) -> None:
    assert text_at(expression, PAYLOAD) == text


def test_an_expression_can_name_a_map() -> None:
    assert value_at("a.b[0]", PAYLOAD) == {"k": "v", "n": 3}


@pytest.mark.parametrize(
    "expression",
    ["", " | a", "a.", "a[", "a[x]", "a['b", "'open", "a]b", "'{a'", "a..b", "a[1]b", "x" * 501, ".".join("a" * 30)],
)
def test_a_bad_expression_says_what_is_wrong(expression: str) -> None:
    with pytest.raises(BadPath, match=r"\w"):
        parsed(expression)


@given(st.text(max_size=60))
def test_any_expression_is_read_or_refused(expression: str) -> None:
    try:
        found = text_at(expression, PAYLOAD)
    except BadPath as error:
        found = str(error)
    assert isinstance(found, str)


def test_labels_are_made_fit() -> None:
    assert labels_of({"a.b": 1, "9x": True, "": "y", "e": "", "n": None, "z": "a\x00b", "l": {"x": 1}}) == {
        "a_b": "1",
        "_9x": "true",
        "z": "ab",
    }
    assert label_name("Ünïcode name!") == "n_code_name"
    assert [url_of(url) for url in ("javascript:alert(1)", "https://x", None, "http://" + "x" * 3000)] == [
        "",
        "https://x",
        "",
        "",
    ]
