"""Loopback receivers that speak the protocols of Slack, SMTP and GitHub, with their errors and their quotas."""

from demo.lookalikes.github import GitHubServer
from demo.lookalikes.slack import SlackServer
from demo.lookalikes.smtp import SmtpServer

__all__ = ["GitHubServer", "SlackServer", "SmtpServer"]
