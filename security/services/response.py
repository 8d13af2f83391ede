"""What the console does by itself about a critical finding: it blocks the address, for a while."""

from collections.abc import Sequence
from datetime import datetime

from django.conf import settings

from aivillage_console.accounts.services import Actor
from aivillage_observability.scoring import CRITICAL_FROM
from security.models import Finding, SecurityEvent
from security.services import blocks

ACTOR = Actor.system("automatic response")


def answer(found: Sequence[Finding], *, now: datetime) -> None:
    """Block the addresses of critical findings and mark their events as dealt with.

    Only what an address did itself may be among them, never an attack of many in which it merely occurs.

    On unless switched off: the block ends by itself after an hour, can be lifted, spares everybody on the allow list
    and our own networks, and takes effect only where somebody put the middleware that pulls the list.
    """
    if not settings.CONFIG.security_auto_block:
        return
    critical = [finding for finding in found if finding.score >= CRITICAL_FROM and finding.source_ip]
    worst = {str(finding.source_ip): finding for finding in sorted(critical, key=lambda finding: finding.score)}
    blocked = blocks.block_automatically(worst, ACTOR, now=now) if worst else set()
    dealt_with = {finding.event_id for finding in critical if finding.source_ip in blocked}
    if dealt_with:
        SecurityEvent.objects.filter(pk__in=dealt_with).update(mitigated=True)
