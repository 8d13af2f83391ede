"""The pages of rules: the list, one rule, the editor with its previews, groups; who may what; and how many queries."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from aivillage_console.accounts.models import AuditEntry, Source
from aivillage_console.lib import clock
from alerts.models import Alert, AlertEvent, Channel, Policy, PolicyStep, Rule, RuleGroup, RuleState, RuleSuggestion
from alerts.rule_pages.drafts import values_of
from alerts.rule_pages.saving import base_text
from alerts.rules.rule_yaml import rule_to_yaml
from metrics.ingest.rows import MetricRow
from metrics.services import partitions_prepare, samples_append

pytestmark = pytest.mark.django_db
PINNED = json.loads((Path(__file__).parent / "query_counts.json").read_text())
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def group(db: None) -> RuleGroup:
    """Return a group that was evaluated just now."""
    return RuleGroup.objects.create(name="shop", due_at=clock.now(), last_evaluated_at=clock.now(), interval_seconds=60)


@pytest.fixture
def rule(group: RuleGroup) -> Rule:
    """Return a rule of which an alert fires."""
    rule = Rule.objects.create(
        group=group, name="Heat", kind="promql", spec={"expr": "heat > 80"}, severity="critical", health="ok",
        labels={"team": "shop"}, annotations={"summary": "{{ $labels.host }} is hot", "note": HOSTILE},
        last_evaluated_at=clock.now(),
    )  # fmt: skip
    at = clock.now() - timedelta(minutes=5)
    labels = {"host": "h1", "team": "shop", "severity": "critical"}
    RuleState.objects.create(
        rule=rule, fingerprint="f" * 64, labels=labels, state="firing", active_at=at, fired_at=at, last_value=91
    )
    alert = Alert.objects.create(
        fingerprint="f" * 64, name="Heat", rule=rule, state="firing", severity="critical", labels=labels,
        annotations={"summary": "h1 is hot"}, started_at=at, updated_at=at,
    )  # fmt: skip
    AlertEvent.objects.create(alert=alert, episode=1, at=at, kind="started", actor_kind="system")
    return rule


@pytest.fixture
def heat(db: None) -> None:
    """Store what the rule looks at: h1 is too hot, h2 is not."""
    now = clock.now()
    partitions_prepare(now=now)
    rows = [
        MetricRow("heat", value, "gauge", {"host": host}, int((now - timedelta(seconds=ago)).timestamp() * 1000))
        for ago in (120, 60, 1) for host, value in (("h1", 91.0), ("h2", 40.0))
    ]  # fmt: skip
    assert samples_append(rows, source=Source.objects.create(name="shop"), now=now) == []


def form(rule: Rule, **changes: str) -> dict[str, str]:
    """Return what the editor posts."""
    values = values_of(rule)
    return {**values, "mode": "form", "rule": str(rule.pk), "version": str(rule.version), "base": base_text(values)} | {
        name.replace("__", "."): text for name, text in changes.items()
    }


def part(client: Client, path: str, data: dict[str, str]) -> tuple[int, str]:
    """Post as the page's own script does."""
    answer = client.post(path, data, headers={"HX-Request": "true"})
    return answer.status_code, answer.content.decode()


@pytest.mark.parametrize("path", ["/alerts/rules/", "/alerts/rules/<uuid>/", "/alerts/rules/<uuid>/edit/"])
def test_each_page_has_exactly_the_queries_it_is_known_for(person: Any, rule: Rule, path: str) -> None:
    editor, address = person("editor"), path.replace("<uuid>", str(rule.pk))
    editor.get(address)
    with CaptureQueriesContext(connection) as queries:
        answer = editor.get(address)
    asked = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert (answer.status_code, len(asked)) == (200, PINNED[path]), asked
    body = answer.content.decode()
    assert [word for word in (' style="', " onclick=", "javascript:", HOSTILE) if word in body] == []


def test_more_rules_cost_the_list_no_more_queries(person: Any, rule: Rule) -> None:
    for number in range(5):
        Rule.objects.create(group=rule.group, name=f"r{number}", spec={"expr": "1"}, position=number + 1)
    viewer = person("viewer")
    viewer.get("/alerts/rules/")
    with CaptureQueriesContext(connection) as queries:
        viewer.get("/alerts/rules/")
    assert len([q for q in queries if "SAVEPOINT" not in q["sql"]]) == PINNED["/alerts/rules/"]


def test_the_list_says_how_each_rule_stands_fares_and_how_much_noise_it_makes(person: Any, rule: Rule) -> None:
    body = " ".join(person("viewer").get("/alerts/rules/").content.decode().split())
    for words in ("1 firing", "heat &gt; 80", "Fired 1 time in 7 days", "shop", "every 1 min", "needs role editor"):
        assert words in body
    assert "Switch off" not in body


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=firing", True), ("state=pending", False), ("health=ok", True), ("health=unknown", False),
        ("health=off", False), ("severity=critical", True), ("severity=low", False), ("kind=promql", True),
        ("kind=threshold", False), ("noisy=1", False), ("q=heat+shop", True), ("q=nothing", False),
        ("group=nonsense", True), ("group=00000000-0000-4000-8000-000000000000", False), ("after=zzz%1F0%1Fz", False),
    ],
)  # fmt: skip
def test_every_filter_is_in_the_address(person: Any, rule: Rule, query: str, found: bool) -> None:
    body = person("viewer").get(f"/alerts/rules/?{query}&fragment=table").content.decode()
    assert (f"rule-{rule.pk}" in body, "<html" in body) == (found, False)


def test_without_rules_the_list_says_what_one_is(person: Any) -> None:
    assert "No rule yet" in person("viewer").get("/alerts/rules/").content.decode()


def test_a_rule_is_switched_off_and_on_again_and_each_time_it_is_audited(person: Any, rule: Rule) -> None:
    editor, path = person("editor"), f"/alerts/rules/{rule.pk}/switch/"
    assert part(editor, path, {"on": "0"}) == (200, "Heat is switched off.")
    rule.refresh_from_db()
    assert (rule.enabled, rule.version) == (False, 2)
    answer = editor.post(path, {"on": "1", "query": "health=ok"})
    assert (answer.status_code, answer["Location"]) == (302, "/alerts/rules/?health=ok")
    assert AuditEntry.objects.filter(action="rule.update", object_id=str(rule.pk)).count() == 2


def test_the_page_of_a_rule_says_what_it_means_sees_and_what_was_done_to_it(
    person: Any, rule: Rule, heat: None
) -> None:
    editor = person("editor")
    editor.post(f"/alerts/rules/{rule.pk}/edit/", form(rule, promql__expr="heat > 85"))
    body = " ".join(person("viewer").get(f"/alerts/rules/{rule.pk}/").content.decode().split())
    for words in (
        "It looks every 1m at what its query answers", "1 of 2 hold", "h2", "#1 Heat", "Changed by editor@example.org",
        "spec.expr", "heat &gt; 80", "needs role editor", 'id="rule-chart"', "band", "&lt;script&gt;",
    ):  # fmt: skip
        assert words.replace("#1", f"#{Alert.objects.get().pk}") in body, words


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("threshold", {"metric_path": "heat", "condition": "greater_than", "threshold": 80}),
        ("threshold", {"metric_path": "no path", "condition": "greater_than", "threshold": 80}),
        ("recording", {"record": "job:heat", "expr": "sum(heat)"}), ("promql", {"expr": "sum(("}),
        ("security_event", {"min_score": 0.7}), ("component", {}), ("phase_failed", {}),
        ("dynamic", {"metric_path": "heat"}), ("absence", {"selector": "heat"}), ("composite", {"expression": "Heat"}),
        ("promql", {"expr": "heat > 80", "levels": [{"severity": "critical", "threshold": 95}]}),
    ],
)  # fmt: skip
def test_every_kind_of_rule_has_a_page_and_an_editor_also_a_broken_one(
    person: Any, rule: Rule, kind: str, spec: dict[str, Any]
) -> None:
    Rule.objects.filter(pk=rule.pk).update(kind=kind, spec=spec, health="unknown", last_error="it broke")
    editor = person("editor")
    page, editing = (editor.get(f"/alerts/rules/{rule.pk}/{tail}") for tail in ("", "edit/"))
    assert (page.status_code, editing.status_code, "it broke" in page.content.decode()) == (200, 200, True)


def test_a_rule_that_is_not_there_is_a_designed_404(person: Any) -> None:
    assert person("viewer").get(f"/alerts/rules/{uuid4()}/").status_code == 404


def test_a_viewer_may_not_edit(person: Any, rule: Rule) -> None:
    viewer = person("viewer")
    tried = [viewer.get("/alerts/rules/new/"), viewer.post(f"/alerts/rules/{rule.pk}/edit/", form(rule))]
    assert [answer.status_code for answer in tried] == [403, 403]


def test_a_rule_is_made_from_a_query_of_explore(person: Any, group: RuleGroup) -> None:
    editor = person("editor")
    body = editor.get("/alerts/rules/new/?kind=promql&expr=queue_depth+%3E+2").content.decode()
    assert "queue_depth &gt; 2" in body
    values = {
        "mode": "form", "name": "Queue", "kind": "promql", "group": str(group.pk), "severity": "high",
        "promql.expr": "queue_depth > 2", "for": "2m", "keep_firing_for": "", "window": "5m", "cooldown": "10m",
        "labels": "team = shop\nwhy = \" spaced\"", "summary": "Long queue", "enabled": "on",
    }  # fmt: skip
    answer = editor.post("/alerts/rules/new/", values)
    made = Rule.objects.get(name="Queue")
    assert (answer.status_code, answer["Location"]) == (302, f"/alerts/rules/{made.pk}/")
    assert (made.spec, made.for_seconds, made.labels, made.annotations, made.version) == (
        {"expr": "queue_depth > 2"}, 120, {"team": "shop", "why": " spaced"}, {"summary": "Long queue"}, 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"name": ""}, "name", "A rule needs a name."),
        ({"for": "soon"}, "for", "is not a duration"),
        ({"promql__expr": "sum("}, "promql-expr", "parse error"),
        ({"promql__expr": ""}, "promql-expr", "PromQL is needed."),
        ({"labels": "team"}, "labels", "Line 1: write name = text."),
        ({"summary": "{{ $labels.host"}, "summary", "line 1"),
        ({"group": "x"}, "group", "Choose the group"),
        ({"promql__recovery_threshold": "warm"}, "promql-recovery_threshold", "is no number"),
        ({"promql__levels__0__severity": "critical"}, "promql-levels", "Threshold missing"),
        ({"kind": "nonsense"}, "kind", "Choose what the rule is about."),
        ({"window": "0s"}, "window", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    person: Any, rule: Rule, changes: dict[str, str], field: str, sentence: str
) -> None:
    answer = person("editor").post(f"/alerts/rules/{rule.pk}/edit/", form(rule, **{"description": "kept", **changes}))
    body = answer.content.decode()
    rule.refresh_from_db()
    assert (answer.status_code, rule.version, "kept" in body, sentence in body) == (422, 1, True, True)
    assert f'id="f-{field}-error"' in body


def test_the_form_becomes_yaml_and_the_form_again_with_all_that_was_typed(person: Any, rule: Rule) -> None:
    editor = person("editor")
    typed = form(rule, name="Hotter", promql__expr="heat > 85", **{"for": "3m"})
    status, body = part(editor, "/alerts/rules/convert/", typed)
    assert (status, "name: Hotter" in body, "expr: heat &gt; 85" in body, "note:" in body) == (200, True, True, True)
    rule.name, rule.spec, rule.for_seconds = "Hotter", {"expr": "heat > 85"}, 180
    back = {"mode": "yaml", "yaml": rule_to_yaml(rule), "rule": str(rule.pk), "version": "1", "base": typed["base"]}
    status, body = part(editor, "/alerts/rules/convert/", back)
    assert (status, 'value="Hotter"' in body, 'value="3m"' in body, "heat &gt; 85" in body) == (200, True, True, True)
    assert editor.post(f"/alerts/rules/{rule.pk}/edit/", back).status_code == 302
    rule.refresh_from_db()
    assert (rule.name, rule.annotations["note"], rule.group.name) == ("Hotter", HOSTILE, "shop")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: x\nexpr: [", "line"),
        ("name: x\nexpr: up\ngroup: nowhere", "no group of this name"),
        ("name: x\ngroup: shop\nexpr: sum(", "parse error"),
        ("", "a rule belongs here"),
    ],
)
def test_yaml_that_is_wrong_is_said_with_its_line_and_stays(person: Any, rule: Rule, text: str, sentence: str) -> None:
    data = {**form(rule), "mode": "yaml", "yaml": text}
    answer = person("editor").post(f"/alerts/rules/{rule.pk}/edit/", data)
    body = answer.content.decode()
    assert (answer.status_code, sentence in body, "f-yaml-error" in body) == (422, True, True), body


def test_who_saves_late_gets_the_others_changes_merged_and_keeps_their_own(person: Any, rule: Rule) -> None:
    editor, late = person("editor"), form(rule, description="mine", promql__expr="heat > 90")
    editor.post(f"/alerts/rules/{rule.pk}/edit/", form(rule, severity="low", promql__expr="heat > 70"))
    answer = editor.post(f"/alerts/rules/{rule.pk}/edit/", late)
    body = answer.content.decode()
    assert (answer.status_code, "Somebody saved this rule meanwhile" in body) == (409, True)
    assert ('<option value="low" selected' in body, "heat &gt; 90</textarea>" in body, "mine" in body) == (True,) * 3
    assert ("heat &gt; 70" in body, 'name="version" value="2"' in body) == (True, True)
    rule.refresh_from_db()
    assert (rule.version, rule.description) == (2, "")


def test_the_preview_says_what_it_answers_whom_it_tells_and_in_which_words(person: Any, rule: Rule, heat: None) -> None:
    channel = Channel.objects.create(name="ops-slack", type="slack", config={"channel": "#ops"})
    hook = Channel.objects.create(name="hook", type="webhook", config={"url": "https://example.org/"})
    policy = Policy.objects.create(name="Nights", triggers=[{"team": ["shop"]}])
    step = PolicyStep.objects.create(policy=policy, position=0)
    step.channels.set([channel, hook])
    status, body = part(
        person("editor"), "/alerts/rules/preview/", form(rule, summary="{{ $labels.host }} at {{ $value }}")
    )
    body = " ".join(body.split())
    for words in (
        "<b>1</b> of 2 label sets hold",
        "Nights",
        "ops-slack",
        "h1 at 91",
        "CRITICAL: Heat",
        "&quot;alert_name&quot;",
    ):
        assert words in body, words
    assert (status, Rule.objects.get().annotations["summary"]) == (200, "{{ $labels.host }} is hot")


def test_the_preview_says_why_it_is_not_ready_and_when_nobody_would_hear(person: Any, rule: Rule) -> None:
    editor = person("editor")
    assert "Not ready yet" in part(editor, "/alerts/rules/preview/", form(rule, promql__expr="sum("))[1]
    assert "Nobody" in part(editor, "/alerts/rules/preview/", form(rule))[1]
    whole = editor.post("/alerts/rules/preview/", form(rule, name="Typed"))
    assert (whole.status_code, 'value="Typed"' in whole.content.decode()) == (200, True)


def test_a_backtest_counts_what_the_rule_would_have_done_beside_what_is_saved(
    person: Any, rule: Rule, heat: None
) -> None:
    data = {**form(rule, promql__expr="heat > 95"), "range": "24h", "job": str(uuid4())}
    status, body = part(person("editor"), "/alerts/rules/backtest/", data)
    body = " ".join(body.split())
    assert (status, "would have fired <b>0×</b>" in body, "As it is saved: 1×" in body) == (200, True, True), body
    assert ("p95" in body, 'id="backtest-chart"' in body) == (True, True)
    assert Rule.objects.get().spec == {"expr": "heat > 80"}


def test_a_backtest_can_be_followed_and_stopped_from_another_request(person: Any, rule: Rule, heat: None) -> None:
    editor, job = person("editor"), str(uuid4())
    path = f"/alerts/rules/backtest/{job}/"
    assert editor.get(path).json() == {"done": None}
    editor.post(path)
    status, body = part(editor, "/alerts/rules/backtest/", {**form(rule), "job": job})
    assert (status, "It was stopped" in body) == (200, True)
    assert cache.get(f"backtest:{job}:stop") is None


def test_a_recording_rule_has_no_backtest_and_says_so(person: Any, rule: Rule) -> None:
    data = form(rule, kind="recording", recording__record="a:b", recording__expr="sum(heat)")
    assert "makes no alert" in part(person("editor"), "/alerts/rules/backtest/", data)[1]


def test_a_copy_is_switched_off_and_has_a_name_of_its_own(person: Any, rule: Rule) -> None:
    body = person("editor").get(f"/alerts/rules/new/?from={rule.pk}").content.decode()
    assert ('value="Heat 2"' in body, 'name="enabled" value="on" checked' in body) == (True, False)


def test_rules_move_within_their_group_and_to_another(person: Any, rule: Rule) -> None:
    editor = person("editor")
    other = Rule.objects.create(group=rule.group, name="After", spec={"expr": "1"}, position=1)
    elsewhere = RuleGroup.objects.create(name="elsewhere", due_at=clock.now())
    editor.post(f"/alerts/rules/{rule.pk}/move/", {"to": "down"})
    assert list(Rule.objects.order_by("position").values_list("name", flat=True)) == ["After", "Heat"]
    editor.post(f"/alerts/rules/{other.pk}/move/", {"to": "group", "group": str(elsewhere.pk)})
    other.refresh_from_db()
    assert (other.group_id, other.position) == (elsewhere.pk, 0)
    for data in ({"to": "up"}, {"to": "sideways"}, {"to": "group", "group": "x"}):
        assert editor.post(f"/alerts/rules/{other.pk}/move/", data).status_code == 302


def test_deleting_a_rule_ends_what_is_open_of_it(person: Any, rule: Rule) -> None:
    editor = person("editor")
    assert "1 alert of it is open and will end" in editor.get(f"/alerts/rules/{rule.pk}/").content.decode()
    assert editor.post(f"/alerts/rules/{rule.pk}/delete/").status_code == 302
    alert = Alert.objects.get()
    assert (Rule.objects.count(), alert.rule_id) == (0, None)
    assert AuditEntry.objects.filter(action="rule.delete").count() == 1


def test_groups_are_made_changed_and_deleted_with_their_rules(person: Any, rule: Rule) -> None:
    editor = person("editor")
    values = {"name": "fast", "interval": "15s", "limit": "5", "offset": "500ms", "labels": "dc = a", "enabled": "on"}
    assert editor.post("/alerts/rules/groups/new/", values).status_code == 302
    made = RuleGroup.objects.get(name="fast")
    assert (made.interval_seconds, made.limit, made.query_offset_seconds, made.labels) == (15, 5, 0.5, {"dc": "a"})
    path = f"/alerts/rules/groups/{rule.group_id}/"
    wrong = [
        {"interval": "2d"},
        {"interval": "x"},
        {"labels": "a"},
        {"offset": "x"},
        {"name": "fast"},
        {"labels": "1a = b"},
    ]
    assert [editor.post(path, {**values, "name": "shop", **one}).status_code for one in wrong] == [422] * 6
    assert editor.post(path, {**values, "name": "shop"}).status_code == 302
    assert "Heat" in editor.get(path).content.decode()
    assert editor.post(f"{path}delete/").status_code == 302
    assert (Rule.objects.count(), RuleGroup.objects.filter(name="shop").exists()) == (0, False)


def test_what_would_be_quieter_is_suggested_and_tried_in_the_form(person: Any, rule: Rule, heat: None) -> None:
    editor, path = person("editor"), f"/alerts/rules/{rule.pk}/"
    answer = editor.post(f"{path}suggest/", follow=True)
    assert "Nothing to suggest: it told somebody 0 times" in answer.content.decode()
    found = {
        "field": "for_seconds",
        "before": 0,
        "after": 360,
        "text": "for 0s → 6m: 31 → 5 pages",
        "later_seconds": 60,
    }
    RuleSuggestion.objects.update(result={"suggestions": [found]}, rule_version=0)
    body = editor.get(path).content.decode()
    assert [words in body for words in ("31 → 5 pages", "the rule has changed since", "try=for_seconds")] == [True] * 3
    assert 'value="6m"' in editor.get(f"{path}edit/?try=for_seconds&value=360").content.decode()
    for query in ("try=for_seconds&value=x", "try=nonsense&value=1", "try=for_seconds&value=-1"):
        assert 'value="6m"' not in editor.get(f"{path}edit/?{query}").content.decode()


def test_the_noise_of_a_rule_is_in_rest(person: Any, rule: Rule) -> None:
    found = person("viewer").get(f"/api/console/v1/rules/{rule.pk}/noise/").json()
    assert (found["firings"], found["pages"], sum(found["bars"]), found["why_noisy"]) == (1, 0, 1, "")
