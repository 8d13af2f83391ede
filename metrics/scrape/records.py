"""What the scraper tells other processes about its targets: rows, written in batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from metrics.models import ScrapePool, ScrapeTarget, TargetHealth
from metrics.scrape.target import State
from metrics.wire.scraping.targets import Target

MAX_DROPPED = 1_000
BATCH = 500


@dataclass(frozen=True, slots=True)
class Roll:
    """The targets of a pool as they are now."""

    pool_id: UUID
    active: Sequence[Target]
    dropped: Sequence[dict[str, str]]
    refused: Sequence[tuple[dict[str, str], str]]
    error: str = ""


def roll_write(roll: Roll) -> dict[str, int]:
    """Make the rows of a pool those of its targets; returns the row of each active one by its key."""
    known = dict(ScrapeTarget.objects.filter(pool_id=roll.pool_id).values_list("key", "id"))
    rows = {target.key: _row(roll.pool_id, target) for target in roll.active}
    for number, labels in enumerate(roll.dropped[:MAX_DROPPED]):
        rows[f"dropped {number}"] = ScrapeTarget(
            pool_id=roll.pool_id, key=f"dropped {number}", discovered_labels=labels, health=TargetHealth.DROPPED
        )
    for number, (labels, reason) in enumerate(roll.refused[:MAX_DROPPED]):
        rows[f"refused {number}"] = ScrapeTarget(
            pool_id=roll.pool_id, key=f"refused {number}", discovered_labels=labels, health=TargetHealth.DROPPED,
            last_error=reason[:500],
        )  # fmt: skip
    gone = [row for key, row in known.items() if key not in rows]
    ScrapeTarget.objects.filter(id__in=gone).delete()
    ScrapeTarget.objects.bulk_create(
        list(rows.values()), batch_size=BATCH, update_conflicts=True, unique_fields=["pool", "key"],
        update_fields=["scrape_url", "discovered_labels", "labels", "interval_ms", "timeout_ms"],
    )  # fmt: skip
    ScrapePool.objects.filter(pk=roll.pool_id).exclude(discovery_error=roll.error).update(discovery_error=roll.error)
    keys = {target.key for target in roll.active}
    return {key: row for key, row in ScrapeTarget.objects.filter(pool_id=roll.pool_id).values_list("key", "id")
            if key in keys}  # fmt: skip


def _row(pool_id: UUID, target: Target) -> ScrapeTarget:
    return ScrapeTarget(
        pool_id=pool_id, key=target.key, scrape_url=target.url, discovered_labels=target.discovered,
        labels=target.labels, interval_ms=target.interval_ms, timeout_ms=target.timeout_ms,
    )  # fmt: skip


def states_write(states: Sequence[tuple[int, State]]) -> None:
    """Write how the last scrapes went, all in one statement."""
    if not states:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE metrics_scrapetarget t SET health = n.health, last_error = n.error, last_scrape_at = n.at,"
            " last_duration_seconds = n.took, samples = n.samples"
            " FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::timestamptz[], %s::float8[], %s::int[])"
            " AS n (id, health, error, at, took, samples) WHERE t.id = n.id",
            [
                [row for row, _ in states],
                [str(state.health) for _, state in states],
                [state.error.replace("\0", " ") for _, state in states],
                [state.at for _, state in states],
                [state.duration_seconds for _, state in states],
                [state.samples for _, state in states],
            ],
        )


def pools_forget(running: Sequence[UUID]) -> None:
    """Drop the targets of pools that are not scraped any more."""
    ScrapeTarget.objects.exclude(pool_id__in=list(running)).delete()
