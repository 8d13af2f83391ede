"""Where probes may connect: public addresses, and private ones that OUTBOUND_ALLOWED admits."""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from aivillage_console.lib import http
from health.probes.results import Unanswered

PRIVATE = (
    "{host} leads to {address}, which is not a public address; an admin admits it by adding {cidr}:{port} to the "
    "setting OUTBOUND_ALLOWED"
)


def hint(error: Exception, url: str) -> str:
    """Return a refusal of the outbound client with the setting that would admit the destination."""
    text = str(error)
    return text if "OUTBOUND_ALLOWED" in text else f"{text}; OUTBOUND_ALLOWED admits {urlsplit(url).netloc or url}"


def checked_address(host: str, port: int) -> str:
    """Return one address of a host that may be connected to; every address it has is looked at."""
    doors = http.doors_from(settings.CONFIG.outbound_allowed)
    try:
        found = [ipaddress.ip_address(text.split("%")[0]) for text in http.resolve(host, port)]
    except http.Unreachable as error:
        raise Unanswered(str(error)) from error
    for address in found:
        if http.blocked(address) and not http.allowed(address, port, doors):
            width = f"{address}/{address.max_prefixlen}"
            raise Unanswered(PRIVATE.format(host=host, address=address, cidr=width, port=port))
    if not found:
        raise Unanswered(f"{host} has no address")
    return str(found[0])


def connect(host: str, port: int, timeout_seconds: float) -> socket.socket:
    """Return an open connection to a checked address of a host."""
    try:
        return socket.create_connection((checked_address(host, port), port), timeout=timeout_seconds)
    except TimeoutError as error:
        raise Unanswered(f"{host}:{port} did not answer within {timeout_seconds:g} s") from error
    except OSError as error:
        raise Unanswered(f"{host}:{port}: {error.strerror or error}") from error


def unknown_keys(config: Mapping[str, Any], keys: frozenset[str]) -> dict[str, str]:
    """Return the problem that a setting is not known, by name."""
    return {name: f"is not known; there are {', '.join(sorted(keys)) or 'none'}" for name in set(config) - keys}
