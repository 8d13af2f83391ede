"""Puts the console's own components in place, once each; what a person changed or deleted stays so."""

from datetime import datetime
from typing import Any

from django.db import transaction

from health.models import Check, CheckKind, Component, Origin, Pulse

MARK = "seed"
FAST_SECONDS = 5
POSTGRES, REDIS = ("console-postgresql", "database", True), ("console-redis", "cache", False)
PARTS: dict[str, dict[str, Any]] = {
    "console-postgresql": {"kind": "database", "description": "Keeps everything; without it nothing is taken in.",
                           "checks": {"answers": ("console.postgresql", FAST_SECONDS)}},
    "console-redis": {"kind": "cache", "description": "Doorbell and live pages; losing it costs latency only.",
                      "checks": {"answers": ("console.redis", FAST_SECONDS)}},
    "console-web": {"kind": "process", "description": "Pages, API and ingest.", "needs": [POSTGRES],
                    "checks": {"ready": ("console.web", 10)}},
    "console-sockets": {"kind": "process", "description": "Live pages.", "needs": [POSTGRES, REDIS],
                        "checks": {"accepts": ("console.sockets", 10)}},
    "console-worker": {"kind": "process", "description": "Celery's hands; sweepers stand in for them.",
                       "needs": [POSTGRES, REDIS], "checks": {"works": ("console.worker", 10)}},
    "console-beat": {"kind": "process", "description": "Rings every ten seconds.", "needs": [POSTGRES, REDIS],
                     "checks": {"reads its schedule": ("console.beat", 30)}},
    "console-evaluator": {"kind": "process", "description": "Evaluates rules, runs checks nobody took.",
                          "needs": [POSTGRES], "checks": {"asks what is due": ("console.evaluator", 10),
                          "evaluation lag": ("console.evaluation_lag", 10),
                          "checks overdue": ("console.checks_overdue", 30)}},
    "console-dispatcher": {"kind": "process", "description": "Escalates and sends what nobody took; audits.",
                           "needs": [POSTGRES], "checks": {"asks what is due": ("console.dispatcher", 10),
                           "steps and messages overdue": ("console.escalations_overdue", 30),
                           "auditor": ("console.auditor", 30)}},
    "console-compactor": {"kind": "process", "description": "Packs samples, keeps partitions and retention.",
                          "needs": [POSTGRES], "checks": {"looks at the head": ("console.compactor", 30),
                          "blocks waiting": ("console.head_blocks", 30)}},
    "console-collector": {"kind": "process", "description": "Reads this host and sends it through the ingest door.",
                          "needs": [("console-web", "http_api", True)],
                          "checks": {"sends": ("console.collector", 30)}},
    "console-ingest": {"kind": "pipeline", "description": "From the doors to the store.",
                       "needs": [("console-web", "http_api", True), POSTGRES],
                       "checks": {"newest sample": ("console.ingest_lag", 30)}},
    "console-host": {"kind": "host", "description": "The machine the console runs on.",
                     "checks": {"disk space": ("console.disk", 30), "memory": ("console.memory", 30)}},
}  # fmt: skip
CRITICAL = frozenset({"console-postgresql", "console-web", "console-dispatcher", "console-evaluator"})
ROOT = "console"


def _edges(needs: list[tuple[str, str, bool]]) -> list[dict[str, Any]]:
    return [{"name": name, "type": kind, "critical": critical} for name, kind, critical in needs]


def ensure_own(*, now: datetime) -> int:
    """Create what was never created before; return how many components were added."""
    with transaction.atomic():
        Pulse.objects.bulk_create([Pulse(name=MARK, at=now, detail={"created": []})], ignore_conflicts=True)
        mark = Pulse.objects.select_for_update().get(name=MARK)
        known = set(mark.detail.get("created", []))
        fresh = [name for name in (ROOT, *PARTS) if name not in known]
        if not fresh:
            return 0
        # A name somebody took before stays theirs.
        taken = set(Component.objects.filter(name__in=fresh).values_list("name", flat=True))
        for name in fresh:
            if name not in taken:
                _create(name, now)
        mark.detail = {"created": sorted(known | set(fresh))}
        mark.at = now
        mark.save()
    return len(fresh) - len(taken)


def _create(name: str, now: datetime) -> None:
    if name == ROOT:
        needs = _edges([(part, "http_api", part in CRITICAL) for part in PARTS])
        Component.objects.create(
            name=ROOT, kind="console", description="This console.", depends_on=needs, expected=True,
            discovered_from=Origin.OWN,
        )  # fmt: skip
        return
    part = PARTS[name]
    component = Component.objects.create(
        name=name, kind=part["kind"], description=part["description"], depends_on=_edges(part.get("needs", [])),
        expected=True, discovered_from=Origin.OWN,
    )  # fmt: skip
    for label, (func, seconds) in part["checks"].items():
        Check.objects.create(component=component, name=label, kind=CheckKind.CALLABLE, config={"name": func},
                             interval_seconds=seconds, due_at=now)  # fmt: skip
