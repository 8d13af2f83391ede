"""A signed POST to an address of the receiver's choice."""

from aivillage_console.lib import http
from alerts.channels.webhook.form import address, problems
from alerts.channels.webhook.send import send

LABEL = "Webhook"
SECRET_LABEL = "Signing secret (whsec_…; two separated by a space while one replaces the other)"  # noqa: S105
CONFIG_HELP = (
    '{"url": "https://…"}; "timeout": 4, "retry_attempts": 3, "retry_delay": 5 where its own limits shall hold'
)
TOTAL_SECONDS = http.TOTAL_SECONDS
KEEPS_LINKS = False
RATE = None

__all__ = [
    "CONFIG_HELP",
    "KEEPS_LINKS",
    "LABEL",
    "RATE",
    "SECRET_LABEL",
    "TOTAL_SECONDS",
    "address",
    "problems",
    "send",
]
