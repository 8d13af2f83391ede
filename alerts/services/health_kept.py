"""The tables, but for how rules fare: that is kept for many of them by one statement."""

from types import TracebackType
from typing import Any, Self

from django.db import Error, connection

from alerts.models import Rule
from alerts.models.rules import RuleHealth
from alerts.services.ledger import Tables

COLUMNS = ("health", "last_evaluated_at", "last_error", "failed_evaluations", "evaluation_seconds")
TOGETHER = """
UPDATE alerts_rule r SET health = n.health, last_evaluated_at = n.at, last_error = n.error,
    failed_evaluations = n.failed, evaluation_seconds = n.seconds
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::int[], %s::float8[])
    AS n(id, health, at, error, failed, seconds)
WHERE r.id = n.id
"""


class HealthKept(Tables):
    """Writes what was kept when left, also by an error: what was evaluated was evaluated.

    A process that dies before has its last rules evaluated again at the same time, which changes nothing.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._kept: dict[Any, dict[str, Any]] = {}

    def keep_health(self, rule: Rule, **fields: Any) -> None:
        """Keep how an evaluation ended; what is less than all of it is stored at once."""
        # So is what rules later in the round go by: that this one can be asked at all, or again.
        as_before = rule.health != RuleHealth.NEVER and not rule.failed_evaluations
        if as_before and fields.keys() == set(COLUMNS):
            self._kept[rule.pk] = fields
        else:
            super().keep_health(rule, **fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A lost database takes nothing more.
        if self._kept and not isinstance(error, Error):
            columns = [[fields[name] for fields in self._kept.values()] for name in COLUMNS]
            with connection.cursor() as cursor:
                cursor.execute(TOGETHER, [list(self._kept), *columns])
