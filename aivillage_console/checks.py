"""What `manage.py check` says of the set-up: one sentence a problem, and what to do about it."""

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import Error as DatabaseError
from django.db import connection
from django.utils.module_loading import import_string

Check = Callable[..., list[CheckMessage]]
POSTGRES_MIN_VERSION = 160_000
KEY_MIN_LENGTH = 32
REDIS_TIMEOUT_SECONDS = 2


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def secret_key(*_apps: Any, **_options: Any) -> list[CheckMessage]:
    """Without a key sessions and links cannot be signed."""
    if settings.CONFIG.secret_key:
        return []
    hint = "Set SECRET_KEY, or SECRET_KEY_FILE to a file that holds it; `make run` makes one by itself."
    return [Error("There is no secret key.", hint=hint, id="console.E001")]


def public_url(*_apps: Any, **_options: Any) -> list[CheckMessage]:
    """Links, cookies and allowed origins are made from PUBLIC_URL."""
    url = urlsplit(settings.CONFIG.public_url)
    found: list[CheckMessage] = []
    if url.path or url.query or url.fragment:
        hint = f"Set it to {url.scheme}://{url.netloc}"
        found.append(Error("PUBLIC_URL is more than scheme, host and port.", hint=hint, id="console.E004"))
    if url.scheme == "http" and not _is_local(url.hostname or ""):
        hint = "Put a proxy with a certificate before it and set PUBLIC_URL to https; cookies become Secure then."
        text = f"Passwords and tokens travel in the clear to {url.hostname}."
        found.append(Caution(text, hint=hint, id="console.W005"))
    return found


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def sampling_rules(*_apps: Any, **_options: Any) -> list[CheckMessage]:
    """Refuse a sampling rule that nobody can read: it would leave out nothing, or too much."""
    try:
        import_string("metrics.ingest.sampling.rules_of")(settings.CONFIG.sampling_rules)
    except ValueError as error:
        hint = 'Write SELECTOR [rate] [points], as in http_requests_total{zone="a"} 0.1; rules are separated by ";".'
        return [Error(f"SAMPLING_RULES: {error}.", hint=hint, id="console.E014")]
    return []


def multiproc_dir(*_apps: Any, **_options: Any) -> list[CheckMessage]:
    """Look at the directory in which the processes add up their own metrics."""
    name = settings.CONFIG.prometheus_multiproc_dir
    if not name or (Path(name).is_dir() and os.access(name, os.W_OK)):
        return []
    hint = "Make the directory writable for every role, and empty it before they start."
    text = f"PROMETHEUS_MULTIPROC_DIR {name} is not a directory this process may write."
    return [Error(text, hint=hint, id="console.E006")]


def field_keys(*_apps: Any, **_options: Any) -> list[CheckMessage]:
    """Channel secrets are sealed with FIELD_KEYS."""
    keys = settings.CONFIG.field_keys
    if any(len(key) < KEY_MIN_LENGTH for key in keys):
        hint = 'Make one: python -c "import secrets; print(secrets.token_urlsafe(48))"'
        text = f"One of FIELD_KEYS is shorter than {KEY_MIN_LENGTH} characters."
        return [Error(text, hint=hint, id="console.E007")]
    if not keys and settings.HTTPS:
        hint = "Set FIELD_KEYS, so that SECRET_KEY can be changed without entering every channel's secret again."
        return [Caution("Channel secrets are sealed with SECRET_KEY.", hint=hint, id="console.W008")]
    return []


def state_dir(*_apps: Any, **_options: Any) -> list[CheckMessage]:
    """Keys and embedded data live in STATE_DIR."""
    path = settings.CONFIG.state_path
    if not path.is_dir():
        if not settings.CONFIG.state_dir:
            return []
        return [Error(f"STATE_DIR {path} is not a directory.", hint="Make it.", id="console.E009")]
    found: list[CheckMessage] = []
    if not os.access(path, os.W_OK | os.X_OK):
        hint = f"Give it to the account that runs the console (user id {os.getuid()})."
        found.append(Error(f"STATE_DIR {path} cannot be written by this process.", hint=hint, id="console.E010"))
    if path.stat().st_mode & 0o022:
        found.append(Error(f"Others may write to STATE_DIR {path}.", hint=f"chmod go-w {path}", id="console.E011"))
    key = path / "secret_key"
    if os.access(path, os.X_OK) and key.exists() and key.stat().st_mode & 0o077:
        found.append(Error(f"Others may read the secret key {key}.", hint=f"chmod 600 {key}", id="console.E012"))
    return found


def database(*_apps: Any, databases: Any = None, **_options: Any) -> list[CheckMessage]:
    """PostgreSQL is the truth: nothing works without it."""
    if not databases:
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            version = int(cursor.fetchone()[0])
    except DatabaseError as error:
        hint = "Set DATABASE_URL to a PostgreSQL that runs, or start everything with `make run`."
        return [Error(f"The database does not answer: {_first_line(error)}", hint=hint, id="console.E002")]
    return too_old(version)


def too_old(version: int) -> list[CheckMessage]:
    """Return a message when a server of this version number will not do."""
    if version >= POSTGRES_MIN_VERSION:
        return []
    text = f"PostgreSQL {version // 10_000} is too old."
    return [Error(text, hint="Use PostgreSQL 16 or newer; 18 is what the console is tried on.", id="console.E003")]


def redis_answers(*_apps: Any, databases: Any = None, **_options: Any) -> list[CheckMessage]:
    """Redis is a doorbell: without it everything works, a little later."""
    if not databases:
        return []
    url = settings.CELERY_BROKER_URL
    limits = {"socket_connect_timeout": REDIS_TIMEOUT_SECONDS, "socket_timeout": REDIS_TIMEOUT_SECONDS}
    try:
        with redis.Redis.from_url(url, **limits) as client:
            client.ping()
    except redis.RedisError as error:
        hint = "Set REDIS_URL. Until it answers pages refresh by polling, and the sweepers do the work, within 5 s."
        return [Caution(f"Redis does not answer: {_first_line(error)}", hint=hint, id="console.W013")]
    return []


OF_SETTINGS: tuple[Check, ...] = (
    secret_key, public_url, multiproc_dir, field_keys, state_dir, sampling_rules,
)  # fmt: skip
OF_SERVICES: tuple[Check, ...] = (database, redis_answers)
