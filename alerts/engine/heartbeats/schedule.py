"""When a job is expected to report: every so often since it last did, or by a cron expression in its time zone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

DAY = 86_400
SHORTEST_PERIOD_SECONDS, LONGEST_PERIOD_SECONDS = 10, 400 * DAY
LONGEST_GRACE_SECONDS, LONGEST_RUN_SECONDS = 60 * DAY, 60 * DAY
LONGEST_CRON = 100
# A cron expression has minutes at the finest; a sixth field for seconds is no cron that anybody's daemon runs.
CRON_FIELDS = 5


class BadSchedule(ValueError):
    """A schedule that never comes, or that nobody can read."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job reports; `cron` comes before the period."""

    period_seconds: float = 0
    cron: str = ""
    time_zone: str = "UTC"
    grace_seconds: float = 0
    longest_run_seconds: float | None = None

    def next_after(self, at: float) -> float:
        """Return when it is expected next after a report, in epoch seconds; raises BadSchedule."""
        return cron_after(self.cron, self.time_zone, at) if self.cron else at + self.period_seconds


@lru_cache(maxsize=8_192)
def cron_after(cron: str, time_zone: str, at: float) -> float:
    """Return the first time of a cron expression that lies after a time."""
    try:
        return next(CronSim(cron, datetime.fromtimestamp(at, ZoneInfo(time_zone)))).timestamp()
    except (CronSimError, ZoneInfoNotFoundError, ValueError) as error:
        raise BadSchedule(str(error)) from None
    except StopIteration:
        raise BadSchedule("it never comes") from None


def schedule_problems(facts: Mapping[str, Any], at: float) -> dict[str, str]:
    """Return what is wrong with a schedule, by field."""
    found = {}
    cron = facts.get("cron") or ""
    if cron:
        found = _cron_problems(str(cron), str(facts.get("time_zone") or ""), at)
    elif not _within(facts.get("period_seconds"), SHORTEST_PERIOD_SECONDS, LONGEST_PERIOD_SECONDS):
        found["period_seconds"] = f"From {SHORTEST_PERIOD_SECONDS} s to {LONGEST_PERIOD_SECONDS // DAY} days."
    if not _within(facts.get("grace_seconds"), 0, LONGEST_GRACE_SECONDS):
        found["grace_seconds"] = f"At most {LONGEST_GRACE_SECONDS // DAY} days."
    longest = facts.get("longest_run_seconds")
    if longest is not None and not _within(longest, 1, LONGEST_RUN_SECONDS):
        found["longest_run_seconds"] = f"From 1 s to {LONGEST_RUN_SECONDS // DAY} days; empty: no limit."
    return found


def _cron_problems(cron: str, time_zone: str, at: float) -> dict[str, str]:
    if zone_of(time_zone) is None:
        return {"time_zone": f"{time_zone[:60]!r} is no time zone; they are called like Europe/Berlin or UTC."}
    if len(cron) > LONGEST_CRON or len(cron.split()) != CRON_FIELDS:
        return {
            "cron": "Five fields: minute, hour, day of the month, month, day of the week; 30 3 * * 1-5 for example."
        }
    try:
        cron_after(cron, time_zone, at)
    except BadSchedule as error:
        return {"cron": f"It cannot be read: {error}. An example is 30 3 * * 1-5."}
    return {}


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone by name, or None where there is none of that name."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _within(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
