"""What a webhook channel may be configured with."""

from collections.abc import Mapping
from typing import Any

from aivillage_console.lib import signing
from alerts.channels.calling import url_problem

KEYS = frozenset({"url", "tls_1_2", "timeout", "retry_attempts", "retry_delay"})
# Longer than a try may last in all; files of other consoles say so.
LONGEST_TIMEOUT_SECONDS, LONGEST_DELAY_SECONDS, MOST_ATTEMPTS = 300, 900, 20


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
    for name, most in (("timeout", LONGEST_TIMEOUT_SECONDS), ("retry_delay", LONGEST_DELAY_SECONDS)):
        if not _is_number(config.get(name, 1)) or not 0 < config.get(name, 1) <= most:
            found[name] = f"A number of seconds up to {most}."
    attempts = config.get("retry_attempts", 0)
    if not _is_number(attempts) or attempts != int(attempts) or not 0 <= attempts <= MOST_ATTEMPTS:
        found["retry_attempts"] = f"How often it is tried again: a whole number up to {MOST_ATTEMPTS}."
    wrong = [problem for key in secret.split() if (problem := signing.secret_problem(key))]
    if wrong:
        found["secret"] = wrong[0]
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - no NaN


def address(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return where the secret goes: another address never inherits it."""
    return (config.get("url"),)
