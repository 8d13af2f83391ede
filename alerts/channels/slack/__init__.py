"""Slack: a bot that keeps one message an alert up to date, or an incoming webhook that can only add."""

from alerts.channels.slack.form import address, problems
from alerts.channels.slack.send import TOTAL_SECONDS, send
from alerts.engine.bucket import Rate

LABEL = "Slack"
SECRET_LABEL = "Bot token (xoxb-…), or the address of an incoming webhook"  # noqa: S105
CONFIG_HELP = '{"channel": "C0123456789"} with a bot token; {} with an incoming webhook'
KEEPS_LINKS = True
TELLS_UPDATES = True
UPDATES_IN_PLACE = True
RATE = Rate(per_minute=60, burst=2)

__all__ = [
    "CONFIG_HELP",
    "KEEPS_LINKS",
    "LABEL",
    "RATE",
    "SECRET_LABEL",
    "TELLS_UPDATES",
    "TOTAL_SECONDS",
    "UPDATES_IN_PLACE",
    "address",
    "problems",
    "send",
]
