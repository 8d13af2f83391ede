"""Where the thresholds of a rule stand and how they came there, as pages show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alerts.engine.baseline import HOURS_OF_WEEK, hour_of_week
from alerts.models import DynamicThreshold, Rule, ThresholdHistory
from alerts.rules.queries import is_dynamic

SERIES_SHOWN, CHANGES_SHOWN = 20, 50
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WIDTH, HEIGHT = 336, 40


@dataclass(frozen=True, slots=True)
class Change:
    """A threshold of a series, from a time on."""

    row: ThresholdHistory
    value: float | None

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Return the labels of the series in order."""
        return sorted(self.row.labels.items())

    @property
    def past_hours(self) -> float:
        """Return how much past it came from."""
        return self.row.history_seconds / 3600


@dataclass(frozen=True, slots=True)
class Week:
    """The thresholds of a week as an outline, with the least and the most of them."""

    path: str
    least: float
    most: float
    missing: int


@dataclass(frozen=True, slots=True)
class Panel:
    """What a page shows."""

    mark: DynamicThreshold | None
    now: list[Change]
    changes: list[Change]
    more: int
    week: Week | None
    seasonal: bool


def panel_of(rule: Rule | None, at: datetime, labels: Mapping[str, str] | None = None) -> Panel | None:
    """Return the thresholds of a rule, of one series where its labels are given; None for rules without any."""
    if rule is None or not is_dynamic(rule.kind, rule.labels):
        return None
    rows = ThresholdHistory.objects.filter(rule=rule)
    if labels is not None:
        rows = rows.filter(labels=dict(labels))
    newest = list(rows.order_by("series", "-at").distinct("series")[: SERIES_SHOWN + 1])
    changes = list(rows.order_by("-at", "-id")[:CHANGES_SHOWN])
    shown = [_change(row, at) for row in newest[:SERIES_SHOWN]]
    more = rows.values("series").distinct().count() - SERIES_SHOWN if len(newest) > SERIES_SHOWN else 0
    week = week_of(newest[0].slots) if len(newest) == 1 and newest[0].slots else None
    mark = DynamicThreshold.objects.filter(rule=rule).first()
    return Panel(mark, shown, [_change(row, row.at) for row in changes], more, week, bool(rule.spec.get("seasonal")))


def _change(row: ThresholdHistory, at: datetime) -> Change:
    return Change(row, row.slots[hour_of_week(at.timestamp())] if row.slots else row.value)


def week_of(slots: list[float | None]) -> Week | None:
    """Return the outline of a week; hours without a threshold are gaps."""
    known = [value for value in slots if value is not None]
    if not known:
        return None
    least, most = min(known), max(known)
    span, path, drawn = (most - least) or 1.0, "", False
    for hour, value in enumerate(slots):
        if value is None:
            drawn = False
            continue
        y = round(HEIGHT - 2 - (value - least) / span * (HEIGHT - 4), 1)
        x = round(hour * WIDTH / HOURS_OF_WEEK, 1)
        path += f"{'L' if drawn else 'M'}{x} {y}h{WIDTH // HOURS_OF_WEEK}"
        drawn = True
    return Week(path, least, most, len(slots) - len(known))
