"""The story, over real processes: an attack, a finding, an alert, people told by three receivers, GitHub closes it.

The console runs as `make run` starts it; Slack, SMTP and GitHub are look-alikes on loopback that speak the protocols,
hold to the documented errors and quotas, and remember what came.
"""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import httpx
import psycopg
import pytest

from bench.harness import Console, running_console
from bench.roles import environment, furnish
from demo.lookalikes.github import GitHubServer
from demo.lookalikes.slack import SlackServer
from demo.lookalikes.smtp import SmtpServer
from tests.scenarios.test_thread import until

pytestmark = pytest.mark.timeout(240)

ATTACKER = "203.0.113.100"
TRIES = 15
SECOND_STEP_SECONDS = 6
HOOK_SECRET = secrets.token_urlsafe(24)


@dataclass
class Story:
    """A running console and its three receivers."""

    console: Console
    slack: SlackServer
    smtp: SmtpServer
    github: GitHubServer
    made: dict[str, Any]
    environment: dict[str, str]

    def rows(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Return rows of the console's own database."""
        with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
            return connection.execute(question, values).fetchall()

    def mails(self) -> list[EmailMessage]:
        """Return the mails that came, oldest first."""
        return [mail.message for mail in list(self.smtp.received)]

    def page(self, path: str) -> str:
        """Return a page as a signed-in person gets it."""
        reply = httpx.get(f"{self.console.url}{path}", cookies=self.made["cookies"], timeout=15.0)
        assert reply.status_code == httpx.codes.OK, reply.text[:500]
        return reply.text

    def attack(self) -> list[int]:
        """Try passwords as a bot does, and let the service under attack tell the console of each try."""
        headers = {"Authorization": f"Bearer {self.made['token']}"}
        details = {"endpoint": "/api/login", "user_agent": "BruteForceBot/1.0", "reason": "bad_password"}
        event = {"event_type": "auth_failure", "user_id": "admin", "source_ip": ATTACKER, "details": details}
        statuses = []
        with httpx.Client(base_url=self.console.url, headers=headers, timeout=10.0) as http:
            for number in range(TRIES):
                body = {"batch_id": f"attack-{number}", "rows": [{**event, "event_id": f"try-{number}"}]}
                statuses.append(http.post("/api/v1/ingest/security-events", json=body).status_code)
                time.sleep(0.1)
        return statuses


def channels(slack: SlackServer, smtp: SmtpServer, github: GitHubServer) -> list[dict[str, Any]]:
    """Return the channels that speak to the three receivers; mail twice, for the person on call has another address."""
    mail = {"smtp_server": smtp.host, "smtp_port": smtp.port, "security": "none", "from": "console@example.org"}
    rows = [
        {"name": "chat", "type": "slack", "secret": slack.token, "config": {"channel": "alerts", "api_url": slack.url}},
        {"name": "mail", "type": "email", "secret": "", "config": {**mail, "to_emails": ["team@example.org"]}},
        {"name": "on-call", "type": "email", "secret": "", "config": {**mail, "to_emails": ["oncall@example.org"]}},
        {
            "name": "tracker", "type": "github", "secret": github.token,
            "config": {"repo": "acme/app", "api_url": github.url},
        },
    ]  # fmt: skip
    # This machine is busy with the test: what its own rules say of that is not for these receivers.
    return [{**row, "filters": [{"component": ["security"]}]} for row in rows]


POLICY = {
    "name": "attack",
    "triggers": [{"component": ["security"]}],
    "steps": [
        {"delay_seconds": 0, "channels": ["chat", "mail", "tracker"]},
        {"delay_seconds": SECOND_STEP_SECONDS, "channels": ["chat", "on-call"]},
    ],
}


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    """Start everything once for the tests of this file."""
    allowed = {"OUTBOUND_ALLOWED": "127.0.0.0/8:*"}
    with SlackServer() as slack, SmtpServer() as smtp, GitHubServer() as github, running_console(allowed) as console:
        env = environment(console)
        hook = {"name": "tracker", "channel": "tracker", "secret": HOOK_SECRET, "login": "aivillage-bot"}
        made = furnish(env, {
            "scopes": ["ingest:security"], "session": True, "channels": channels(slack, smtp, github),
            "policies": [POLICY], "hooks": [hook],
        })  # fmt: skip
        github.hook(f"{console.url}{made['hooks']['tracker']}", HOOK_SECRET)
        yield Story(console, slack, smtp, github, made, env)


def nobody_was_told_twice_and_no_quota_was_broken(story: Story) -> None:
    """Compare what the console sent with what the receivers hold."""
    tries = story.rows(
        "SELECT n.key, count(*) FROM alerts_deliveryattempt a JOIN alerts_notification n ON n.id = a.notification_id "
        "WHERE a.outcome = 'delivered' GROUP BY n.key HAVING count(*) > 1"
    )
    assert tries == []
    assert (story.slack.violations, story.smtp.violations, story.github.violations) == (0, 0, 0)
    ids = [mail["Message-ID"] for mail in story.mails()]
    assert len(ids) == len(set(ids))
    assert all(mail["References"] for mail in story.mails()[2:])


def a_replayed_or_forged_hook_changes_nothing(story: Story) -> None:
    """Send what an attacker or a nervous GitHub would."""
    (issue,) = story.github.issues.values()
    before = story.rows("SELECT count(*) FROM alerts_alertevent")
    payload = story.github.event(issue, "reopened", "octocat")
    status, _ = story.github.deliver("issues", payload, signature="sha256=" + "0" * 64)
    assert status == httpx.codes.UNAUTHORIZED
    once, _ = story.github.deliver("issues", story.github.event(issue, "closed", "octocat"), delivery_id="again")
    twice, _ = story.github.deliver("issues", story.github.event(issue, "closed", "octocat"), delivery_id="again")
    assert twice == httpx.codes.OK
    assert once in (httpx.codes.OK, httpx.codes.ACCEPTED)
    waiting = "SELECT count(*) FROM alerts_webhookin WHERE state = 'due'"
    until(lambda: story.rows(waiting) == [(0,)], "all hooks dealt with")
    assert story.rows("SELECT count(*) FROM alerts_alertevent") == before, json.dumps(before)


def test_an_attack_is_told_once_by_each_receiver_escalated_and_ended_by_github(story: Story) -> None:
    assert set(story.attack()) == {200}
    finding = "SELECT count(*) FROM security_finding WHERE band = 'critical' AND source_ip = %s"
    until(lambda: story.rows(finding, ATTACKER)[0][0], "a critical finding")
    found = "SELECT id FROM alerts_alert WHERE name = 'security_threat_detected' AND state = 'firing'"
    [(number,)] = until(lambda: story.rows(found), "the alert")

    until(lambda: story.slack.posts and story.smtp.received and story.github.issues, "the first messages")
    until(lambda: len(story.mails()) > 1, "the second step", seconds=SECOND_STEP_SECONDS + 20)
    (post,) = story.slack.posts
    first, second = story.mails()
    (issue,) = story.github.issues.values()
    assert (first["To"], second["To"]) == ("team@example.org", "oncall@example.org")
    assert first["Subject"] == "[CRITICAL] security_threat_detected" or first["Subject"].startswith("[HIGH]")
    assert ATTACKER in post.words
    assert f"/alerts/{number}/" in post.words
    assert "security_threat_detected" in issue.title
    until(lambda: story.slack.replies(post), "the second step in the thread of the first")

    assert story.github.close_issue(issue.number, by="octocat")[0] == httpx.codes.ACCEPTED
    until(lambda: story.rows("SELECT 1 FROM alerts_alert WHERE id = %s AND state = 'resolved'", number), "the end")
    until(lambda: len(story.mails()) == 4, "the end by mail")
    until(lambda: "resolved" in post.words.lower(), "the end in Slack's message itself")
    assert issue.state == "closed"
    assert len(story.slack.posts) == 1, "one message an alert, kept up to date"

    kinds = story.rows("SELECT kind, actor FROM alerts_alertevent WHERE alert_id = %s ORDER BY id", number)
    assert kinds[0] == ("started", "console")
    assert ("resolved", "octocat (GitHub)") in kinds
    # What was sent last may be heard before its row says so.
    owed = "SELECT 1 FROM alerts_notification WHERE alert_id = %s AND state NOT IN ('done', 'cancelled')"
    until(lambda: not story.rows(owed, number), "nothing left to send")
    told = story.page(f"/alerts/{number}/")
    for text in (ATTACKER, "failed tries", "chat", "mail", "on-call", "tracker", "octocat"):
        assert text in told
    assert ATTACKER in story.page("/security/")
    nobody_was_told_twice_and_no_quota_was_broken(story)
    a_replayed_or_forged_hook_changes_nothing(story)
