"""A signed POST to an address of the receiver's choice."""

from alerts.channels.webhook.form import problems
from alerts.channels.webhook.send import send

LABEL = "Webhook"
SECRET_LABEL = "Signing secret (whsec_…; two separated by a space while one replaces the other)"  # noqa: S105

__all__ = ["LABEL", "SECRET_LABEL", "problems", "send"]
