"""`manage.py rules import` and `rules export`, and what the evaluator makes of imported rules."""

import os
from datetime import datetime, timedelta
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from aivillage_console.accounts.models import Source
from aivillage_console.lib import clock
from alerts.engine.prometheus.rule_files import FileGroup, FileRule, read_rule_file
from alerts.engine.prometheus.writing import rule_file_text
from alerts.models import Alert, Rule, RuleGroup, RuleState
from alerts.services import evaluate_due
from metrics.ingest.rows import MetricRow
from metrics.selectors import instant_query
from metrics.services import partitions_prepare, samples_append

KUBE = Path(os.environ.get("CORPORA_DIR") or django_settings.BASE_DIR.parent / "shared" / "data") / "kube-prometheus"
pytestmark = pytest.mark.django_db(transaction=True)
FILE = """
groups:
  - name: nodes
    interval: 30s
    query_offset: 15s
    limit: 3
    labels: {team: infra}
    rules:
      - record: host:load:avg
        expr: avg by (host) (load)
      - alert: Busy
        expr: load > 5
        for: 1m
        keep_firing_for: 1m
        labels: {severity: warning, place: "{{ $labels.host }}-x"}
        annotations:
          summary: >-
            {{ $labels.host }} at {{ $value | humanize }},
            {{ with query `vector(7)` }}{{ . | first | value }}{{ end }}
      - alert: Busy
        expr: load > 8
        labels: {severity: page}
  - name: quiet
    rules:
      - alert: Nothing
        expr: absent(load{host="zz"}) == 2
"""


@pytest.fixture(autouse=True)
def _empty(db: Any) -> None:
    RuleGroup.objects.all().delete()


def run(*words: str) -> str:
    out = StringIO()
    call_command("rules", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nodes.yml"
    path.write_text(FILE)
    return path


def test_a_file_becomes_groups_and_rules(file: Path) -> None:
    out = run("import", str(file))
    assert out.splitlines()[-1] == "rules: 4 created, 0 changed, 0 deleted, 0 unchanged"
    group = RuleGroup.objects.get(name="nodes")
    assert (group.interval_seconds, group.query_offset_seconds, group.limit) == (30, 15.0, 3)
    assert (group.labels, group.file) == ({"team": "infra"}, "nodes.yml")
    recording, busy, worse = group.rules.order_by("position")
    assert (recording.kind, recording.spec) == (
        "recording",
        {"record": "host:load:avg", "expr": "avg by (host) (load)"},
    )
    assert (busy.name, busy.alertname, busy.severity) == ("Busy", "Busy", "medium")
    assert (busy.for_seconds, busy.keep_firing_for_seconds) == (60, 60)
    assert busy.labels == {"place": "{{ $labels.host }}-x", "severity_original": "warning"}
    assert (worse.name, worse.alertname, worse.severity) == ("Busy · nodes", "Busy", "critical")
    assert (busy.cooldown_seconds, worse.cooldown_seconds) == (0, 0)


def test_a_dry_run_says_the_same_and_stores_nothing(file: Path) -> None:
    out = run("import", "--dry-run", str(file))
    assert "+ group nodes\n+ rule host:load:avg\n" in out
    assert out.splitlines()[-1].endswith("(dry run: nothing was stored)")
    assert not Rule.objects.exists()


def test_what_is_imported_again_changes_what_has_changed(file: Path) -> None:
    run("import", str(file))
    kept = Rule.objects.get(name="Busy")
    Rule.objects.filter(pk=kept.pk).update(cooldown_seconds=5, enabled=False)
    assert run("import", str(file)).splitlines() == ["rules: 0 created, 0 changed, 0 deleted, 4 unchanged"]
    file.write_text(
        FILE.replace("load > 5", "load > 6").replace(
            "      - alert: Busy\n        expr: load > 8\n        labels: {severity: page}\n", ""
        )
    )
    out = run("import", str(file))
    assert "- rule Busy · nodes" in out
    assert "~ rule Busy: spec" in out
    kept.refresh_from_db()
    assert (kept.spec, kept.cooldown_seconds, kept.enabled, kept.version) == ({"expr": "load > 6"}, 5, False, 2)
    file.write_text("groups: [{name: quiet, rules: []}]")
    assert "- group nodes" in run("import", str(file))
    assert list(RuleGroup.objects.values_list("name", flat=True)) == ["quiet"]


def test_a_mistake_anywhere_stores_nothing_and_names_file_and_line(file: Path) -> None:
    bad = file.parent / "bad.yml"
    bad.write_text("groups:\n  - name: g\n    rules:\n      - {alert: A, expr: 'up +'}\n")
    with pytest.raises(CommandError, match=r"nothing was imported:\nbad.yml: 4:26: group .*parse error"):
        run("import", str(file), str(bad))
    bad.write_text("groups:\n  - name: g\n    rules:\n      - {alert: A, expr: up, labels: {'a b': x}}\n")
    with pytest.raises(CommandError, match=r"bad.yml:4: rule A: labels: 'a b' is not a name"):
        run("import", str(file), str(bad))
    assert not RuleGroup.objects.exists()


def test_two_files_may_use_the_same_group_name(file: Path) -> None:
    other = file.parent / "other.yml"
    other.write_text("groups: [{name: nodes, rules: [{alert: Busy, expr: '1'}]}]")
    run("import", str(file), str(other))
    assert set(RuleGroup.objects.values_list("name", flat=True)) == {"nodes", "quiet", "other.yml: nodes"}
    assert run("import", str(other)).splitlines() == ["rules: 0 created, 0 changed, 0 deleted, 1 unchanged"]
    with pytest.raises(CommandError, match="two files have the same name"):
        run("import", str(file), str(file))


def test_what_was_imported_is_given_back(file: Path, tmp_path: Path) -> None:
    run("import", str(file))
    RuleGroup.objects.create(name="own", due_at=clock.now())
    group = RuleGroup.objects.get(name="own")
    spec = {"metric_path": "cpu", "condition": "greater_than", "threshold": 90}
    Rule.objects.create(group=group, name="Hot", kind="threshold", spec=spec, severity="high", description="Too hot")
    Rule.objects.create(group=group, name="Off", spec={"expr": "up"}, enabled=False)
    out = tmp_path / "out"
    out.mkdir()
    run("export", "--directory", str(out))
    given = read_rule_file((out / "nodes.yml").read_text())
    assert not given.mistakes

    def bare(groups: list[FileGroup]) -> list[Any]:
        return [(g.name, g.interval_ms, g.query_offset_ms, g.limit, g.labels,
                 [(r.name, r.expr, r.for_ms, r.keep_firing_for_ms, r.labels, r.annotations) for r in g.rules])
                for g in groups]  # fmt: skip

    wanted = bare(read_rule_file(FILE.replace("name: quiet", "name: quiet\n    interval: 1m")).groups)
    assert bare(given.groups) == wanted
    [own] = read_rule_file((out / "console.yml").read_text()).groups
    assert [(rule.alert, rule.labels, rule.annotations) for rule in own.rules] == [
        ("Hot", {"severity": "high"}, {"description": "Too hot"})
    ]
    whole = run("export")
    assert [group.name for group in read_rule_file(whole).groups] == ["nodes", "own", "quiet"]


def test_texts_of_several_lines_are_written_as_such() -> None:
    group = FileGroup("g", [FileRule(alert="A", expr="up\n  == 0\n", labels={"b": "1", "a": "yes"}, for_ms=90_000)])
    text = rule_file_text([group])
    assert "expr: |\n" in text
    [back] = read_rule_file(text).groups
    assert (back.rules[0].expr, back.rules[0].labels, back.rules[0].for_ms) == (
        "up\n  == 0\n",
        {"a": "yes", "b": "1"},
        90_000,
    )


# Evaluating.


@pytest.fixture
def start() -> datetime:
    now = clock.now()
    partitions_prepare(now=now)
    return clock.at_seconds(now.timestamp() - now.timestamp() % 60 - 1800)


def feed(start: datetime, host: str, values: list[float | None]) -> None:
    source, _ = Source.objects.get_or_create(name="test", defaults={"service": "test"})
    rows = [
        MetricRow(name="load", type="gauge", value=value, labels={"host": host},
                  timestamp_ms=round(start.timestamp() * 1000) + place * 30_000)
        for place, value in enumerate(values) if value is not None
    ]  # fmt: skip
    assert samples_append(rows, source=source, now=clock.now()) == []


def at(start: datetime, seconds: float) -> datetime:
    return start + timedelta(seconds=seconds)


def evaluated(start: datetime, *seconds: float) -> None:
    for second in seconds:
        RuleGroup.objects.update(due_at=start)
        evaluate_due(hand="celery", read_clock=partial(at, start, second))


def value_of(query: str, moment: datetime) -> list[float]:
    result = instant_query(query, at_ms=round(moment.timestamp() * 1000))
    return [float(result.values[row, 0]) for row in range(len(result.labels)) if result.present[row, 0]]


def test_imported_rules_look_back_by_the_offset_and_fill_in_their_texts(file: Path, start: datetime) -> None:
    run("import", str(file))
    feed(start, "a", [6, 6, 6, 9, 9])
    evaluated(start, 30, 60, 90)
    [alert] = Alert.objects.all()
    assert (alert.name, alert.severity, alert.labels["place"], alert.labels["team"]) == (
        "Busy",
        "medium",
        "a-x",
        "infra",
    )
    assert alert.labels["severity_original"] == "warning"
    assert alert.annotations["summary"] == "a at 6, 7"
    # At 120 s the rules look at 105 s, where the newest sample is that of 90 s.
    evaluated(start, 120)
    assert set(Alert.objects.values_list("name", "severity")) == {("Busy", "medium"), ("Busy", "critical")}
    assert value_of("host:load:avg", at(start, 105)) == [9.0]
    assert value_of("timestamp(host:load:avg)", at(start, 119)) == [at(start, 105).timestamp()]


def test_an_alert_is_kept_firing_from_the_evaluation_that_misses_it(file: Path, start: datetime) -> None:
    file.write_text(FILE.replace("query_offset: 15s", "query_offset: 0s").replace("for: 1m\n        keep", "keep", 1))
    run("import", str(file))
    feed(start, "a", [6, 1, 1, 1, 1])
    rule = Rule.objects.get(name="Busy")
    seen = []
    for second in (0, 30, 60, 90):
        evaluated(start, second)
        seen.append(list(RuleState.objects.filter(rule=rule).values_list("state", "kept_since_at")))
    # Gone at 30 s, kept for one minute from then, over at 90 s.
    kept = ("keep_firing", at(start, 30))
    assert seen == [[("firing", None)], [kept], [kept], []]


def test_more_alerts_than_the_group_may_have_fail_the_rule(file: Path, start: datetime) -> None:
    run("import", str(file))
    for host in "abcd":
        feed(start, host, [9, 9])
    evaluated(start, 45)
    busy, recording = Rule.objects.get(name="Busy"), Rule.objects.get(name="host:load:avg")
    assert (busy.health, busy.last_error) == ("unknown", "ValueError: exceeded limit of 3 with 4 alerts")
    assert "at most 3 are recorded" in recording.last_error
    assert not RuleState.objects.exists()


def test_rows_that_become_one_alert_fail_the_rule(file: Path, start: datetime) -> None:
    file.write_text("groups: [{name: g, rules: [{alert: A, expr: load > 1, labels: {host: one}}]}]")
    run("import", str(file))
    feed(start, "a", [9])
    feed(start, "b", [9])
    evaluated(start, 0)
    assert "several results have the same labels" in Rule.objects.get(name="A").last_error


@pytest.mark.skipif(not KUBE.exists(), reason="CORPORA_DIR has no kube-prometheus")
def test_all_rules_of_kube_prometheus_are_imported_and_evaluated(start: datetime) -> None:
    out = run("import", *map(str, sorted(KUBE.glob("*prometheusRule.yaml"))))
    assert out.splitlines()[-1] == "rules: 234 created, 0 changed, 0 deleted, 0 unchanged"
    feed(start, "a", [1])
    RuleGroup.objects.update(due_at=start)
    for _ in range(20):
        evaluate_due(hand="celery", read_clock=partial(at, start, 60))
        if not Rule.objects.filter(health="never").exists():
            break
    assert not Rule.objects.exclude(health="ok").values_list("name", "last_error").count()
    assert set(Alert.objects.values_list("name", flat=True)) >= {"Watchdog"}
    given = read_rule_file(run("export"))
    assert not given.mistakes
    assert given.rules == 234


def test_where_alerts_stand_is_told_in_series_other_rules_can_ask(start: datetime, tmp_path: Path) -> None:
    path = tmp_path / "told.yml"
    path.write_text("""
groups:
  - name: a
    rules:
      - {alert: Busy, expr: load > 5, for: 1m, labels: {severity: info}}
  - name: b
    rules:
      - {alert: Quietened, expr: 'ALERTS{alertname="Busy", severity="info", alertstate="firing"} == 1'}
""")
    run("import", str(path))
    feed(start, "a", [6, 6, 6, 6, 1, 1, 1, 1])
    evaluated(start, 0)
    assert value_of('ALERTS{alertname="Busy",alertstate="pending",host="a",severity="info"}', at(start, 0)) == [1.0]
    assert value_of('ALERTS_FOR_STATE{alertname="Busy"}', at(start, 0)) == [start.timestamp()]
    evaluated(start, 60)
    assert value_of('ALERTS{alertstate="pending"}', at(start, 60)) == []
    evaluated(start, 60, 61)
    assert Alert.objects.filter(name="Quietened", state="firing").exists()
    evaluated(start, 120)
    assert value_of('ALERTS{alertname="Busy"}', at(start, 120)) == []


def test_the_series_of_alerts_have_no_severity_where_the_file_gives_none(tmp_path: Path, start: datetime) -> None:
    path = tmp_path / "unsaid.yml"
    path.write_text("groups: [{name: a, rules: [{alert: Unsaid, expr: load > 5}]}]")
    run("import", str(path))
    feed(start, "a", [6, 6])
    evaluated(start, 0)
    assert Alert.objects.get(name="Unsaid").severity == "medium"
    assert value_of('ALERTS{alertname="Unsaid",severity=""}', at(start, 0)) == [1.0]
    assert value_of('ALERTS{alertname="Unsaid",severity!=""}', at(start, 0)) == []
