"""What waits to be run."""

from datetime import datetime

from django.db import connection

OVERDUE = """
SELECT count(*) FROM health_check
WHERE enabled AND kind <> 'reported' AND due_at < %s - interval_seconds * interval '1 second'
"""


def overdue_checks(now: datetime) -> int:
    """Return how many checks have missed an interval."""
    with connection.cursor() as cursor:
        cursor.execute(OVERDUE, [now])
        count: int = cursor.fetchone()[0]
    return count
