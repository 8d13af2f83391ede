"""What is read of open alerts, silences and inhibitions for Alertmanager's clients, who may all see all."""

from uuid import UUID

from alerts.models import Alert, Escalation, Inhibition, Silence


def open_alerts(*, limit: int = 10_000) -> list[tuple[Alert, str]]:
    """Return the alerts that fire, with the name of the policy each follows."""
    rows = list(Alert.objects.filter(state__in=["firing", "unknown"]).order_by("id")[:limit])
    followed = Escalation.objects.filter(alert__in=[alert.pk for alert in rows]).values_list(
        "alert_id", "episode", "policy_snapshot__name"
    )
    names = {(alert_id, episode): str(name or "") for alert_id, episode, name in followed}
    return [(alert, names.get((alert.pk, alert.episode), "")) for alert in rows]


def silences(*, limit: int = 5000) -> list[Silence]:
    """Return silences, those that end last first."""
    return list(Silence.objects.order_by("-ends_at")[:limit])


def silence(silence_id: UUID) -> Silence | None:
    """Return one silence."""
    return Silence.objects.filter(pk=silence_id).first()


def inhibitions() -> list[Inhibition]:
    """Return the inhibitions that are on."""
    return list(Inhibition.objects.filter(enabled=True))
