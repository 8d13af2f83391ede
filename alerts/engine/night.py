"""When it is night: messages that come then wake people, so they are counted apart."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

NIGHT_STARTS_HOUR, NIGHT_ENDS_HOUR = 22, 7


def is_night(at_seconds: float, zone: ZoneInfo | None = None) -> bool:
    """Say whether an epoch second lies between ten in the evening and seven in the morning of a zone, or of UTC."""
    hour = datetime.fromtimestamp(at_seconds, zone or UTC).hour
    return hour >= NIGHT_STARTS_HOUR or hour < NIGHT_ENDS_HOUR
