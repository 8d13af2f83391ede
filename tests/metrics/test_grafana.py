"""The requests Grafana's Prometheus data source sends, as it sends them."""

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import Client

from tests.metrics.senders import push, snappy, write_request

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"
Ask = Callable[..., HttpResponse]


@pytest.fixture
def data(client: Client, token: str, now_ms: int) -> int:
    """An exporter's up and a counter over five minutes; returns the last second."""
    last = now_ms // 1000 * 1000
    samples = [(last - 300_000 + step * 15_000, float(step)) for step in range(21)]
    ups = [(at, 1.0) for at, _ in samples]
    message = write_request(
        ({"__name__": "up", "job": "node", "instance": "a:9100"}, ups),
        ({"__name__": "up", "job": "node", "instance": "b:9100"}, ups),
        ({"__name__": "node_cpu_seconds_total", "mode": "idle", "instance": "a:9100"}, samples),
    )
    assert push(client, token, snappy(message)).status_code == 204
    return last // 1000


@pytest.fixture
def ask(client: Client, issue: Callable[..., str]) -> Ask:
    """Send as Grafana's proxy does: with a bearer token, POST bodies as forms."""
    headers = {"Authorization": f"Bearer {issue('query', kind='service', of=None)}", "User-Agent": "Grafana/12.2.0"}

    def asked(method: str, path: str, *values: tuple[str, object]) -> HttpResponse:
        form = urlencode(values)
        if method == "POST":
            return client.post(f"/api/v1/{path}", data=form, content_type=FORM, headers=headers)
        return client.get(f"/api/v1/{path}?{form}", headers=headers)

    return asked


def test_the_health_check_and_what_tells_the_kind_of_server(ask: Ask):
    answer = ask("POST", "query", ("query", "1+1"), ("time", "4"))
    assert answer.json() == {"status": "success", "data": {"resultType": "scalar", "result": [4, "2"]}}
    built = ask("GET", "status/buildinfo").json()["data"]
    assert "features" not in built
    assert built["version"].split(".")[0].isdigit()
    assert ask("GET", "status/flags").status_code == 404
    probe = ask("GET", "rules/test/test")
    assert (probe.status_code, b"page not found" in probe.content) == (404, True)


def test_a_panel_asks_over_a_range_by_form(ask: Ask, data: int):
    answer = ask(
        "POST", "query_range", ("query", 'rate(node_cpu_seconds_total{mode="idle"}[1m])'), ("start", f"{data - 60}.0"),
        ("end", f"{data}.0"), ("step", "15.0"), ("timeout", "60s"),
    )  # fmt: skip
    body = answer.json()
    assert (body["status"], body["data"]["resultType"]) == ("success", "matrix")
    assert [float(point[1]) for point in body["data"]["result"][0]["values"]] == pytest.approx([1 / 15] * 5)


def test_a_table_asks_at_a_moment_by_form(ask: Ask, data: int):
    body = ask("POST", "query", ("query", "sort(up)"), ("time", str(data))).json()
    assert [row["metric"]["instance"] for row in body["data"]["result"]] == ["a:9100", "b:9100"]


def test_resource_calls_are_posted_and_only_then_asked_with_get(ask: Ask, data: int):
    span = (("start", data - 3600), ("end", data))
    for method in ("POST", "GET"):
        assert ask(method, "labels", *span, ("match[]", "up")).json()["data"] == ["__name__", "instance", "job"]
        found = ask(method, "series", *span, ("match[]", 'up{instance="a:9100"}')).json()["data"]
        assert found == [{"__name__": "up", "instance": "a:9100", "job": "node"}]
    for path in ("label/instance/values", "metadata", "rules", "alerts", "targets", "status/buildinfo"):
        refused = ask("POST", path)
        assert refused.status_code == 405, path
        assert refused["Allow"] == "GET, OPTIONS"
        assert ask("GET", path).json()["status"] == "success"


def test_variables_ask_for_values_under_a_selector(ask: Ask, data: int):
    span = (("start", data - 3600), ("end", data))
    values = ask("GET", "label/instance/values", *span, ("match[]", 'up{job="node"}'), ("limit", 1)).json()
    assert (values["data"], values["warnings"]) == (["a:9100"], ["results truncated due to limit"])
    names = ask("GET", "label/__name__/values", *span, ("match[]", '{__name__=~".*(?i:CPU).*"}')).json()
    assert names["data"] == ["node_cpu_seconds_total"]


def test_names_of_utf8_labels_come_escaped_in_the_path(client: Client, token: str, ask: Ask, now_ms: int):
    labels = {"__name__": "http.requests", "service.name": "shop"}
    assert push(client, token, snappy(write_request((labels, [(now_ms - 20_000, 1.0)])))).status_code == 204
    assert ask("GET", "label/U__service_2e_name/values").json()["data"] == ["shop"]
    assert ask("GET", "label/service.name/values").json()["data"] == ["shop"]
    body = ask("POST", "query", ("query", '{"http.requests", "service.name"="shop"}')).json()
    assert body["data"]["result"][0]["metric"] == labels


def test_annotations_and_the_alert_list(ask: Ask):
    assert ask("GET", "alerts").json()["data"] == {"alerts": []}
    assert isinstance(ask("GET", "rules", ("type", "alert")).json()["data"]["groups"], list)
    assert ask("GET", "query_exemplars", ("query", "up"), ("start", 1), ("end", 2)).json()["data"] == []


def test_a_mistake_in_a_query_is_shown_with_its_place(ask: Ask):
    answer = ask("POST", "query_range", ("query", "sum(rate(up[5m])"), ("start", 1), ("end", 2), ("step", 1))
    body = json.loads(answer.content)
    assert (answer.status_code, body["status"], body["errorType"]) == (400, "error", "bad_data")
    assert body["error"].startswith('invalid parameter "query": ')
    assert "parse error" in body["error"]


def test_the_query_editor_has_its_text_formatted_and_taken_apart(ask: Ask):
    assert ask("POST", "format_query", ("query", "sum( rate(up[5m]) )by(job)")).json()["data"] == (
        "sum by (job) (rate(up[5m]))"
    )
    tree = ask("GET", "parse_query", ("query", "up == 1")).json()["data"]
    assert (tree["type"], tree["op"], tree["lhs"]["name"]) == ("binaryExpr", "==", "up")
    assert ask("GET", "parse_query", ("query", "up ==")).status_code == 400
