"""The look-alikes say what the real ones document: yes, no and not so fast."""

import hashlib
import hmac
import json
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.lookalikes import GitHubServer, SlackServer, SmtpServer
from demo.lookalikes.github import TOKEN as GITHUB_TOKEN
from demo.lookalikes.slack import TOKEN as SLACK_TOKEN
from tests.certificates import signed

GITHUB = {"Authorization": f"Bearer {GITHUB_TOKEN}"}
MAIL = "Subject: hi\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n"


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer(users={"console": "secret"}) as server:
        yield server


def said(slack: SlackServer, method: str, token: str = SLACK_TOKEN, **arguments: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    found: dict[str, Any] = httpx.post(f"{slack.url}/api/{method}", json=arguments, headers=headers).json()
    return found


def test_slack_posts_updates_and_threads(slack: SlackServer) -> None:
    posted = said(slack, "chat.postMessage", channel="#alerts", text="one")
    assert said(slack, "chat.update", channel=posted["channel"], ts=posted["ts"], text="two")["ok"]
    assert said(slack, "chat.postMessage", channel="alerts", text="reply", thread_ts=posted["ts"])["ok"]
    (message,) = slack.posts
    assert (message.text, len(message.edits)) == ("two", 1)
    assert [each.text for each in slack.replies(message)] == ["reply"]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("chat.postMessage", {"channel": "#alerts", "text": "x", "token": "wrong"}, "invalid_auth"),
        ("chat.postMessage", {"channel": "#nobody", "text": "x"}, "channel_not_found"),
        ("chat.update", {"channel": "#alerts", "ts": "1.0", "text": "x"}, "channel_not_found"),
        ("chat.update", {"channel": "C0ALERTS", "ts": "1.0", "text": "x"}, "message_not_found"),
        ("chat.postMessage", {"channel": "#alerts"}, "no_text"),
        ("chat.postMessage", {"channel": "#alerts", "text": "x" * 40_001}, "msg_too_long"),
        ("chat.postMessage", {"channel": "#alerts", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ("chat.postMessage", {"channel": "#alerts", "blocks": [{"type": "poem"}]}, "invalid_blocks"),
        ("chat.nothing", {}, "unknown_method"),
    ],
)
def test_slack_says_no_with_status_200(slack: SlackServer, method: str, arguments: Any, error: str) -> None:
    token = arguments.pop("token", SLACK_TOKEN)
    assert said(slack, method, token, **arguments) == {"ok": False, "error": error}


def test_slack_holds_the_limits_of_blocks(slack: SlackServer) -> None:
    def section(length: int) -> dict[str, Any]:
        return {"type": "section", "text": {"type": "mrkdwn", "text": "x" * length}}

    assert said(slack, "chat.postMessage", channel="#alerts", blocks=[section(3000)])["ok"]
    assert said(slack, "chat.postMessage", channel="#alerts", blocks=[section(3001)])["error"] == "invalid_blocks"
    many = said(slack, "chat.postMessage", channel="#alerts", blocks=[section(2900)] * 5)
    assert many["error"] == "msg_blocks_too_long"


def test_slack_slows_down_a_channel_that_is_told_too_much(slack: SlackServer) -> None:
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    answers = [
        httpx.post(f"{slack.url}/api/chat.postMessage", json={"channel": "alerts", "text": "x"}, headers=headers)
        for _ in range(6)
    ]
    assert answers[0].json()["ok"]
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert slack.violations >= 1


def test_slack_takes_incoming_webhooks(slack: SlackServer) -> None:
    assert httpx.post(slack.webhook_url, json={"text": "hello"}).text == "ok"
    assert httpx.post(slack.webhook_url, content=b"{").text == "invalid_payload"
    assert httpx.post(f"{slack.url}/services/T/B/other", json={"text": "x"}).status_code == 404
    assert [message.text for message in slack.posts] == ["hello"]


def test_slack_lists_what_was_said_to_those_who_may_read(slack: SlackServer) -> None:
    said(slack, "chat.postMessage", channel="#alerts", text="x", metadata={"event_type": "e", "event_payload": {}})
    found = said(slack, "conversations.history", channel="C0ALERTS")
    assert found["messages"][0]["metadata"]["event_type"] == "e"
    slack.history_scope = False
    assert said(slack, "conversations.history", channel="C0ALERTS")["error"] == "missing_scope"


def test_a_cut_answer_leaves_the_work_done(slack: SlackServer) -> None:
    slack.cut_next()
    with pytest.raises(httpx.HTTPError):
        said(slack, "chat.postMessage", channel="#alerts", text="once")
    assert [message.text for message in slack.posts] == ["once"]


def test_ordered_failures_come_in_order_and_do_nothing(slack: SlackServer) -> None:
    slack.fail_next(status=503, Retry_After="2")
    slack.hang_next(seconds=0.01)
    headers = {"Authorization": f"Bearer {SLACK_TOKEN}"}
    first = httpx.post(f"{slack.url}/api/auth.test", headers=headers)
    assert (first.status_code, first.headers["retry-after"]) == (503, "2")
    with pytest.raises(httpx.HTTPError):
        httpx.post(f"{slack.url}/api/auth.test", headers=headers)
    assert said(slack, "auth.test")["ok"]
    assert len(slack.received) == 1


def opened(github: GitHubServer, **fields: Any) -> httpx.Response:
    return httpx.post(
        f"{github.url}/repos/acme/app/issues", headers=GITHUB, json={"title": "t", "labels": ["a"], **fields}
    )


def test_github_opens_comments_and_closes(github: GitHubServer) -> None:
    issue = opened(github, body="b", assignees=["octo"]).json()
    assert (issue["number"], issue["html_url"]) == (1, f"{github.url}/acme/app/issues/1")
    path = f"{github.url}/repos/acme/app/issues/1"
    assert httpx.post(f"{path}/comments", headers=GITHUB, json={"body": "c"}).status_code == 201
    closed = httpx.patch(path, headers=GITHUB, json={"state": "closed", "state_reason": "completed"})
    assert closed.json()["state"] == "closed"
    assert httpx.post(f"{path}/labels", headers=GITHUB, json={"labels": ["z"]}).json()[-1] == {"name": "z"}
    assert [each.body for each in github.issue().comments] == ["c"]


def test_github_lists_by_label_state_and_time_and_knows_what_has_not_changed(github: GitHubServer) -> None:
    for label in ("a", "b", "a"):
        opened(github, labels=[label])
    path = f"{github.url}/repos/acme/app/issues"
    listed = httpx.get(path, headers=GITHUB, params={"labels": "a", "state": "all", "per_page": "1"})
    assert [issue["number"] for issue in listed.json()] == [3]
    assert 'rel="next"' in listed.headers["link"]
    again = httpx.get(
        path, headers={**GITHUB, "If-None-Match": listed.headers["etag"]},
        params={"labels": "a", "state": "all", "per_page": "1"},
    )  # fmt: skip
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(path, headers=GITHUB, params={"since": "2999-01-01T00:00:00Z"}).json() == []


def test_github_says_no(github: GitHubServer) -> None:
    path = f"{github.url}/repos/acme/app/issues"
    assert httpx.post(path, headers={"Authorization": "Bearer x"}, json={"title": "t"}).status_code == 401
    assert httpx.post(f"{github.url}/repos/acme/none/issues", headers=GITHUB, json={"title": "t"}).status_code == 404
    assert opened(github, title="").status_code == 422
    assert opened(github, labels=["x" * 51]).status_code == 422
    assert httpx.post(path, headers=GITHUB, content=b"{").status_code == 400
    github.read_only.add("acme/app")
    assert opened(github).status_code == 403
    github.read_only.clear()
    github.issues_disabled.add("acme/app")
    assert opened(github).status_code == 410


def test_github_holds_its_quotas() -> None:
    with GitHubServer(per_minute=2, per_hour=3) as github:
        assert [opened(github).status_code for _ in range(3)] == [201, 201, 403]
        late = opened(github)
        assert 1 <= int(late.headers["retry-after"]) <= 61
        assert "secondary rate limit" in late.json()["message"]
        github.created = type(github.created)(at - 61 for at in github.created)
        assert [opened(github).status_code for _ in range(2)] == [201, 403]
        assert github.violations == 3
    with GitHubServer(primary_per_hour=1) as github:
        opened(github)
        refused = opened(github)
        assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (403, "0")
        assert int(refused.headers["x-ratelimit-reset"]) > time.time()


class _Hook(BaseHTTPRequestHandler):
    got: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Stay silent."""


@pytest.fixture
def hooked() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    _Hook.got = []
    server = HTTPServer(("127.0.0.1", 0), _Hook)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hooks/github/1/", _Hook.got
    server.shutdown()
    server.server_close()


def test_github_delivers_what_people_do_signed(github: GitHubServer, hooked: Any) -> None:
    url, got = hooked
    opened(github)
    github.hook(url, "s" * 32)
    github.close_issue()
    github.reopen_issue()
    github.label_issue("investigating")
    answer = github.comment_on("/resolve")
    assert answer is not None
    assert answer[0] == 202
    events = [(headers["x-github-event"], json.loads(body)["action"]) for headers, body in got]
    assert events == [("issues", "closed"), ("issues", "reopened"), ("issues", "labeled"), ("issue_comment", "created")]
    for headers, body in got:
        digest = hmac.new(b"s" * 32, body, hashlib.sha256).hexdigest()
        assert headers["x-hub-signature-256"] == f"sha256={digest}"
    assert len({headers["x-github-delivery"] for headers, _ in got}) == 4


def sender(smtp: SmtpServer) -> smtplib.SMTP:
    client = smtplib.SMTP(smtp.host, smtp.port, timeout=5)
    client.login("console", "secret")
    return client


def test_a_mail_is_kept_as_it_came(smtp: SmtpServer) -> None:
    with sender(smtp) as client:
        client.sendmail("a@example.org", ["b@example.org", "c@example.org"], MAIL + ".dot\r\n")
    (mail,) = smtp.received
    assert (mail.sender, mail.recipients) == ("a@example.org", ("b@example.org", "c@example.org"))
    assert (mail.message["Subject"], mail.message_id, mail.user) == ("hi", "<1@example.org>", "console")
    assert mail.raw.endswith(b".dot\r\n")


def test_a_mail_server_says_no(smtp: SmtpServer) -> None:
    with smtplib.SMTP(smtp.host, smtp.port, timeout=5) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("console", "wrong")
    with smtplib.SMTP(smtp.host, smtp.port, timeout=5) as client, pytest.raises(smtplib.SMTPSenderRefused):
        client.sendmail("a@example.org", ["b@example.org"], MAIL)
    smtp.refuse(["b@example.org"])
    smtp.size_bytes = 100
    with sender(smtp) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("a@example.org", ["b@example.org"], MAIL)
        with pytest.raises(smtplib.SMTPSenderRefused) as refusal:
            client.sendmail("a@example.org", ["c@example.org"], MAIL + "x" * 200)
        assert refusal.value.smtp_code == 552
    assert smtp.received == []


def test_a_mail_server_fails_when_told_and_cuts_after_taking(smtp: SmtpServer) -> None:
    smtp.fail_next(answer="451 4.3.0 later")
    with sender(smtp) as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("a@example.org", ["b@example.org"], MAIL)
        assert smtp.received == []
        smtp.cut_next()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.sendmail("a@example.org", ["b@example.org"], MAIL)
    assert len(smtp.received) == 1


def test_a_mail_server_counts_against_a_quota() -> None:
    with SmtpServer(per_minute=1, burst=1) as smtp, smtplib.SMTP(smtp.host, smtp.port, timeout=5) as client:
        client.sendmail("a@example.org", ["b@example.org"], MAIL)
        with pytest.raises(smtplib.SMTPSenderRefused) as refusal:
            client.sendmail("a@example.org", ["b@example.org"], MAIL)
        assert (refusal.value.smtp_code, smtp.violations) == (450, 1)


def test_a_mail_server_talks_tls(tmp_path: Path) -> None:
    authority, leaf = signed(tmp_path, "localhost")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(leaf)
    trust = ssl.create_default_context(cafile=authority)
    with SmtpServer(tls=context) as smtp, smtplib.SMTP("localhost", smtp.port, timeout=5) as client:
        client.starttls(context=trust)
        client.sendmail("a@example.org", ["b@example.org"], MAIL)
        assert smtp.received[0].encrypted
    with (
        SmtpServer(tls=context, implicit_tls=True) as smtp,
        smtplib.SMTP_SSL("localhost", smtp.port, timeout=5, context=trust) as client,
    ):
        client.sendmail("a@example.org", ["b@example.org"], MAIL)
        assert smtp.received[0].encrypted
