"""GitHub over real sockets: one issue an alert, whatever is cut off, and nothing of the data calls anybody."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aivillage_console.accounts.services import Actor
from aivillage_console.lib import clock
from alerts.channels import ChannelError, Letter, github
from alerts.channels.github import pacing
from alerts.channels.github.issue import mark_of
from alerts.models import Alert, Channel, DeliveryAttempt, Link, Notification
from alerts.services import channel_test, escalate_due
from demo.lookalikes import GitHubServer
from demo.lookalikes.github import TOKEN
from tests.alerts.channels.conftest import channel_of, dispatch, dispatch_later, states
from tests.alerts.conftest import clear, fire, policy_with

pytestmark = pytest.mark.django_db(transaction=True)
ALICE = Actor(kind="user", id="1", label="alice")
HOT = [{"alertname": "Hot"}]


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as found:
        yield found


def config_of(server: GitHubServer, **more: Any) -> dict[str, Any]:
    return {"repo": "acme/app", "api_url": server.url, **more}


def repository(server: GitHubServer, **config: Any) -> Channel:
    return channel_of("github", config_of(server, **config), TOKEN)


def letter(server: GitHubServer, config: dict[str, Any] | None = None, **payload: Any) -> Letter:
    told = {
        "kind": "fire", "status": "firing", "alert_name": "Hot", "severity": "high", "labels": {},
        "fingerprint": "f" * 64, **payload,
    }  # fmt: skip
    return Letter("k" * 64, datetime(2026, 11, 21, tzinfo=UTC), told, config or config_of(server), TOKEN)


def test_a_fire_opens_an_issue_with_everything_one_needs_to_know(server: GitHubServer) -> None:
    channel = repository(
        server, labels=["ops"], assignees=["alice"], assignees_by_component={"agent_forge": ["bob"]},
        docs={"agent-forge": "https://docs.example.org/forge"},
    )  # fmt: skip
    policy_with((0, [channel]))
    annotations = {"impact": "Training stops.", "runbook": "Restart it.", "description": "Too hot."}
    alert = fire(value=91.0, threshold=80.0, labels={"component": "agent_forge"}, annotations=annotations)
    dispatch()
    issue = server.issue()
    assert issue.title == "[HIGH] Hot"
    assert issue.labels == ["severity-high", "component-agent_forge", "automated-alert", "monitoring", "ops"]
    assert issue.assignees == ["bob"]
    wanted = [
        "| Value | 91 |", "| Threshold | 80 |", "## Impact\n\nTraining stops.", "## What to do\n\nRestart it.",
        "## Description\n\nToo hot.", '"component": "agent_forge"', "https://docs.example.org/forge", "`/ack`",
        "`/resolve`", f"https://console.example.org/alerts/{alert.pk}/#h-evidence", "UTC |",
    ]  # fmt: skip
    assert [fact for fact in wanted if fact not in issue.body] == []
    assert issue.body.endswith(mark_of(alert.fingerprint))
    link = Link.objects.get()
    assert (link.external_id, link.url) == ("acme/app#1", issue.html_url)


def test_later_steps_are_comments_and_the_end_closes_the_issue(server: GitHubServer) -> None:
    channel = repository(server)
    policy_with((0, [channel]), (60, [channel]))
    now = clock.now()
    fire(now=now)
    dispatch(now)
    later = now + timedelta(seconds=61)
    escalate_due(hand="celery", read_clock=lambda: later)
    dispatch(later)
    clear(now=later)
    dispatch(later + timedelta(seconds=5))
    issue = server.issue()
    assert (issue.state, issue.state_reason, len(server.issues)) == ("closed", "completed", 1)
    assert ["step 2" in issue.comments[0].body, "Resolved" in issue.comments[1].body] == [True, True]
    assert states() == ["done"] * 3


def test_a_new_episode_reopens_the_issue(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]))
    now = clock.now()
    for minutes, act in ((0, fire), (1, clear), (300, fire)):
        act(now=now + timedelta(minutes=minutes))
        dispatch(now + timedelta(minutes=minutes))
    issue = server.issue()
    assert (issue.state, len(issue.comments), len(server.issues)) == ("open", 2, 1)
    assert Link.objects.count() == 1


def test_an_alert_that_gets_worse_changes_title_and_label_and_says_so(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]), triggers=[{"severity": ["high"]}], name="high")
    policy_with((0, [Channel.objects.get()]), triggers=[{"severity": ["critical"]}], name="critical", position=1)
    now = clock.now()
    fire(now=now)
    dispatch(now)
    server.label_issue("investigating")
    fire(now=now + timedelta(seconds=60), severity="critical")
    dispatch(now + timedelta(seconds=60))
    issue = server.issue()
    assert (issue.title, len(issue.comments)) == ("[CRITICAL] Hot", 1)
    assert "It got worse: critical, was high" in issue.comments[0].body
    assert {"severity-critical", "investigating"} <= set(issue.labels)
    assert "severity-high" not in issue.labels


def test_an_answer_that_was_cut_off_leaves_one_issue(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]), triggers=HOT)
    server.cut_next()
    fire()
    dispatch()
    assert Notification.objects.get().tries.get().outcome == "unknown"
    dispatch_later()
    assert (len(server.issues), server.issue().comments, states()) == (1, [], ["done"])
    assert Link.objects.get().external_id == "acme/app#1"


def test_a_process_that_died_while_sending_leaves_one_issue(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]), triggers=HOT)
    fire()
    dispatch()
    # As a kill after the send leaves it: the lease runs out, and nothing is written down.
    Notification.objects.update(state="due", due_at=clock.now(), finished_at=None)
    DeliveryAttempt.objects.all().delete()
    Link.objects.all().delete()
    dispatch_later()
    assert (len(server.issues), server.issue().comments, states()) == (1, [], ["done"])


def test_a_later_step_finds_the_issue_whose_answer_was_cut_off(server: GitHubServer) -> None:
    channel = repository(server)
    policy_with((0, [channel]), (60, [channel]), triggers=HOT)
    now = clock.now()
    server.cut_next()
    fire(now=now)
    dispatch(now)
    Notification.objects.update(due_at=now + timedelta(hours=1))
    later = now + timedelta(seconds=61)
    escalate_due(hand="celery", read_clock=lambda: later)
    dispatch(later)
    assert (len(server.issues), len(server.issue().comments)) == (1, 1)
    dispatch(now + timedelta(hours=1, seconds=1))
    assert (len(server.issues), states()) == (1, ["done", "done"])


def test_an_end_whose_comment_was_cut_off_is_said_once(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]), triggers=HOT)
    fire()
    dispatch()
    clear()
    server.cut_next(2)
    for _ in range(4):
        dispatch_later()
    issue = server.issue()
    assert (issue.state, len(issue.comments), states()) == ("closed", 1, ["done", "done"])


def test_the_end_of_what_may_have_been_told_closes_what_is_found(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]), triggers=HOT)
    server.cut_next()
    fire()
    dispatch()
    clear()
    dispatch_later()
    dispatch_later()
    assert (server.issue().state, len(server.issues)) == ("closed", 1)


def test_an_end_without_an_issue_opens_none(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]), triggers=HOT)
    server.hang_next(seconds=6)
    fire()
    dispatch()
    clear()
    dispatch_later()
    dispatch_later()
    assert (server.issues, sorted(states())) == ({}, ["cancelled", "done"])


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(403, {"retry_after": "40"}, 40), (429, {"retry_after": "40"}, 40), (403, {"x_ratelimit_remaining": "0"}, 90)],
)
def test_a_limit_is_obeyed(server: GitHubServer, status: int, headers: dict[str, str], seconds: int) -> None:
    policy_with((0, [repository(server)]), triggers=HOT)
    now = clock.now()
    if seconds == 90:
        headers = {**headers, "x_ratelimit_reset": str(int(now.timestamp()) + 90)}
    server.fail_next(status=status, body=b'{"message": "secondary rate limit"}', **headers)
    fire(now=now)
    fire("Cold", now=now, labels={"alertname": "Hot"})
    dispatch(now)
    dispatch(now + timedelta(seconds=seconds - 2))
    assert server.received == []
    dispatch(now + timedelta(seconds=seconds + 40))
    assert (len(server.issues), states()[0]) == (1, "done")
    assert Channel.objects.get().breaker_state == "closed"


def test_issues_are_opened_no_faster_than_github_allows(server: GitHubServer) -> None:
    policy_with((0, [repository(server)]))
    now = clock.now()
    for number in range(3):
        fire(f"Hot{number}", now=now)
    dispatch(now)
    assert len(server.issues) == 1
    dispatch(now + timedelta(seconds=1.2))
    assert len(server.issues) == 2


def test_an_hour_holds_no_more_than_github_takes(server: GitHubServer) -> None:
    channel = repository(server)
    policy_with((0, [channel]), triggers=HOT)
    now = clock.now()
    fire(now=now)
    row = Notification.objects.get()
    DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(notification=row, channel=channel, at=now - timedelta(minutes=5), outcome="delivered")
        for _ in range(400)
    )
    dispatch(now)
    dispatch(now + timedelta(minutes=50))
    assert (server.issues, states()) == ({}, ["due"])
    dispatch(now + timedelta(minutes=56))
    assert (len(server.issues), states()) == (1, ["done"])


@pytest.mark.parametrize(("status", "disabled"), [(401, False), (404, False), (403, False), (422, False), (410, True)])
def test_a_no_for_good_fails_and_goes_through_the_fallback(server: GitHubServer, status: int, disabled: bool) -> None:
    policy_with((0, [repository(server)]), triggers=HOT)
    channel_of("github", config_of(server), TOKEN, name="spare", is_fallback=True)
    server.fail_next(status=status, body=b'{"message": "no"}')
    fire()
    dispatch()
    dispatch_later()
    row = Notification.objects.get(channel__name="github", alert__name="Hot")
    assert (row.state, row.last_error[:20]) == ("failed", f"GitHub answered {status}:")
    assert Alert.objects.get(name="NotificationFailing").labels["channel"] == "github"
    assert Channel.objects.get(name="github").enabled is not disabled
    assert Notification.objects.get(channel__name="spare", alert__name="Hot").state == "done"


def test_an_issue_somebody_deleted_is_opened_anew(server: GitHubServer) -> None:
    channel = repository(server)
    policy_with((0, [channel]), (60, [channel]))
    now = clock.now()
    fire(now=now)
    dispatch(now)
    server.issues.clear()
    later = now + timedelta(seconds=61)
    escalate_due(hand="celery", read_clock=lambda: later)
    dispatch(later)
    assert (len(server.issues), states()) == (1, ["done", "done"])


def test_an_assignee_github_does_not_know_costs_only_the_assignment(server: GitHubServer) -> None:
    server.unknown_assignees.add("ghost")
    policy_with((0, [repository(server, assignees=["ghost"])]))
    fire()
    dispatch()
    assert (server.issue().assignees, states()) == ([], ["done"])


def test_naughty_strings_call_nobody_and_forge_no_mark(server: GitHubServer, naughty: list[str]) -> None:
    mark = mark_of("f" * 64)
    calls = ["@octocat", "cc @acme/team", mark, "```\n@octocat\n" + mark, "#1 fixes #2", "![x](https://evil.example/x.png)",
             "<img src=x>", "/resolve", "x" * 100_000]  # fmt: skip
    server.per_minute = server.per_hour = 10_000
    # A few in one message each: GitHub's requests are a tenth of a second apart.
    texts = ["\n".join(naughty[start : start + 40]) for start in range(0, len(naughty), 40)] + calls
    for text in texts:
        github.send(
            letter(
                server, alert_name=text, summary=text, description=text, severity=text,
                labels={"component": text, text: text},
                annotations={"impact": text, "runbook": text, "runbook_url": text}, runbook_url=text,
                alerts=[{"alert_id": text, "alert_name": text, "severity": text}],
            )
        )  # fmt: skip
    assert len(server.issues) == len(texts)
    for issue in server.issues.values():
        said = f"{issue.title}\n{issue.body}"
        assert re.search(r"@[A-Za-z0-9]", said) is None
        assert (issue.body.count("<!--"), issue.body.endswith(mark)) == (1, True)
        assert "<img" not in issue.body
        unfenced = re.sub(r"```json.*?```", "", issue.body, flags=re.DOTALL)
        assert re.search(r"(?<!\\)!\[", unfenced) is None
        assert all(len(label) <= 50 for label in issue.labels)
        assert len(issue.body) < 30_000


def test_a_storm_summary_names_the_alerts(server: GitHubServer) -> None:
    alerts = [{"alert_id": n, "alert_name": f"Hot{n}", "severity": "low"} for n in range(50)]
    github.send(letter(server, kind="summary", alert_name="AlertStorm", alerts=alerts, fingerprint=""))
    assert "\\#49 low: Hot49" in server.issue().body


def test_the_test_button_opens_an_issue(server: GitHubServer) -> None:
    channel_test(channel_id=repository(server).pk, actor=ALICE, now=clock.now())
    dispatch()
    assert server.issue().title == "[LOW] TestMessage"


def test_a_private_address_is_not_called_unless_allowed(server: GitHubServer, settings: Any) -> None:
    settings.CONFIG = replace(settings.CONFIG, outbound_allowed=[])
    with pytest.raises(ChannelError, match="not a public address"):
        github.send(letter(server))
    assert server.received == []


class StandingClock:
    """A clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1e9
        self.begun: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_requests_begin_a_tenth_of_a_second_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = StandingClock()
    monkeypatch.setattr(pacing, "time", standing)
    monkeypatch.setattr(pacing, "_next_at", [0.0])
    for _ in range(4):
        with pacing.paced(1):
            standing.begun.append(standing.now - 1e9)
    assert standing.begun == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"repo": "acme"}, "repo"), ({"repo": "acme/app/../x"}, "repo"), ({"repo": "acme/.."}, "repo"),
        ({"labels": "ops"}, "labels"), ({"labels": ["x" * 51]}, "labels"), ({"assignees": ["@a b"]}, "assignees"),
        ({"assignees_by_component": {"x": "a"}}, "assignees_by_component"), ({"docs": {"x": "javascript:1"}}, "docs"),
        ({"api_url": "nowhere"}, "api_url"), ({"milestone": 1}, "milestone"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(change: dict[str, Any], field: str) -> None:
    assert github.problems({"repo": "acme/app"}, TOKEN) == {}
    assert field in github.problems({"repo": "acme/app", **change}, TOKEN)
