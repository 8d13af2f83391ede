"""The look-alikes of a chaos run: what each is configured with, what it took, and what it took twice."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from demo.lookalikes import GitHubServer, SlackServer, SmtpServer
from demo.lookalikes.github import TOKEN as GITHUB_TOKEN
from demo.lookalikes.slack import TOKEN as SLACK_TOKEN

# Of every hundred calls so many fail, are left hanging, and are carried out without an answer.
TROUBLE = {"fail": 0.03, "hang": 0.01, "cut": 0.02}
IDENTITY = re.compile(r"\bid\W{1,8}(a\d{5})\b")
MARK = re.compile(r"<!-- aivillage-console:(\w+) -->\s*$")


@dataclass(frozen=True, slots=True)
class Told:
    """One thing a person would see: when, what it is called, and the alert it speaks of."""

    at: float
    key: str
    alert: str


@dataclass(frozen=True, slots=True)
class Teller:
    """One receiver: the channel that points at it, and how to read what it took."""

    name: str
    channel: dict[str, Any]
    told: Callable[[], list[Told]]
    violations: Callable[[], int]


def _identity(text: str) -> str:
    found = IDENTITY.search(text.replace("\\u003d", "=").replace('\\"', '"'))
    return found[1] if found else ""


def _slack(server: SlackServer) -> Teller:
    def told() -> list[Told]:
        return [
            Told(each.at, str(each.shown["metadata"]["event_payload"].get("alert")), _identity(each.words))
            for each in list(server.posts)
        ]

    config = {"channel": "C0ALERTS", "api_url": f"{server.url}/api"}
    return Teller("slack", {"type": "slack", "config": config, "secret": SLACK_TOKEN}, told, lambda: server.violations)


def _mail(server: SmtpServer) -> Teller:
    def told() -> list[Told]:
        found = []
        for mail in list(server.received):
            body = mail.message.get_body(("plain",))
            found.append(Told(mail.at, mail.message_id, _identity(body.get_content() if body else "")))
        return found

    config = {"smtp_server": server.host, "smtp_port": server.port, "security": "none", "from": "c@example.org",
              "to_emails": ["team@example.org"]}  # fmt: skip
    return Teller("mail", {"type": "email", "config": config, "secret": ""}, told, lambda: server.violations)


def _github(server: GitHubServer) -> Teller:
    opened: dict[int, float] = {}

    def told() -> list[Told]:
        found = []
        for issue in list(server.issues.values()):
            mark = MARK.search(issue.body)
            at = opened.setdefault(issue.number, issue.opened_at)
            found.append(Told(at, mark[1] if mark else str(issue.number), _identity(issue.body)))
        return found

    config = {"repo": "acme/app", "api_url": server.url}
    wanted = {"type": "github", "config": config, "secret": GITHUB_TOKEN}
    return Teller("github", wanted, told, lambda: server.violations)


@contextmanager
def tellers() -> Iterator[list[Teller]]:
    """Run Slack, a mail server and GitHub, each with trouble and with its quota."""
    with ExitStack() as stack:
        slack = stack.enter_context(SlackServer())
        mail = stack.enter_context(SmtpServer(per_minute=60, burst=30))
        github = stack.enter_context(GitHubServer())
        slack.trouble(**TROUBLE)
        mail.trouble(**TROUBLE)
        github.trouble(**TROUBLE)
        yield [_slack(slack), _mail(mail), _github(github)]


def repeated(told: list[Told]) -> tuple[int, int]:
    """Return how often the most repeated key came, and how many things a person saw more than once."""
    keys = Counter(each.key for each in told if each.alert)
    return max(keys.values(), default=0), sum(keys.values()) - len(keys)
