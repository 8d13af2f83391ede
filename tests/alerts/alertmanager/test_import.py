"""An Alertmanager configuration becomes channels, policies, inhibitions and mute times."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from alerts.engine import escalation
from alerts.engine.alertmanager import documents
from alerts.engine.alertmanager.carrying import as_written
from alerts.engine.alertmanager.config import load
from alerts.engine.alertmanager.routes import tree
from alerts.engine.alertmanager.times import time_interval
from alerts.engine.episodes import Seen
from alerts.models import Alert, Channel, Inhibition, MuteTime, Notification, Policy
from alerts.pipeline import Observation
from alerts.services import observe

pytestmark = pytest.mark.django_db(transaction=True)
TEXT = """
global:
  smtp_smarthost: 'mail.example.org:587'
  smtp_from: am@example.org
  slack_api_url: 'https://hooks.slack.com/services/T/B/x'
templates: ['*.tmpl']
route:
  receiver: hook
  group_by: [alertname]
  repeat_interval: 3h
  routes:
  - match_re: {team: 'shop|web'}
    receiver: mail
    routes: [{matchers: [severity="warning"], receiver: chat, continue: true}]
  - {matchers: [team="night"], mute_time_intervals: [nights], active_time_intervals: [workdays]}
inhibit_rules:
- {source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [node]}
time_intervals:
- {name: nights, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]}
- {name: workdays, time_intervals: [{weekdays: ['monday:friday'], location: Europe/Berlin}]}
receivers:
- {name: hook, webhook_configs: [{url: 'https://93.184.216.34/hook', max_alerts: 5}]}
- {name: mail, email_configs: [{to: 'a@example.org, b@example.org'}]}
- {name: chat, slack_configs: [{channel: '#x'}], pagerduty_configs: [{routing_key: k}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alertmanager.yml"
    path.write_text(TEXT)
    return path


def test_a_trial_run_says_what_would_come_and_makes_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("alertmanager", "import", str(file), "--dry-run")
    printed = capsys.readouterr().out
    assert "would create channel hook (webhook)" in printed
    assert 'would create policy chat (route 1/1): team=~"shop|web" and severity="warning" -> chat 1' in printed
    for left in (
        "receiver hook: webhook_configs[0]: max_alerts",
        "receiver chat: pagerduty_configs[0]: the console has no pagerduty",
        "route root to hook: group_by", "repeat_interval 3h", "route 1/1 to chat: continue", "templates *.tmpl",
        "email_configs[0]: send_resolved: false",
    ):  # fmt: skip
        assert f"not carried: {left}" in printed or left in printed
    assert not Channel.objects.exists()
    assert not Policy.objects.exists()
    assert not Inhibition.objects.exists()


def test_the_import_routes_as_the_tree_does_and_twice_changes_nothing_more(file: Path) -> None:
    call_command("alertmanager", "import", str(file))
    counts = [model.objects.count() for model in (Channel, Policy, Inhibition, MuteTime)]
    call_command("alertmanager", "import", str(file))
    assert [model.objects.count() for model in (Channel, Policy, Inhibition, MuteTime)] == counts == [3, 4, 1, 2]
    root = tree(load(TEXT).route)
    policies = list(Policy.objects.order_by("position"))
    for labels in (
        {"team": "shop", "severity": "warning"}, {"team": "web", "severity": "x"}, {"team": "night"}, {"a": "b"},
        {"team": "webs"},
    ):  # fmt: skip
        taken = next(policy for policy in policies if escalation.matches(policy.triggers, labels))
        assert taken.name.startswith(root.reached(labels)[0].options.receiver + " (route")


def test_what_is_imported_decides_of_live_alerts(file: Path) -> None:
    call_command("alertmanager", "import", str(file))
    labels = {"team": "shop", "severity": "medium", "severity_original": "warning"}
    observe(
        Observation(name="A", labels=labels, seen=Seen.FIRING, severity="medium"),
        now=datetime(2026, 11, 21, 12, tzinfo=UTC),
    )
    assert Notification.objects.get(alert=Alert.objects.get()).channel_name == "chat 1"
    assert MuteTime.objects.get(name="nights").policies.get().name == "hook (route 2)"
    assert MuteTime.objects.get(tells_inside=True).name == "only workdays"


def test_a_bad_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "bad.yml"
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("alertmanager", "import", str(path))
    path.write_text("route: {receiver: x}")
    with pytest.raises(CommandError, match='undefined receiver "x" used in route'):
        call_command("alertmanager", "import", str(path))


def test_a_matcher_that_means_nothing_fits_nothing() -> None:
    assert not escalation.matches([{"matchers": ["a=~["]}], {"a": "["})
    assert escalation.matches([{"matchers": ["a=1", "b!=2"], "c": "x"}], {"a": "1", "c": "X"})


def test_an_interval_is_written_as_it_was_read() -> None:
    text = (
        "{times: [{start_time: '08:05', end_time: '24:00'}], weekdays: ['monday:friday', sunday],"
        " days_of_month: ['-1'], months: ['january:march', may], years: ['2020:2021'], location: Europe/Berlin}"
    )
    interval = documents.read(text, time_interval)
    assert documents.read(str(as_written(interval)), time_interval) == interval
