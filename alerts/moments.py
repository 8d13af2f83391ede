"""Until when, as people choose it on a page."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.services.actions import NotPossible

MORNING_HOUR = 8
SPANS = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "1d": timedelta(days=1), "1w": timedelta(weeks=1)}
CHOICES = (
    ("1h", "1 hour"), ("4h", "4 hours"), ("morning", "until morning"), ("1d", "1 day"), ("1w", "1 week"),
    ("custom", "until …"),
)  # fmt: skip


def until_of(form: Mapping[str, str], *, now: datetime, zone: ZoneInfo, usual: str = "") -> datetime | None:
    """Return the end that a form names: `for` is a span, morning, or custom with `at`; None where it names none."""
    chosen = form.get("for", "") or ("custom" if form.get("at") else usual)
    if chosen in SPANS:
        return now + SPANS[chosen]
    if chosen == "morning":
        return morning_after(now, zone)
    if chosen == "custom":
        return _typed(form.get("at", ""), zone)
    if chosen:
        raise NotPossible("Choose how long: 1h, 4h, 1d, 1w, morning, or custom with a time.")
    return None


def morning_after(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the next morning where the person is."""
    local = now.astimezone(zone)
    morning = local.replace(hour=MORNING_HOUR, minute=0, second=0, microsecond=0)
    return morning if morning > local else morning + timedelta(days=1)


def _typed(text: str, zone: ZoneInfo) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise NotPossible("Enter a day and a time, as in 2026-11-22 08:00.") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=zone)
