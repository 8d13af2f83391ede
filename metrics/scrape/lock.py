"""The lock that makes one scraper of several."""

from django.db import connection

ADVISORY_LOCK = 7_241_002


def lock_held() -> bool:
    """Hold the lock with this connection, taken now where it was not; false when another process has it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
            " AND pid = pg_backend_pid()) THEN true ELSE pg_try_advisory_lock(%s) END",
            [ADVISORY_LOCK, ADVISORY_LOCK],
        )
        return bool(cursor.fetchone()[0])


def lock_released() -> None:
    """Let another process have the lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])


def scraper_runs() -> bool:
    """Tell whether some process holds the lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [ADVISORY_LOCK],
        )
        return bool(cursor.fetchone()[0])
