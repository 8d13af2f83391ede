"""What a Slack channel may be configured with."""

from collections.abc import Mapping
from typing import Any

from alerts.channels.calling import url_problem

KEYS = frozenset({"channel", "api_url", "tls_1_2"})
API_URL = "https://slack.com/api"
LONGEST_NAME = 80


def problems(config: Mapping[str, Any], secret: str = "") -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {key: "Unknown setting." for key in config if key not in KEYS}
    channel = config.get("channel", "")
    if not isinstance(channel, str) or len(channel) > LONGEST_NAME or any(not c.isprintable() for c in channel):
        found["channel"] = "The id of a channel (C0123456789, in its details) or its name (#alerts)."
    elif not channel and not is_webhook(secret):
        found["channel"] = "A bot needs to know the channel it writes to; only an incoming webhook does not."
    if "api_url" in config and (problem := url_problem(config["api_url"])):
        found["api_url"] = problem
    if not isinstance(config.get("tls_1_2", False), bool):
        found["tls_1_2"] = "True or false: also talk TLS 1.2 to this receiver."
    if problem := _secret_problem(secret):
        found["secret"] = problem
    return found


def is_webhook(secret: str) -> bool:
    """Say whether the secret is the address of an incoming webhook."""
    return secret.startswith(("https://", "http://"))


def _secret_problem(secret: str) -> str:
    if not secret:
        return ""
    if is_webhook(secret):
        return url_problem(secret)
    plain = secret.isascii() and secret.isprintable() and " " not in secret
    return "" if plain and secret.startswith("xox") else "A bot token begins with xoxb-, a webhook with https://."


def address(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return where the token goes."""
    return (config.get("api_url", API_URL),)
