"""What a webhook channel may be configured with."""

from collections.abc import Mapping
from typing import Any

from aivillage_console.lib import http, signing

KEYS = frozenset({"url", "tls_1_2"})


def problems(config: Mapping[str, Any], secret: str = "") -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {key: "Unknown setting." for key in config if key not in KEYS}
    url = config.get("url")
    if not isinstance(url, str) or not url:
        found["url"] = "A webhook needs the URL it is sent to."
    elif complaint := _complaint(url):
        found["url"] = complaint
    if not isinstance(config.get("tls_1_2", False), bool):
        found["tls_1_2"] = "True or false: also talk TLS 1.2 to this receiver."
    wrong = [problem for key in secret.split() if (problem := signing.secret_problem(key))]
    if wrong:
        found["secret"] = wrong[0]
    return found


def _complaint(url: str) -> str:
    try:
        http.check_url(url)
    except http.Refused as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}."
    return ""
