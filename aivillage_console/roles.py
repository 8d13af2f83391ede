"""What a process becomes when it takes a role after Django was set up: its name in logs and in PostgreSQL."""

from celery import platforms
from django.conf import settings
from django.db import connections

from aivillage_console import env, logs, telemetry


def take(role: str) -> None:
    """Give this process its role; what the environment has gained since it was loaded is read again."""
    settings.CONFIG = env.read({**env.environment(), "ROLE": role})
    # Celery would put its own words over the role in the title of the process.
    platforms._setproctitle = None  # type: ignore[attr-defined]
    settings.LOGGING = {**settings.LOGGING, "role": role}
    logs.configure(settings.LOGGING)
    for database in connections.databases.values():
        database["OPTIONS"]["application_name"] = f"console-{role}"
    telemetry.start(role)
