"""The console's one clock: SQL `console_now()`, read once and passed down."""

from datetime import UTC, datetime

from django.db import connection


def now() -> datetime:
    """Return what PostgreSQL says the time is, with the offset tests may set."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT console_now()")
        (at,) = cursor.fetchone()
    return at  # type: ignore[no-any-return]


def at_seconds(seconds: float) -> datetime:
    """Return the time of an epoch second, as the pure engines count."""
    return datetime.fromtimestamp(seconds, tz=UTC)
