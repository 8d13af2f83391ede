"""The pages of Agent Forge: what they say in each state, how many queries they need, and what they refuse."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from alerts.models import Alert, Rule, RuleGroup
from forge_dashboard.models import LogLine, PhaseRun, Run
from forge_dashboard.panels import words
from forge_dashboard.selectors import following
from tests.pages.forge_runs import HOSTILE, add_curve, add_lines, add_outcome, add_phases, make_run, touch

TABS = ("overview", "metrics", "logs", "config", "artifacts")
PINNED = json.loads((Path(__file__).parent / "query_counts.json").read_text())


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Begin and end with nothing remembered of any run."""
    following.forget()
    yield
    following.forget()


@pytest.fixture
def whole(db: None) -> Run:
    """Return a run at work that has some of everything."""
    run = make_run()
    add_phases(run)
    add_curve(run, "loss", [2.0, 1.5, 1.2, 1.1])
    add_curve(run, "success_rate", [0.5, 0.6, 0.7])
    add_lines(run, 5)
    add_outcome(run)
    return run


def page(client: Client, run: Run, query: str = "") -> str:
    """Return the page of a run as text."""
    answer = client.get(f"/forge/runs/{run.pk}/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def pulse(client: Client, run: Run, query: str, **headers: str) -> Any:
    """Return what an open page is told."""
    return client.get(f"/forge/runs/{run.pk}/pulse/?{query}", headers=headers)


def asked(client: Client, path: str) -> list[str]:
    """Return the queries of a page, savepoints of the test left out."""
    with CaptureQueriesContext(connection) as queries:
        client.get(path)
    return [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]


@pytest.mark.parametrize("path", ["/forge/", "/forge/runs/00000000-0000-0000-0000-000000000000/"])
def test_a_stranger_is_sent_to_the_sign_in_page(client: Client, db: None, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/sign-in/")


def test_without_runs_the_list_offers_a_snippet_and_the_demo(person: Any) -> None:
    body = person("viewer").get("/forge/").content.decode()
    wanted = ("No run yet", "/api/v1/ingest/pipeline-events", "ingest:pipelines", "needs role admin")
    assert [text for text in wanted if text not in body] == []


def test_the_list_tells_state_phase_usual_time_and_owner_of_each_run(person: Any, whole: Run) -> None:
    earlier = make_run("night-0", "succeeded", minutes=20, owner="eva")
    add_phases(earlier, ("succeeded",) * 7, minutes=2)
    body = person("viewer").get("/forge/").content.decode()
    wanted = ("night-1", "night-0", "1 of 7 done, Quiet-STaR 43%", "later than usual", "eva", "running", "succeeded")
    assert [text for text in wanted if text not in body] == []


def test_a_run_that_fell_silent_is_stalled_in_the_list_the_tiles_and_on_its_page(person: Any) -> None:
    run = make_run("silent", last_event_at=datetime.now(UTC) - timedelta(minutes=9))
    viewer = person("viewer")
    body = viewer.get("/forge/?state=stalled").content.decode()
    assert ("silent" in body, "1 stalled" in body, "Stalled.</b>" in page(viewer, run)) == (True, True, True)


@pytest.mark.parametrize("query", ["q=eva", "q=nightly", "model=tiny", "state=running"])
def test_the_list_is_filtered_by_its_address(person: Any, query: str) -> None:
    make_run("wanted", owner="eva", tags=["nightly"])
    make_run("other", state="failed", model="big")
    body = person("viewer").get(f"/forge/?{query}").content.decode()
    assert (">wanted</a>" in body, ">other</a>" in body) == (True, False)


def test_filters_that_match_nothing_say_how_many_runs_there_are(person: Any, whole: Run) -> None:
    body = person("viewer").get("/forge/?q=no-such-run").content.decode()
    assert ("No run matches" in body, "There are 1 run altogether" in body) == (True, True)


def test_older_runs_follow_on_a_page_of_their_own(person: Any) -> None:
    for number in range(52):
        make_run(f"run-{number:02}", minutes=number + 1)
    viewer = person("viewer")
    first = viewer.get("/forge/").content.decode()
    href = first.partition('<a class="btn small right" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = viewer.get(href).content.decode()
    assert (">run-49</a>" in first, ">run-50</a>" in first, ">run-51</a>" in second) == (True, False, True)


@pytest.mark.parametrize("number", [1, 20])
def test_the_list_needs_the_same_queries_for_one_run_and_for_many(person: Any, number: int) -> None:
    for place in range(number):
        add_phases(make_run(f"run-{place}"))
    viewer = person("viewer")
    viewer.get("/forge/")
    queries = asked(viewer, "/forge/")
    assert len(queries) == PINNED["/forge/"], queries


@pytest.mark.parametrize("tab", TABS)
def test_a_run_seen_the_first_time_needs_exactly_the_queries_it_is_known_for(person: Any, whole: Run, tab: str) -> None:
    viewer = person("viewer")
    viewer.get("/forge/")
    queries = asked(viewer, f"/forge/runs/{whole.pk}/?tab={tab}")
    assert len(queries) == PINNED[f"/forge/runs/<uuid>/?tab={tab}"], queries


def test_a_pulse_without_news_is_one_query_beside_the_session(person: Any, whole: Run) -> None:
    viewer = person("viewer")
    page(viewer, whole)
    queries = asked(viewer, f"/forge/runs/{whole.pk}/pulse/?have=run-bar.x,run-head.x,run-now.x,run-phases.x&log=0")
    assert len(queries) == PINNED["/forge/runs/<uuid>/pulse/"], queries


def test_a_run_shows_its_phases_progress_gates_artifacts_and_log(person: Any, whole: Run) -> None:
    body = page(person("viewer"), whole)
    wanted = ("Quiet-STaR", "430", "of 1,000", "43 %", "compression_ratio &gt;= 6.3 is asked", "merged.safetensors",
              "step-400", "line 4", 'id="curve-', "data-since", "Compression Efficiency")  # fmt: skip
    assert [text for text in wanted if text not in body] == []


def test_a_run_without_anything_says_what_will_appear(person: Any) -> None:
    run = make_run("bare", state="queued", started_at=None, progress=None, planned_phases=[])
    viewer = person("viewer")
    bodies = page(viewer, run) + page(viewer, run, "?tab=artifacts") + page(viewer, run, "?tab=config")
    wanted = ("No phase yet", "No curve yet", "No line yet", "No gate was judged yet", "Nothing came out yet",
              "No configuration was sent", "not yet")  # fmt: skip
    assert [text for text in wanted if text not in bodies] == []


def test_a_failed_run_says_which_phase_why_and_where_it_failed_before(person: Any) -> None:
    earlier = make_run("night-0", "failed")
    add_phases(earlier, ("succeeded", "failed"))
    PhaseRun.objects.filter(run=earlier, state="failed").update(failed_at=datetime.now(UTC))
    run = make_run("night-1", "failed")
    add_phases(run, ("succeeded", "failed"))
    add_lines(run, 3, level="error", text="cannot allocate")
    at = datetime.now(UTC)
    alert = Alert.objects.create(fingerprint="a" * 64, name="PhaseFailed", state="firing", severity="high",
                                 labels={"run": "night-1"}, started_at=at, updated_at=at)  # fmt: skip
    body = page(person("viewer"), run)
    wanted = ("What failed", "RuntimeError: out of memory", "cannot allocate 2", "night-0", "same error",
              f"#{alert.pk} PhaseFailed")  # fmt: skip
    assert [text for text in wanted if text not in body] == []


def test_a_stub_is_a_warning_and_no_success(person: Any) -> None:
    run = make_run("stubbed")
    add_phases(run, ("succeeded", "skipped", "running"))
    body = page(person("viewer"), run)
    assert ("it was a stub" in body, "skipped" in body) == (True, True)


def test_an_unknown_run_is_a_designed_404(person: Any) -> None:
    answer = person("viewer").get("/forge/runs/00000000-0000-0000-0000-000000000000/")
    assert (answer.status_code, "Not found" in answer.content.decode()) == (404, True)


def test_what_senders_say_never_becomes_markup_or_a_script_link(person: Any) -> None:
    run = make_run("x", name=HOSTILE, model=HOSTILE, owner=HOSTILE, tags=[HOSTILE], wandb_url="javascript:alert(1)",
                   config={HOSTILE: HOSTILE}, warnings=[HOSTILE])  # fmt: skip
    PhaseRun.objects.create(run=run, phase=HOSTILE[:60], state="running", message=HOSTILE, started_at=run.started_at,
                            metrics={HOSTILE: HOSTILE})  # fmt: skip
    add_lines(run, 1, text=HOSTILE, phase=HOSTILE[:60])
    add_curve(run, HOSTILE, [1.0, 2.0], phase=HOSTILE[:60])
    viewer = person("viewer")
    bodies = viewer.get("/forge/").content.decode()
    bodies += "".join(page(viewer, run, f"?tab={tab}") for tab in TABS)
    told = pulse(viewer, run, "have=run-head.x,run-now.x,run-phases.x&log=0").json()
    bodies += told["lines"] + "".join(part["html"] for part in told["parts"].values())
    assert [bad for bad in ("<img src=x", '" onmouseover="', "javascript:alert", ' style="') if bad in bodies] == []


def test_the_log_is_filtered_by_level_and_phase(person: Any, whole: Run) -> None:
    add_lines(whole, 1, level="error", text="broken", phase="bitnet")
    viewer = person("viewer")
    errors, bitnet = page(viewer, whole, "?tab=logs&level=error"), page(viewer, whole, "?tab=logs&phase=bitnet")
    assert ("broken 0" in errors, "line 4" in errors, "broken 0" in bitnet, "line 4" in bitnet) == (
        True, False, True, False)  # fmt: skip


def test_a_link_to_a_line_shows_it_among_its_neighbours(person: Any, whole: Run) -> None:
    lines = add_lines(whole, 600, text="far")
    chosen = lines[300].pk
    body = page(person("viewer"), whole, f"?tab=logs&line={chosen}")
    assert ('class="line info chosen" id="line-' + str(chosen) in body, "far 250<" in body, "far 350<" in body,
            "far 5<" in body, 'data-follow="link"' in body) == (True, True, True, False, True)  # fmt: skip


def test_a_long_log_opens_with_its_end_and_leads_to_earlier_lines(person: Any, whole: Run) -> None:
    add_lines(whole, 1_100, text="long")
    viewer = person("viewer")
    body = page(viewer, whole, "?tab=logs")
    href = body.partition('<a href="?tab=logs&amp;before=')[2].partition('"')[0]
    earlier = page(viewer, whole, f"?tab=logs&before={href}")
    assert ("long 1099<" in body, "long 99<" in body, "long 99<" in earlier) == (True, False, True)


def test_a_pulse_brings_only_what_the_page_does_not_have(person: Any, whole: Run) -> None:
    viewer = person("viewer")
    last = LogLine.objects.latest("pk").pk
    first = pulse(viewer, whole, f"have=run-bar.x,run-phases.x&log={last}").json()
    tags = ",".join(f"{name}.{part['tag']}" for name, part in first["parts"].items())
    again = pulse(viewer, whole, f"have={tags}&log={last}").json()
    assert (sorted(first["parts"]), again["parts"], "lines" in again) == (["run-bar", "run-phases"], {}, False)


def test_a_pulse_brings_new_lines_and_new_points(person: Any, whole: Run) -> None:
    viewer = person("viewer")
    pulse(viewer, whole, "")
    curve = whole.curves.get(name="loss")
    last = LogLine.objects.latest("pk").pk
    add_lines(whole, 2, text="fresh")
    touch(whole)
    said = pulse(viewer, whole, f"log={last}&curves={curve.pk}.2&key=2.quietstar&tab=overview").json()
    while "lines" not in said:
        said = pulse(viewer, whole, f"log={last}&curves={curve.pk}.2&key=2.quietstar&tab=overview").json()
    points = [value for _, value in said["curves"][str(curve.pk)]["points"]]
    assert (said["line_count"], "fresh 1" in said["lines"], points, said["reload_curves"]) == (
        2, True, [1.2, 1.1], False)  # fmt: skip


def test_a_page_that_has_the_newest_version_is_told_so(person: Any, whole: Run) -> None:
    viewer = person("viewer")
    tag = pulse(viewer, whole, "")["ETag"]
    assert pulse(viewer, whole, "", **{"If-None-Match": tag}).status_code == 304


def test_a_page_is_told_to_draw_other_curves_when_there_are_more(person: Any, whole: Run) -> None:
    said = pulse(person("viewer"), whole, "curves=&key=0.&tab=overview").json()
    assert said["reload_curves"] is True


@pytest.mark.parametrize("query", ["have=,,.,x&log=x&curves=x.y,1.z", "log=99999999999999999999", "curves=-1.-1&key="])
def test_a_pulse_with_nonsense_is_answered(person: Any, whole: Run, query: str) -> None:
    assert pulse(person("viewer"), whole, query).status_code == 200


def test_the_metrics_to_draw_are_chosen_by_the_address(person: Any, whole: Run) -> None:
    viewer = person("viewer")
    one = page(viewer, whole, "?tab=metrics&metrics=quietstar/loss&axis=step")
    none = page(viewer, whole, "?tab=metrics&metrics=none")
    assert (one.count("<figure"), '"axis": "step"' in one, "No metric is chosen" in none) == (1, True, True)


def test_the_success_rate_is_drawn_with_its_target(person: Any, whole: Run) -> None:
    body = page(person("viewer"), whole, "?tab=metrics&metrics=quietstar/success_rate")
    assert '"band": {"low": 0.55, "high": 0.75, "name": "target"}' in body


def test_the_configuration_is_compared_with_the_run_before(person: Any) -> None:
    make_run("first", "failed", config={"lr": 0.1, "same": 1})
    run = make_run("second", config={"lr": 0.2, "same": 1}, parent_external_id="first")
    body = page(person("viewer"), run, "?tab=config&diff=only")
    assert ("changed" in body, ">same<" in body, "Differences only" in body) == (True, False, False)


@pytest.mark.parametrize("facts", [{"run_id": "run", "run_name": HOSTILE, "headline": "OOM", "step": 3}, {}])
def test_an_alert_about_a_run_shows_what_failed_and_stands_without_evidence(
    person: Any, whole: Run, facts: dict[str, Any]
) -> None:
    now = datetime.now(UTC)
    group = RuleGroup.objects.create(name="pipelines", interval_seconds=5, due_at=now)
    rule = Rule.objects.create(group=group, name="PhaseFailed", kind="phase_failed", spec={})
    kept = facts | ({"run_id": str(whole.pk)} if facts else {})
    alert = Alert.objects.create(
        fingerprint="f" * 64, name="PhaseFailed", rule=rule, state="firing", severity="critical", value=1.0,
        evidence={"kind": rule.kind, "facts": kept}, started_at=now, updated_at=now,
    )  # fmt: skip
    answer = person("viewer").get(f"/alerts/{alert.pk}/")
    body = answer.content.decode()
    assert (answer.status_code, f"/forge/runs/{whole.pk}/" in body, HOSTILE in body) == (200, bool(facts), False)


def test_durations_are_exact_enough_to_compare_and_ticks_never_read_the_same() -> None:
    assert [words.took(seconds) for seconds in (0.47, 42.2, 158.3, 120, 7500)] == [
        "0.5 s", "42 s", "2 min 38 s", "2 min", "2 h 5 min"
    ]  # fmt: skip
    assert [words.marked(seconds) for seconds in (0, 60, 90, 120, 150, 5400)] == [
        "0 s", "1 min", "1:30", "2 min", "2:30", "1.5 h"
    ]  # fmt: skip
