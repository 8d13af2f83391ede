"""One folder per channel, and the literal table of them."""

from collections.abc import Mapping
from types import ModuleType

from alerts.channels import email, github, log, slack, webhook
from alerts.channels.message import ChannelError, Known, Letter, Sent
from alerts.engine.bucket import Rate

CHANNELS: Mapping[str, ModuleType] = {
    "webhook": webhook,
    "email": email,
    "slack": slack,
    "github": github,
    "log": log,
}


def total_seconds(channel_type: str) -> float:
    """Return how long one try of a channel type lasts at most."""
    kind = CHANNELS.get(channel_type, webhook)
    return float(kind.TOTAL_SECONDS)


def default_rate(channel_type: str) -> Rate | None:
    """Return how fast receivers of a type are told where nobody said otherwise."""
    kind = CHANNELS.get(channel_type)
    rate: Rate | None = kind.RATE if kind else None
    return rate


__all__ = ["CHANNELS", "ChannelError", "Known", "Letter", "Sent", "default_rate", "total_seconds"]
