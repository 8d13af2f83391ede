"""What the console asks about itself; each name here is a callable that seeded checks refer to."""

import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psutil
import redis
from django.conf import settings
from django.db import connection

from aivillage_console.lib import clock
from alerts import selectors as alerts
from alerts.models import Escalation, Heartbeat, Notification, RuleGroup
from health.models import Pulse
from health.probes.callables import register_check
from health.selectors.work import overdue_checks
from metrics import selectors as metrics
from metrics.promql.types import QueryError

Answer = dict[str, Any]
REDIS_SECONDS = 2.0
CONNECT_SECONDS = 2.0
FRESH_SECONDS = 60
WORKER_SECONDS = 40
SESSION = """
SELECT count(*), extract(epoch FROM clock_timestamp() - max(greatest(state_change, backend_start)))
FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()
"""
STARTED = "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())"
START_SECONDS = 60
CONNECTIONS = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       current_setting('max_connections')::int
"""


def _say(status: str, details: str) -> Answer:
    return {"status": status, "details": details}


def _by_limit(value: float, degraded: float, unhealthy: float, details: str) -> Answer:
    return _say("unhealthy" if value >= unhealthy else "degraded" if value >= degraded else "healthy", details)


def _bad(details: str) -> Answer:
    """Return a bad answer; right after a start, when not everything can have begun yet, no answer."""
    with connection.cursor() as cursor:
        cursor.execute(STARTED)
        just_started = cursor.fetchone()[0] < START_SECONDS
    return _say("unknown", f"just started: {details}") if just_started else _say("unhealthy", details)


def _by_age(age: float, degraded: float, details: str) -> Answer:
    """Return an answer that is good while it is young."""
    if age >= 3 * degraded:
        return _bad(details)
    return _say("degraded" if age >= degraded else "healthy", details)


def postgresql() -> Answer:
    """Ask the database something, and how many of its connections are taken."""
    with connection.cursor() as cursor:
        cursor.execute(CONNECTIONS)
        used, most = cursor.fetchone()
    return _by_limit(used / most, 0.8, 0.95, f"{used} of {most} connections are taken")


def redis_server() -> Answer:
    """Ask the broker's server for PING."""
    url = settings.CACHES["default"]["LOCATION"]
    client = redis.Redis.from_url(url, socket_timeout=REDIS_SECONDS, socket_connect_timeout=REDIS_SECONDS)
    try:
        client.ping()
    except redis.RedisError as error:
        return _say("unhealthy", f"no answer to PING ({type(error).__name__}): live pages poll, sweepers do the work")
    finally:
        client.close()
    return _say("healthy", "answers PING")


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def _ready_line(port: int) -> str:
    """Return the status line of this host's own readiness probe; empty where nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_SECONDS) as asked:
            asked.sendall(b"GET /-/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return asked.recv(64).decode("ascii", "replace").split("\r\n")[0]
    except OSError:
        return ""


def _origin(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or (443 if parts.scheme in ("https", "wss") else 80)


def web() -> Answer:
    """Ask the web process whether it is ready: on this host, else at its public address, else by what it took in."""
    line = _ready_line(settings.CONFIG.web_port)
    if line:
        return _say("healthy" if " 200" in line else "unhealthy", f"/-/ready answered {line.partition(' ')[2]}")
    host, port = _origin(settings.CONFIG.public_url)
    if _accepts(host, port):
        return _say("healthy", f"{host}:{port} accepts connections")
    lag = metrics.ingest_status(now=clock.now()).lag_seconds
    if lag is not None and lag < FRESH_SECONDS:
        return _say("healthy", f"it took a sample in {lag:.0f} s ago")
    return _say("unhealthy", f"nobody listens on port {settings.CONFIG.web_port} here nor at {host}:{port}")


def sockets() -> Answer:
    """Ask whether the sockets process accepts connections."""
    port = settings.CONFIG.sockets_port
    if _accepts("127.0.0.1", port):
        return _say("healthy", f"port {port} accepts connections")
    host, public = _origin(settings.CONFIG.sockets_origin)
    if (host, public) != ("127.0.0.1", port) and _accepts(host, public):
        return _say("healthy", f"{host}:{public} accepts connections")
    if not _ready_line(settings.CONFIG.web_port):
        # Another host or container than web's: that nobody listens here says nothing.
        return _say("unknown", f"{host}:{public} cannot be reached from the process that asks")
    return _say("unhealthy", f"nobody listens on port {port}: pages poll instead")


def worker() -> Answer:
    """Look when a Celery worker last did something."""
    if not settings.CONFIG.celery_enabled:
        return _say("unknown", "switched off by CELERY_ENABLED; sweepers do the work")
    pulse = Pulse.objects.filter(name="worker").first()
    if pulse is None:
        return _bad("no Celery worker has done anything yet; sweepers do the work")
    age = (clock.now() - pulse.at).total_seconds()
    words = f"its last task began {age:.0f} s ago" + ("" if age < WORKER_SECONDS else "; sweepers do the work")
    return _by_age(age, WORKER_SECONDS, words)


def _session(role: str, seconds: float) -> Answer:
    with connection.cursor() as cursor:
        cursor.execute(SESSION, [f"console-{role}"])
        count, age = cursor.fetchone()
    if not count:
        return _bad(f"no process of the role {role} is connected to PostgreSQL")
    return _by_age(float(age), seconds, f"asked PostgreSQL something {float(age):.1f} s ago")


def beat() -> Answer:
    """Look when beat last read its schedule."""
    if not settings.CONFIG.celery_enabled:
        return _say("unknown", "switched off by CELERY_ENABLED")
    return _session("beat", 60)


def evaluator() -> Answer:
    """Look when the evaluator last asked what is due."""
    return _session("evaluator", 30)


def dispatcher() -> Answer:
    """Look when the dispatcher last asked what is due."""
    return _session("dispatcher", 30)


def compactor() -> Answer:
    """Look when the compactor last looked at the head."""
    return _session("compactor", 60)


def evaluation_lag() -> Answer:
    """Return how late the latest rule group is."""
    due = RuleGroup.objects.filter(enabled=True).order_by("due_at").values_list("due_at", flat=True).first()
    if due is None:
        return _say("unknown", "no rule group is enabled")
    late = max(0.0, (clock.now() - due).total_seconds())
    failing = len(alerts.rules_status().failing)
    words = f"{late:.1f} s behind the grid" + (f"; {failing} rules cannot be evaluated" if failing else "")
    return _by_limit(max(late, 10.0 if failing else 0.0), 10, 60, words)


def escalations_overdue() -> Answer:
    """Return how many steps and messages are late."""
    late = clock.now() - timedelta(seconds=30)
    steps = Escalation.objects.filter(state="active", due_at__lt=late)[:1000].count()
    messages = Notification.objects.filter(state="due", due_at__lt=late, channel__enabled=True,
                                           channel__breaker_state="closed")[:1000].count()  # fmt: skip
    return _by_limit(steps + messages, 1, 100, f"{steps} steps and {messages} messages are more than 30 s late")


def auditor() -> Answer:
    """Return what the auditor found, and whether it still looks."""
    row = Heartbeat.objects.filter(name="auditor").first()
    if row is None:
        return _say("unknown", "it has not looked yet")
    age, found = (clock.now() - row.at).total_seconds(), {k: v for k, v in row.detail.items() if v}
    if age > 120:
        return _bad(f"it last looked {age:.0f} s ago, and should every 30 s")
    words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.items())
    return _say("degraded" if found else "healthy", words or "everything that must be zero is zero")


def checks_overdue() -> Answer:
    """Return how many checks have missed an interval."""
    count = overdue_checks(clock.now())
    return _by_limit(count, 1, 10, f"{count} checks have missed an interval")


def head_blocks() -> Answer:
    """Return how many blocks of samples wait to be packed."""
    status = metrics.ingest_status(now=clock.now())
    return _by_limit(status.head_blocks, 2_000, 20_000, f"{status.head_blocks} blocks wait to be packed")


def ingest_lag() -> Answer:
    """Return how old the newest stored sample is."""
    status = metrics.ingest_status(now=clock.now())
    if status.lag_seconds is None:
        return _say("unknown", "nothing was ever taken in")
    lag = max(0.0, status.lag_seconds)
    return _by_limit(lag, 60, 300, f"newest sample {lag:.0f} s ago, {status.samples_per_second:.1f} samples/s")


def collector() -> Answer:
    """Return how old the newest reading of this host is."""
    at_ms = int(clock.now().timestamp() * 1000)
    try:
        found = metrics.instant_query("max(timestamp(memory_usage_percent))", at_ms=at_ms, lookback_ms=900_000)
    except QueryError as error:
        return _say("unknown", f"the store did not answer: {error}")
    if not found.present.any():
        return _bad("no reading of this host in the last 15 min")
    age = max(0.0, at_ms / 1000 - float(found.values[0, 0]))
    return _by_age(age, 40, f"its last reading is {age:.0f} s old")


def disk() -> Answer:
    """Return how full the disk of the state directory is."""
    use = psutil.disk_usage(str(settings.CONFIG.state_path))
    free = use.free / 2**30
    return _by_limit(use.percent, 90, 95, f"{use.percent:.0f} % full, {free:.1f} GiB free")


def memory() -> Answer:
    """Return how much of the host's memory is in use."""
    use = psutil.virtual_memory()
    return _by_limit(use.percent, 90, 97, f"{use.percent:.0f} % in use")


OWN: dict[str, Callable[[], Answer]] = {
    "console.postgresql": postgresql, "console.redis": redis_server, "console.web": web, "console.sockets": sockets,
    "console.worker": worker, "console.beat": beat, "console.evaluator": evaluator, "console.dispatcher": dispatcher,
    "console.compactor": compactor, "console.evaluation_lag": evaluation_lag, "console.auditor": auditor,
    "console.escalations_overdue": escalations_overdue, "console.checks_overdue": checks_overdue,
    "console.head_blocks": head_blocks, "console.ingest_lag": ingest_lag, "console.collector": collector,
    "console.disk": disk, "console.memory": memory,
}  # fmt: skip


def register_own() -> None:
    """Make all of them known by name."""
    for name, func in OWN.items():
        register_check(name, func)
