"""Whether an issue that stands otherwise than was known was changed by a person or by a message of the console.

A message whose answer came has settled the state itself; only one that was tried and not answered can have changed an
issue without the console's knowing, and only while it was tried.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Q, QuerySet

from alerts.engine.standing import CLOSED, Standing
from alerts.engine.states import NotificationKind, NotificationState
from alerts.models import Link, Notification

# What GitHub's clock and ours may differ by, where a person's act is told from ours by its time.
SKEW = timedelta(seconds=60)
CHANGES = (NotificationKind.FIRE.value, NotificationKind.RESOLVE.value)


class Whose(StrEnum):
    """Whose doing a change is."""

    THEIRS = "theirs"  # A person's, or another program's.
    OURS = "ours"  # A message of the console may have done it: nothing is to be done.
    LATER = "later"  # A message is on its way: ask again when it has been answered.


def whose(link: Link, standing: Standing, *, asked_at: datetime) -> Whose:
    """Return whose doing it is that an issue stands as it does."""
    tried = Notification.objects.filter(alert_id=link.alert_id, channel_id=link.channel_id, attempts__gt=0)
    kind = NotificationKind.RESOLVE if standing.state == CLOSED else NotificationKind.FIRE
    on_its_way = tried.filter(kind=kind.value, state=NotificationState.DUE.value)
    meanwhile = tried.filter(kind__in=CHANGES, finished_at__gte=asked_at)
    if on_its_way.exists() or meanwhile.exists():
        return Whose.LATER
    return Whose.OURS if _unanswered(tried.filter(kind=kind.value), link, standing).exists() else Whose.THEIRS


def _unanswered(tried: QuerySet[Notification], link: Link, standing: Standing) -> QuerySet[Notification]:
    if link.settled_state:
        tried = tried.exclude(state=NotificationState.DONE.value)
    if standing.state == CLOSED:
        begun = Q(created_at__lte=standing.came_at + SKEW)
        return tried.filter(begun, finished_at__gte=standing.came_at - SKEW)
    # GitHub does not say when an issue was reopened.
    return tried.filter(finished_at__gte=(link.settled_at or link.alert.started_at) - SKEW)
