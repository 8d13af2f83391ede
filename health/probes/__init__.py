"""Probes: one small function a kind of check, from settings to a result."""

from collections.abc import Mapping

from health.probes.callables import CALLABLE
from health.probes.redis_server import REDIS
from health.probes.results import Probe
from health.probes.sql import SQL
from health.probes.tcp import TCP
from health.probes.web import HTTP

PROBES: Mapping[str, Probe] = {"http": HTTP, "tcp": TCP, "sql": SQL, "redis": REDIS, "callable": CALLABLE}
