"""Redis: a server answers PING, and a replica is linked to its master."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import redis

from health.probes.addresses import checked_address, unknown_keys
from health.probes.results import Probe, Question, Result, Unanswered, healthy, unhealthy
from health.probes.sql import url_problem

KEYS: frozenset[str] = frozenset()


def problems(config: Mapping[str, Any], has_secret: bool) -> dict[str, str]:
    """Return what is wrong with the settings."""
    found = unknown_keys(config, KEYS)
    if not has_secret:
        found["secret"] = "the URL is missing: redis://:password@host:6379/0"  # noqa: S105
    return found


def ask(question: Question) -> Result:
    """Ask for PING and for the state of replication."""
    if problem := url_problem(question.secret, ("redis", "rediss")):
        raise Unanswered(problem)
    parts = urlsplit(question.secret)
    host, port = parts.hostname or "", parts.port or 6379
    address = checked_address(host, port)
    encrypted = parts.scheme == "rediss"
    client = redis.Redis(
        # Over TLS the certificate is checked against the name, so the name is what is connected to.
        host=host if encrypted else address, port=port, ssl=encrypted, username=unquote(parts.username or "") or None,
        password=unquote(parts.password or "") or None, socket_timeout=question.timeout_seconds,
        socket_connect_timeout=question.timeout_seconds, decode_responses=True,
    )  # fmt: skip
    try:
        client.ping()
        return _judged(client.info("replication"))
    except redis.RedisError as error:
        raise Unanswered(f"{host}:{port}: {type(error).__name__}: {str(error)[:160]}") from error
    finally:
        client.close()


def _judged(facts: Mapping[str, Any]) -> Result:
    if facts.get("role") == "slave":
        if facts.get("master_link_status") != "up":
            return unhealthy(f"the replica's link to its master is {facts.get('master_link_status')}")
        return healthy("a replica, linked to its master")
    return healthy(f"a master with {facts.get('connected_slaves', 0)} replicas")


REDIS = Probe("Redis", KEYS, problems, ask, needs_secret=True)
