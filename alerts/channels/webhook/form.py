"""What a webhook channel may be configured with."""

from collections.abc import Mapping
from typing import Any

from aivillage_console.lib import signing
from alerts.channels.calling import url_problem

KEYS = frozenset({"url", "tls_1_2"})


def problems(config: Mapping[str, Any], secret: str = "") -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {key: "Unknown setting." for key in config if key not in KEYS}
    url = config.get("url")
    if not isinstance(url, str) or not url:
        found["url"] = "A webhook needs the URL it is sent to."
    elif complaint := url_problem(url):
        found["url"] = complaint
    if not isinstance(config.get("tls_1_2", False), bool):
        found["tls_1_2"] = "True or false: also talk TLS 1.2 to this receiver."
    wrong = [problem for key in secret.split() if (problem := signing.secret_problem(key))]
    if wrong:
        found["secret"] = wrong[0]
    return found


def address(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return where the secret goes: another address never inherits it."""
    return (config.get("url"),)
