"""Chat, mail and issues on loopback, and what makes the console tell them: channels, a policy and GitHub's way back.

Everything is named "demo: …", made through the REST API, used again by the next run, off between runs.
"""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from demo.door import Console, Refusal
from demo.lookalikes import GitHubServer, SlackServer, SmtpServer
from demo.lookalikes.github import TOKEN as GITHUB_TOKEN
from demo.lookalikes.slack import TOKEN as SLACK_TOKEN

PREFIX = "demo: "
REPO, ROOM = "aivillage/demo", "alerts"
FROM, TEAM, ON_CALL = "console@demo.example", "security@demo.example", "on-call@demo.example"
SECOND_STEP_SECONDS = 25
# By policy only: nobody's alert carries this label, so alerts that are not the demo's never come here.
NOBODY = [{"receivers": "demo policy only"}]
SEVERITIES = ["critical", "high", "medium"]
TRIGGERS = [
    {"component": "security", "severity": SEVERITIES},
    {"component": "agent_forge", "severity": SEVERITIES},
]


@dataclass(slots=True)
class Receivers:
    """The three look-alikes."""

    slack: SlackServer
    mail: SmtpServer
    github: GitHubServer

    def counts(self) -> dict[str, int]:
        """Return what has arrived."""
        return {
            "chat messages": len(self.slack.posts), "mails": len(self.mail.received),
            "issues": len(self.github.issues), "issue comments": self._comments(),
        }  # fmt: skip

    def _comments(self) -> int:
        return sum(len(issue.comments) for issue in self.github.issues.values())


@contextlib.contextmanager
def listening(ports: tuple[int, int, int]) -> Iterator[Receivers]:
    """Let all three listen on their ports."""
    made = Receivers(
        SlackServer(channels=[ROOM], port=ports[0], per_second=2.0, burst=20), SmtpServer(port=ports[1]),
        GitHubServer(repos=[REPO], port=ports[2]),
    )  # fmt: skip
    servers: tuple[SlackServer | SmtpServer | GitHubServer, ...] = (made.slack, made.mail, made.github)
    with contextlib.ExitStack() as stack:
        for server, port in zip(servers, ports, strict=True):
            try:
                server.start()
            except OSError as error:
                raise RuntimeError(
                    f"Port {port} of loopback is taken ({error.strerror}); is another demo at work?"
                ) from error
            stack.callback(server.stop)
        yield made


class Wiring:
    """The channels, the policy and the hook in the console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.made: list[tuple[str, str]] = []  # noun and id, in the order they may be deleted backwards

    def set_up(self, receivers: Receivers) -> None:
        """Make what is missing, switch on what is there, and tell GitHub's look-alike where to call."""
        chat = self._channel("chat", "slack", {"api_url": receivers.slack.url, "channel": ROOM}, SLACK_TOKEN)
        mail = self._channel("mail", "email", {
            "smtp_server": receivers.mail.host, "smtp_port": receivers.mail.port, "security": "none", "from": FROM,
            "to_emails": [TEAM],
        })  # fmt: skip
        issues = self._channel(
            "issues", "github", {"api_url": receivers.github.url, "repo": REPO, "labels": ["demo"]}, GITHUB_TOKEN
        )
        self._saved("policies", "security and pipelines", {
            "triggers": TRIGGERS, "enabled": True, "position": 0,
            "steps": [
                {"delay_seconds": 0, "channels": [chat, mail, issues], "recipients": []},
                {"delay_seconds": SECOND_STEP_SECONDS, "channels": [mail, chat], "recipients": [ON_CALL]},
            ],
        })  # fmt: skip
        secret = secrets.token_urlsafe(24)
        hook = self._saved("hooks", "GitHub", {
            "type": "github", "channel": issues, "login": "console-bot", "allowed_users": ["octocat"],
            "enabled": True, "secret": secret,
        })  # fmt: skip
        receivers.github.hook(self._console.url.rstrip("/") + urlsplit(hook["url"]).path, secret)

    def _channel(self, name: str, kind: str, config: dict[str, Any], secret: str = "") -> str:
        body = {"type": kind, "config": config, "filters": NOBODY, "enabled": True}
        return str(self._saved("channels", name, body | ({"secret": secret} if secret else {}))["id"])

    def _saved(self, noun: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        named = {"name": PREFIX + name, **body}
        known = next((row for row in self._console.everything(noun) if row["name"] == named["name"]), None)
        saved: dict[str, Any] = (
            self._console.patch(f"{noun}/{known['id']}", named) if known else self._console.post(noun, named)
        )
        self.made.append((noun, str(saved["id"])))
        return saved

    def switch_off(self) -> None:
        """Leave everything in place and disabled, so that nothing is sent to receivers that are gone."""
        for noun, pk in self.made:
            with contextlib.suppress(Refusal):
                self._console.patch(f"{noun}/{pk}", {"enabled": False})


def remove(console: Console) -> list[str]:
    """Delete whatever of the demo's is there; return what could not be deleted, and why."""
    kept = []
    for noun in ("hooks", "policies", "channels"):
        for row in console.everything(noun):
            if row["name"].startswith(PREFIX):
                try:
                    console.delete(f"{noun}/{row['id']}")
                except Refusal as refusal:
                    kept.append(f"{row['name']} ({refusal})")
    return kept
