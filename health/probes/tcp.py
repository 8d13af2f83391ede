"""TCP: something accepts a connection on a port."""

from collections.abc import Mapping
from typing import Any

from health.probes.addresses import connect, unknown_keys
from health.probes.results import Probe, Question, Result, healthy

KEYS = frozenset({"host", "port"})


def problems(config: Mapping[str, Any], _has_secret: bool) -> dict[str, str]:
    """Return what is wrong with the settings."""
    found = unknown_keys(config, KEYS)
    host, port = config.get("host"), config.get("port")
    if not isinstance(host, str) or not host or len(host) > 253 or any(ord(letter) <= 32 for letter in host):
        found["host"] = "must be a name or an address"
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65_535:
        found["port"] = "must be a port from 1 to 65535"
    return found


def ask(question: Question) -> Result:
    """Open a connection and close it."""
    host, port = str(question.config["host"]), int(question.config["port"])
    connect(host, port, question.timeout_seconds).close()
    return healthy(f"{host}:{port} accepts connections")


TCP = Probe("TCP", KEYS, problems, ask)
