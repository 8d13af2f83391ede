"""How much noise each rule makes: firings, pages, and how many of them asked nobody for anything.

All of it comes from rows that are there anyway: two statements, whatever the number of rules. Only alerts that are
open, or ended within the window, are read, and partial indexes know both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from orjson import loads

from alerts.engine.night import NIGHT_ENDS_HOUR, NIGHT_STARTS_HOUR

DAYS = 7
# Bars of the sparkline: six hours each.
BARS = 28
# From here on a rule is called noisy: more than one page a day of which half asked nobody for anything, or more
# firings than one an hour.
NOISY_PAGES, NOISY_SHARE, NOISY_FIRINGS = 7, 0.5, 168
# What the console says of a rule is not what the rule says.
OWN = ("RuleWithoutData", "RuleNotEvaluated")
# Doing one of these is no action: the alert is as it was.
IDLE = (
    "acknowledged", "unacknowledged", "started", "reopened", "worsened", "snoozed", "unsnoozed", "thumb_up",
    "thumb_down",
)  # fmt: skip
BEGINNINGS = ("started", "fired", "reopened")

RECENT = """
    recent AS (
        SELECT id, rule_id FROM alerts_alert
        WHERE rule_id IS NOT NULL AND name <> ALL(%(own)s) AND (%(rules)s::uuid[] IS NULL OR rule_id = ANY(%(rules)s))
            AND (state <> 'resolved' OR resolved_at >= %(since)s)
    )"""
STORY = f"""
WITH {RECENT}, told AS (
    SELECT r.rule_id, e.alert_id, e.episode, e.kind, e.actor_kind,
        CASE WHEN e.kind = ANY(%(beginnings)s) THEN
            least(%(bars)s - 1, floor(extract(epoch FROM e.at - %(since)s) / %(bar_seconds)s))::int
        END AS bar
    FROM alerts_alertevent e JOIN recent r ON r.id = e.alert_id
    WHERE e.at >= %(since)s AND e.at <= %(now)s
), episodes AS (
    SELECT rule_id, count(bar) AS fired,
        bool_or(kind = 'resolved') AS ended,
        bool_or(kind = 'acknowledged') AS acked,
        bool_or(actor_kind <> 'system' AND kind <> ALL(%(idle)s)) AS acted,
        count(*) FILTER (WHERE kind = 'thumb_up') AS up, count(*) FILTER (WHERE kind = 'thumb_down') AS down
    FROM told GROUP BY rule_id, alert_id, episode
), bars AS (
    SELECT rule_id, json_object_agg(bar, fired) AS bars FROM (
        SELECT rule_id, bar, count(*) AS fired FROM told WHERE bar IS NOT NULL GROUP BY rule_id, bar
    ) counted GROUP BY rule_id
)
SELECT e.rule_id, sum(e.fired), count(*) FILTER (WHERE e.ended),
    count(*) FILTER (WHERE e.ended AND NOT e.acked AND NOT e.acted), count(*) FILTER (WHERE e.acked),
    count(*) FILTER (WHERE e.acked AND e.ended AND NOT e.acted), sum(e.up), sum(e.down), b.bars::text
FROM episodes e LEFT JOIN bars b ON b.rule_id = e.rule_id GROUP BY e.rule_id, b.bars::text
"""  # noqa: S608 - literals of ours
PAGES = f"""
WITH {RECENT}, pages AS (
    SELECT r.rule_id, n.alert_id, n.episode, n.repeat_no, n.step, n.kind,
        extract(hour FROM min(n.created_at) AT TIME ZONE %(zone)s) AS hour
    FROM alerts_notification n JOIN recent r ON r.id = n.alert_id
    WHERE n.kind IN ('fire', 'repeat') AND n.state <> 'cancelled' AND n.created_at >= %(since)s
        AND n.created_at <= %(now)s
    GROUP BY r.rule_id, n.alert_id, n.episode, n.repeat_no, n.step, n.kind
)
SELECT rule_id, count(*), count(*) FILTER (WHERE hour >= %(night_from)s OR hour < %(night_to)s)
FROM pages GROUP BY rule_id
"""  # noqa: S608 - literals of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What one rule did in the window; a page is one step of a policy that was told, to however many channels."""

    firings: int = 0
    ended: int = 0
    self_resolved: int = 0
    acknowledged: int = 0
    idle: int = 0
    pages: int = 0
    night_pages: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    bars: tuple[int, ...] = (0,) * BARS

    @property
    def self_resolved_share(self) -> float | None:
        """Return the share of ended episodes that nobody touched; None where none ended."""
        return self.self_resolved / self.ended if self.ended else None

    @property
    def idle_share(self) -> float | None:
        """Return the share of acknowledged episodes in which nobody did anything else; None where none was."""
        return self.idle / self.acknowledged if self.acknowledged else None

    @property
    def why_noisy(self) -> str:
        """Say what makes the rule noisy; empty where nothing does."""
        if self.firings > NOISY_FIRINGS:
            return f"it fired {self.firings} times, more often than once an hour"
        if self.pages <= NOISY_PAGES:
            return ""
        for share, words in ((self.self_resolved_share, "ended by themselves"), (self.idle_share, "needed no action")):
            if share is not None and share >= NOISY_SHARE:
                return f"it paged {self.pages} times, and {share:.0%} {words}"
        return ""


NOTHING = Noise()


def noise_of(rules: Iterable[UUID] | None = None, *, now: datetime, zone: str = "UTC") -> Mapping[UUID, Noise]:
    """Return what these rules did in the last seven days (all rules for None); quiet rules are left out."""
    since = now - timedelta(days=DAYS)
    given: dict[str, Any] = {
        "rules": None if rules is None else list(rules), "now": now, "since": since, "own": list(OWN),
        "beginnings": list(BEGINNINGS), "idle": list(IDLE), "bars": BARS, "bar_seconds": DAYS * 86_400 / BARS,
        "zone": zone, "night_from": NIGHT_STARTS_HOUR, "night_to": NIGHT_ENDS_HOUR,
    }  # fmt: skip
    if given["rules"] == []:
        return {}
    found = {row[0]: _storied(row) for row in _rows(STORY, given)}
    for rule_id, pages, at_night in _rows(PAGES, given):
        found[rule_id] = replace(found.get(rule_id, NOTHING), pages=pages, night_pages=at_night)
    return found


def _rows(query: str, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, dict(given))
        return list(cursor.fetchall())


def _storied(row: tuple[Any, ...]) -> Noise:
    _, firings, ended, self_resolved, acknowledged, idle, up, down, bars = row
    counted = {int(bar): int(fired) for bar, fired in (loads(bars) if bars else {}).items()}
    return Noise(
        firings=int(firings), ended=ended, self_resolved=self_resolved, acknowledged=acknowledged, idle=idle,
        thumbs_up=int(up), thumbs_down=int(down),
        bars=tuple(counted.get(bar, 0) for bar in range(BARS)),
    )  # fmt: skip
