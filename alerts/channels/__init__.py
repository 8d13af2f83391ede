"""One folder per channel, and the literal table of them."""

from collections.abc import Mapping
from types import ModuleType

from alerts.channels import webhook
from alerts.channels.message import ChannelError, Letter, Sent

CHANNELS: Mapping[str, ModuleType] = {
    "webhook": webhook,
}

__all__ = ["CHANNELS", "ChannelError", "Letter", "Sent"]
