"""The whole file: every part of it, the original's file, and mistakes with their places."""

import pytest

from alerts.engine.configuration.document import Known, document_text, read_document

KNOWN = Known(
    {"promql": {"expr": "promql"}, "threshold": {"metric_path": "path", "condition": "choice", "threshold": "number"}},
    {
        "webhook": {"url", "timeout"}, "log": {"path"}, "email": {"smtp_server", "to_emails", "username"},
        "github": {"repo", "labels"}, "slack": {"channel"},
    },
)  # fmt: skip
# What the original ships, its comments included.
ORIGINAL = """\
alerts:
  success_rate_threshold: 95.0
  performance_degradation: 1.5  # half as slow again
  flaky_test_threshold: 0.2
  consecutive_failures: 3

channels:
  - type: "log"
    path: "monitoring/alerts.log"
  
  # - type: "github"
  #   repo: "owner/name"
"""  # noqa: W293
FULL = """\
settings: {evaluation_interval: 60, batch_size: 100, max_alerts_per_minute: 50, alert_retention_days: 30,
           enable_correlation: true, enable_deduplication: true, deduplication_window: 1h}
channels:
- {type: webhook, name: slack_alerts, url: "${SLACK_URL:-https://hooks.example.org/x}",
   filters: [{severity: [critical, high]}]}
- {type: email, name: engineering_team, smtp_server: "${SMTP:mail.example.org}",
   username: console@example.org, to_emails: [team@example.org],
   filters: [{severity: critical, component: agent_forge}]}
- {type: github, name: issue_tracker, repo: a/b, labels: [alert, automated]}
escalation:
- name: critical_escalation
  triggers: [{severity: critical}]
  steps:
  - {delay: 0, channels: [slack_alerts, email]}
  - {delay: 15m, channels: [email, github]}
  - {delay: 3600, channels: [email], recipients: [oncall@example.org]}
correlation:
- {name: database, group_key: component, time_window: 5m, alert_patterns: ["db_*"], label_matchers: {env: prod}}
mute_times:
- {name: nights, intervals: [{times: [{start_time: "00:00", end_time: "06:00"}]}], policies: [critical_escalation]}
inhibitions:
- {name: down, source_matchers: [alertname=NodeDown], target_matchers: ["severity=warning"], equal: [instance]}
groups:
- {name: fast, interval: 15s}
alert_rules:
- {name: high_cpu, metric_path: cpu, condition: ">", threshold: 80, severity: warning,
   evaluation_window: 5m, group: fast}
"""


def read(text: str, **variables: str) -> tuple[list[str], dict[tuple[str, str], dict[str, object]]]:
    found = read_document(text, file="f.yaml", known=KNOWN, variables=variables)
    return found.told, {entry.key: entry.fields for entry in found.entries}


def test_the_originals_file_is_read_as_it_is() -> None:
    told, entries = read(ORIGINAL)
    assert told == []
    assert entries["alerts", "alerts"] == {
        "success_rate_threshold": 95, "performance_degradation_threshold": 1.5, "flaky_test_threshold": 0.2,
        "consecutive_failures_threshold": 3,
    }  # fmt: skip
    assert entries["channels", "log-1"]["config"] == {"path": "monitoring/alerts.log"}


def test_every_part_is_read_and_written_back_the_same() -> None:
    told, entries = read(FULL)
    assert told == []
    assert entries["channels", "slack_alerts"]["config"] == {"url": "https://hooks.example.org/x"}
    assert entries["channels", "engineering_team"]["config"]["smtp_server"] == "mail.example.org"  # type: ignore[index]
    assert entries["correlation", "database"]["label_matchers"] == ['env="prod"']
    assert entries["settings", "settings"]["deduplication_window_seconds"] == 3600
    assert [step["delay_seconds"] for step in entries["escalation", "critical_escalation"]["steps"]] == [0, 900, 3600]  # type: ignore[attr-defined]
    document = read_document(FULL, known=KNOWN, variables={})
    once = document_text(document.entries, KNOWN)
    again = read_document(once, known=KNOWN, variables={})
    assert (again.told, document_text(again.entries, KNOWN)) == ([], once)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mystery: 1", "f.yaml:1:1: unknown key 'mystery'"),
        ("chanels: []", "did you mean channels?"),
        (
            "channels:\n- type: pigeon",
            "f.yaml:2:9: unknown type 'pigeon'; there are email, github, log, slack, webhook",
        ),
        ("channels:\n- url: x", "f.yaml:2:3: type is missing"),
        ("channels: {a: b}", "f.yaml:1:11: "),
        ("escalation:\n- name: x\n  triggers: []", "steps are missing"),
        ("escalation:\n- name: x\n  steps: []", "triggers are missing; `triggers: []` stands for every alert"),
        ("escalation:\n- name: x\n  triggers: []\n  steps: [{delay: 5m}, {delay: 1m}]", "f.yaml:4:10: each step comes"),
        ("settings: {batch_size: 0}", "f.yaml:1:24: a whole number from 1 to 1000"),
        ("settings: {enable_correlation: maybe}", "true or false"),
        ("alerts: {consecutive_failures: 1, consecutive_failures_threshold: 2}", "is another name of"),
        ("groups:\n- {name: a}\n- {name: a}", "f.yaml:3:3: 'a' stands among the groups already, at line 2"),
        ("groups:\n- {interval: 5m}", "name is missing"),
        ("alert_rules:\n- name: a\n  expr: ${X}", "f.yaml:3:9: ${X} is not set: set X, or write ${X:-default}"),
        ("[1]", "f.yaml:1:1: "),
        ("a: b: c", "f.yaml:1:5: yaml: mapping values are not allowed"),
    ],
)
def test_a_mistake_has_its_file_and_place_and_says_what_to_do(text: str, told: str) -> None:
    found, _ = read(text)
    assert any(told in one for one in found), found


def test_an_empty_file_says_nothing() -> None:
    assert read("") == ([], {})
    assert read("# only words\n") == ([], {})
    assert document_text([], KNOWN) == "{}\n"
