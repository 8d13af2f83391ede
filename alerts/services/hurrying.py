"""Has rules asked before their grid time, because what they ask about has just been stored.

The grid stays as it is: such a round is evaluated at the time it is done, after every grid time that had come by then,
so time never runs backwards for a label set; it is no tick, so the next one is neither early, nor missed, nor skipped.
"""

from datetime import datetime, timedelta

from django.db.models import Case, DateTimeField, Exists, Expression, F, OuterRef, Q, Value, When
from django.db.models.functions import Greatest, Least

from aivillage_console.lib import aftercommit, clock, doorbell, outbox
from alerts.models import Rule, RuleGroup

# Rounds between two grid times are at least this far apart, however often they are asked for.
PACE = timedelta(seconds=1)


def hurry(kind: str) -> None:
    """Have the rules of an asked kind evaluated as soon as this transaction has committed.

    A process that dies before it asks costs the wait for the next grid time and nothing else.
    """
    aftercommit.gather("hurry", kind, _pull)


def _pull(kinds: list[str]) -> None:
    now = clock.now()
    rules = Rule.objects.filter(group=OuterRef("pk"), kind__in=kinds, enabled=True)
    groups = RuleGroup.objects.filter(Exists(rules), enabled=True)
    # A round that was asked for and that nobody has claimed comes after this commit anyway.
    waiting = Q(hurry_asked_at__isnull=False, lease_token__isnull=True, due_at__lte=now + PACE)
    soon = Least("due_at", Greatest(_at(now), F("hurry_done_at") + PACE), output_field=DateTimeField())
    # Whoever holds the lease sees at its end that it was asked meanwhile.
    due_at = Case(When(lease_token__isnull=True, then=soon), default=F("due_at"))
    if groups.exclude(waiting).update(hurry_asked_at=now, due_at=due_at):
        doorbell.ring_now("evaluate")


def give_back(group: RuleGroup, *, next_at: datetime, now: datetime) -> bool:
    """Finish a round: due at the next grid time, or soon where somebody asked while it lasted."""
    claimed = group.hurry_asked_at
    asked_since = Q(hurry_asked_at__isnull=False) & (Q() if claimed is None else ~Q(hurry_asked_at=claimed))
    soon = min(next_at, now + PACE)
    return outbox.finish(
        group, last_evaluated_at=group.last_evaluated_at, missed=group.missed, hurry_done_at=group.hurry_done_at,
        evaluation_seconds=group.evaluation_seconds,
        hurry_asked_at=Case(When(asked_since, then=F("hurry_asked_at")), default=None, output_field=DateTimeField()),
        due_at=Case(When(asked_since, then=_at(soon)), default=_at(next_at)),
    )  # fmt: skip


def _at(moment: datetime) -> Expression:
    return Value(moment, output_field=DateTimeField())
