"""The settings of alerting as people change them: checked, versioned and audited."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from aivillage_console.accounts.services import Actor, audit
from aivillage_console.lib import live
from alerts.models import AlertSettings, RuleGroup
from alerts.models.configuration import THE_ONE
from alerts.services.configuration import Outdated, checked

FIELDS = tuple(field.name for field in AlertSettings._meta.fields if field.name not in ("id", "version", "updated_at"))


@transaction.atomic
def alert_settings_save(
    row: AlertSettings, *, actor: Actor, now: datetime, version: int | None = None
) -> AlertSettings:
    """Store the settings; groups that were evaluated as often as they said follow them."""
    usual = {"max_alerts_per_minute": settings.CONFIG.max_alerts_per_minute}
    AlertSettings.objects.get_or_create(pk=THE_ONE, defaults=usual)
    stored = AlertSettings.objects.select_for_update().get(pk=THE_ONE)
    if version is not None and stored.version != version:
        raise Outdated(stored)
    row._state.adding = False
    checked(row, {})
    before = {name: getattr(stored, name) for name in FIELDS}
    row.version = stored.version + 1
    row.save()
    after = {name: getattr(row, name) for name in FIELDS}
    audit(actor, "alertsettings.update", row, now=now, before=before, after=after)
    was, becomes = stored.evaluation_interval_seconds, row.evaluation_interval_seconds
    if was != becomes:
        RuleGroup.objects.filter(interval_seconds=was).update(interval_seconds=becomes, due_at=now)
    live.ring("setup")
    return row
