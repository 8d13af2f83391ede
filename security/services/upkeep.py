"""What is done now and then: figures, ends of blocks, retention, and the receipts of enforcers."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from aivillage_console.accounts.models import ApiToken
from security import measures
from security.models import Block, EnforcerPull, Finding, SecurityEvent
from security.selectors.blocks import BlockList
from security.selectors.threat import HALVINGS, MOST_WAITING, threat_scores
from security.services.blocks import note_expired

BATCH = 1_000
MOST_NAME = 120


def retain(*, now: datetime, batch: int = BATCH) -> int:
    """Drop one batch of what is past its time: critical events stay, high ones for a year, the others 90 days."""
    config = settings.CONFIG
    seen = SecurityEvent.objects.exclude(detected_at=None)
    old = seen.filter(at__lt=now - timedelta(days=config.security_retention_days)).exclude(
        band__in=["critical", "high"]
    )
    high = seen.filter(at__lt=now - timedelta(days=config.security_high_retention_days), band="high")
    dropped = 0
    for rows in (old, high):
        ids = list(rows.order_by("at").values_list("pk", flat=True)[:batch])
        if not ids:
            continue
        with transaction.atomic():
            # The blocks they led to stay, without the finding.
            Block.objects.filter(finding__event__in=ids).update(finding=None)
            Finding.objects.filter(event__in=ids).delete()
            dropped += SecurityEvent.objects.filter(pk__in=ids).delete()[0]
    return dropped


def upkeep(*, now: datetime) -> dict[str, int]:
    """Bring figures up to date and carry out one batch of each duty; return how many rows each touched."""
    measures.WAITING.set(SecurityEvent.objects.filter(detected_at=None)[:MOST_WAITING].count())
    refresh_threats(now=now)
    return {"expired": note_expired(now=now), "dropped": retain(now=now)}


def refresh_threats(*, now: datetime) -> None:
    """Let the shown scores decay; who is shown and was forgotten by the findings stands at 0."""
    present = {threat.value: threat.score for threat in threat_scores("user_id", now=now)}
    half_life = settings.CONFIG.security_score_half_life_seconds
    since = now - timedelta(seconds=(HALVINGS + 2) * half_life)
    until = now - timedelta(seconds=HALVINGS * half_life)
    gone = Finding.objects.filter(found_at__gt=since, found_at__lte=until, user_is_target=False).exclude(user_id="")
    for user in gone.values_list("user_id", flat=True).distinct()[: measures.MOST_PEOPLE]:
        present.setdefault(user, 0.0)
    for user, score in present.items():
        measures.show_threat(user, score)


def pulled(*, token: ApiToken | None, name: str, given: BlockList, now: datetime) -> EnforcerPull:
    """Keep the receipt of an enforcer's pull: one row each, so that a page can say how fresh it is."""
    known = "".join(char for char in name if char.isprintable())[:MOST_NAME]
    facts = {"token_id": token.pk if token else None, "version": given.version, "etag": given.etag, "pulled_at": now}
    row, _ = EnforcerPull.objects.update_or_create(
        name=known, defaults=facts, create_defaults={**facts, "first_at": now}
    )
    return row
