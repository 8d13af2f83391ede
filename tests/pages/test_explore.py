"""Explore: paths, the form, completions, every tab and state, hints, and how many queries each needs."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.pages.explored import store

PINNED = json.loads((Path(__file__).parent / "query_counts.json").read_text())
PAGE = "/explore/metrics/"


@pytest.fixture
def viewer(person: Any) -> Client:
    """Return a signed-in viewer of a console that stores metrics of every kind."""
    store()
    return person("viewer")


def page(viewer: Client, status: int = 200, **given: str) -> str:
    """Return a page of Explore."""
    answer = viewer.get(f"{PAGE}?{urlencode(given)}")
    body = answer.content.decode()
    assert answer.status_code == status, body[-2000:]
    return body


def query_box(body: str) -> str:
    """Return the text of the query box."""
    found = re.search(r"<textarea[^>]*>([^<]*)</textarea>", body)
    return found[1].replace("&quot;", '"') if found else ""


@pytest.mark.parametrize(
    ("path", "query", "kind"),
    [
        ("cpu_usage_percent.p95", "quantile_over_time(0.95, cpu_usage_percent[5m])", "a gauge"),
        ("errors_total.rate", "rate(errors_total[5m])", "a counter"),
        ("request_seconds.p95", "histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket[5m])))",
         "a classic histogram"),
        ("native_seconds.p99", "histogram_quantile(0.99, sum(rate(native_seconds[5m])))", "a native histogram"),
        ("rpc_seconds.p95", 'rpc_seconds{quantile="0.95"}', "a summary"),
    ],
)  # fmt: skip
def test_a_path_in_the_query_box_is_answered_by_the_type_of_its_metric(
    viewer: Client, path: str, query: str, kind: str
) -> None:
    body = page(viewer, q=path)
    assert (query_box(body), kind in body, "legend-table" in body) == (query, True, True)


def test_a_summary_without_the_quantile_says_which_it_keeps(viewer: Client) -> None:
    assert "keeps 0.95; 0.5 was not measured" in page(viewer, 400, q="rpc_seconds.p50")


def test_an_unknown_suffix_names_the_known_ones(viewer: Client) -> None:
    assert "Unknown suffix .p42; known are" in page(viewer, 400, q="cpu_usage_percent.p42")


def test_the_form_shows_its_query_and_then_runs_it(viewer: Client) -> None:
    form = {"metric": "request_seconds", "what": "p95", "by": "host, path", "over": "10m", "range": "1h"}
    query = "histogram_quantile(0.95, sum by (le, host, path) (rate(request_seconds_bucket[10m])))"
    shown = page(viewer, **form, ask="show")
    assert (query_box(shown), "legend-table" in shown) == (query, False)
    ran = viewer.get(f"{PAGE}?{urlencode(form | {'ask': 'run'})}")
    address = parse_qs(urlsplit(ran["Location"]).query)
    assert (ran.status_code, address["q"], address["what"], address["over"]) == (302, [query], ["p95"], ["10m"])
    after = viewer.get(ran["Location"]).content.decode()
    assert (query_box(after), 'value="request_seconds"' in after) == (query, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"over": "soon"}, "is not a window"), ({"over": "31d"}, "between 1s and 30d"),
        ({"metric": "a b"}, "metric path"),
        ({"by": ",".join(map(str, range(11)))}, "At most 10 labels"), ({"what": "magic"}, "Unknown question magic"),
    ],
)  # fmt: skip
def test_the_form_says_what_is_wrong_with_it(viewer: Client, change: dict[str, str], words: str) -> None:
    body = page(viewer, 400, **({"metric": "errors_total", "what": "rate", "ask": "run"} | change))
    assert (words in body.replace("&#x27;", "'"), 'id="ask-error"' in body) == (True, True)


def test_the_form_is_answered_while_it_is_filled_in(viewer: Client) -> None:
    given = {"metric": 'errors_total{env="prod"}', "what": "increase", "over": "1h", "by": "env"}
    answer = viewer.get(f"{PAGE}ask/?{urlencode(given)}").json()
    assert answer["query"] == 'sum by (env) (increase(errors_total{env="prod"}[1h]))'
    assert viewer.get(f"{PAGE}ask/?metric=").json()["problem"] == "Name a metric."


def complete(viewer: Client, q: str, **more: str) -> list[dict[str, Any]]:
    """Return completions at the end of a text."""
    options = viewer.get(f"{PAGE}complete/?{urlencode({'q': q, 'at': len(q)} | more)}").json()["options"]
    assert all(option["end"] == len(q) for option in options)
    return options


def test_a_metric_is_completed_with_its_type_help_and_number_of_series(viewer: Client) -> None:
    option = complete(viewer, "sum(cpu_us")[0]
    assert [option[key] for key in ("text", "kind", "count", "help")] == [
        "cpu_usage_percent", "gauge", "2 series", "How busy each CPU is"]  # fmt: skip
    bucket = complete(viewer, "request_seconds_b")[0]
    assert [bucket[key] for key in ("kind", "count", "help")] == ["histogram", "3 series", "How long requests take"]


def test_labels_and_values_are_those_of_the_metric(viewer: Client) -> None:
    found = complete(viewer, "cpu_usage_percent{")
    assert [(option["text"], option["count"]) for option in found] == [("env", "2 values"), ("host", "2 values")]
    assert [option["text"] for option in complete(viewer, 'errors_total{env="')] == ["prod"]


def test_a_function_is_completed_with_what_it_takes(viewer: Client) -> None:
    option = next(option for option in complete(viewer, "histogram_quan") if option["text"] == "histogram_quantile")
    assert (option["insert"], option["help"]) == ("histogram_quantile(", "scalar, instant vector")


def test_the_field_of_labels_completes_its_last_part(viewer: Client) -> None:
    found = complete(viewer, "env, ho", of="cpu_usage_percent")
    assert [(option["insert"], option["start"]) for option in found] == [("host", 5)]


def test_a_classic_histogram_has_a_heat_map_with_a_table(viewer: Client) -> None:
    body = page(viewer, q="request_seconds", tab="heatmap", range="1h")
    assert "sum by (le) (increase(request_seconds_bucket[2m]))" in body
    assert all(name in body for name in ("0 to 0.1", "0.1 to 0.5", "0.5 to +Inf", 'class="h8"', "Heat map as a table"))


def test_the_heat_map_of_a_quantile_is_that_of_its_buckets(viewer: Client) -> None:
    query = "histogram_quantile(0.9, sum by (le) (rate(request_seconds_bucket[5m])))"
    body = page(viewer, q=query, tab="heatmap", range="1h")
    assert '<code class="wrap-any">sum by (le) (rate(request_seconds_bucket[5m]))' in body


def test_a_native_histogram_has_a_heat_map(viewer: Client) -> None:
    body = page(viewer, q="native_seconds", tab="heatmap", range="1h")
    assert ("Native buckets of" in body, "0.5 to 1" in body, "2 to 4" in body) == (True, True, True)


def test_what_has_no_buckets_says_how_to_get_some(viewer: Client) -> None:
    assert "holds no buckets" in page(viewer, q="cpu_usage_percent", tab="heatmap")


def test_native_histograms_are_written_out_in_the_table(viewer: Client) -> None:
    body = page(viewer, q="native_seconds", tab="table")
    assert ("{count:90, sum:150, (0.5,1]:30, (1,2]:30, (2,4]:30}" in body, "heat map" in body) == (True, True)


def test_explain_measures_every_part(viewer: Client) -> None:
    body = page(viewer, q="sum by (env) (rate(errors_total[5m])) / on (env) sum by (env) (cpu_usage_percent) > 0",
                tab="explain", range="1h")  # fmt: skip
    for words in ("aggregation", "sum by (env)", "range selector", "all samples of 5m", "rate()", "operator",
                  "on (env), one-to-one", "the slowest"):  # fmt: skip
        assert words in body
    rows = re.findall(r'data-name="Samples read">([^<]*)', body)
    assert (len(rows), rows[0]) == (8, "90")


def test_exemplars_are_listed_with_their_trace(viewer: Client) -> None:
    body = page(viewer, q="rate(request_seconds_bucket[5m])", range="1h")
    assert ("abc123def" in body, 'data-exemplars="explore"' in body, 'id="exemplar-1"' in body) == (True, True, True)


def test_warnings_and_infos_of_the_engine_are_shown(viewer: Client) -> None:
    assert "PromQL info: metric might not be a counter" in page(viewer, q="rate(cpu_usage_percent[5m])")
    assert "PromQL warning: quantile value should be between 0 and 1" in page(viewer, q="quantile(2, errors_total)")


@pytest.mark.parametrize(
    ("query", "said", "near", "meant"),
    [
        ("cpu_usage_percnt", "No metric is called cpu_usage_percnt.", "cpu_usage_percent", "cpu_usage_percent"),
        ('cpu_usage_percent{env="prd"}', "cpu_usage_percent label env exists, its value prd does not.", "prod",
         'cpu_usage_percent{env="prod"}'),
        ('cpu_usage_percent{hst="h1"}', "cpu_usage_percent has no label hst.", "host", 'cpu_usage_percent{host="h1"}'),
        ('cpu_usage_percent{env="prod",host="h2"}', "no series has all of them", "", ""),
        ("request_seconds", "request_seconds is a classic histogram", "request_seconds_bucket",
         "request_seconds_bucket"),
        ("cpu_usage_percent > 1000", "the condition holds for none", "", ""),
    ],
)  # fmt: skip
def test_an_empty_answer_says_what_was_probably_meant(
    viewer: Client, query: str, said: str, near: str, meant: str
) -> None:
    body = page(viewer, q=query)
    assert (said in body, "0 series" in body) == (True, True)
    if near:
        assert f">{near}</a>?" in body
        assert urlencode({"q": meant}) in body


def test_an_error_in_the_second_line_points_into_that_line(viewer: Client) -> None:
    body = page(viewer, 400, q="sum(\n  cpu_usage_percent !)\n")
    caret = re.search(r'<pre class="caret"[^>]*>([^<]*)</pre>', body)
    assert caret is not None
    first, second = caret[1].split("\n")
    assert (first.strip(), "^" in second, second.index("^") <= len(first)) == ("cpu_usage_percent !)", True, True)


def test_what_no_longer_arrives_is_called_stale(viewer: Client) -> None:
    assert "Stale: nothing is newer than" in page(viewer, q="errors_total < 60", range="1h")
    assert "Stale" not in page(viewer, q="errors_total", range="1h")


def test_more_series_than_a_graph_holds_are_told(viewer: Client) -> None:
    query = " or ".join(f'label_replace(vector({n}), "n", "{n}", "", "")' for n in range(14))
    body = page(viewer, q=query, range="1h")
    assert "12 of 14 series are shown" in body
    assert "of 14 series are shown" not in page(viewer, q=query, tab="table", range="1h")


def test_a_step_is_taken_and_kept_in_bounds(viewer: Client) -> None:
    assert "step 60 s" in page(viewer, q="errors_total", step="1m", range="1h")
    assert "step 303 s" in page(viewer, q="errors_total", step="1s", range="7d")
    assert "step 15 s" in page(viewer, q="errors_total", step="odd", range="1h")


@pytest.mark.parametrize("tab", ["graph", "table", "heatmap", "explain"])
def test_a_tab_needs_exactly_the_queries_it_is_known_for(viewer: Client, tab: str) -> None:
    address = f"{PAGE}?{urlencode({'q': 'rate(request_seconds_bucket[5m])', 'tab': tab, 'range': '1h'})}"
    viewer.get(address)
    with CaptureQueriesContext(connection) as queries:
        viewer.get(address)
    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(asked) == PINNED[f"{PAGE}?tab={tab}"], asked


def test_the_csv_holds_histograms_as_text(viewer: Client) -> None:
    body = viewer.get(f"{PAGE}csv/?q=native_seconds&range=1h").content.decode()
    assert '"{count:90, sum:150' in body
