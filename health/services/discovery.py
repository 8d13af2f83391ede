"""Makes a component of every source that sends, and notes when it last did."""

import re
from datetime import datetime, timedelta

from django.db.models import Max

from aivillage_console.accounts import selectors as accounts
from health.models import Component, Origin

MOST_SOURCES = 300
ACTIVE = timedelta(days=1)
OWN_SOURCE = "console"
NOT_A_NAME = re.compile(r"[^A-Za-z0-9 ._:/-]+")  # noqa: TID251 - our own constant, linear


def component_name(service: str, source: str) -> str:
    """Return the name a source's component has: its service, else its own."""
    name = NOT_A_NAME.sub("-", service or source).strip(" ._:/-")
    return name[:120]


def discover(*, now: datetime) -> int:
    """Return how many components were found; one query reads who sent, one writes what changed."""
    senders = accounts.sources().annotate(seen_at=Max("tokens__last_used_at")).filter(seen_at__gt=now - ACTIVE)
    seen: dict[str, datetime] = {}
    for source in senders.exclude(name=OWN_SOURCE).order_by("-seen_at")[:MOST_SOURCES]:
        name = component_name(source.service, source.name)
        if name:
            seen[name] = max(source.seen_at, seen.get(name, source.seen_at))
    known = {component.name: component for component in Component.objects.filter(name__in=seen)}
    fresh = [Component(name=name, kind="service", discovered_from=Origin.TELEMETRY, last_seen_at=at)
             for name, at in seen.items() if name not in known]  # fmt: skip
    Component.objects.bulk_create(fresh, ignore_conflicts=True)
    for name, component in known.items():
        if component.last_seen_at is None or seen[name] > component.last_seen_at:
            Component.objects.filter(pk=component.pk).update(last_seen_at=seen[name])
    return len(fresh)
