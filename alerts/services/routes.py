"""Who is told by which policy: read whole, in one statement, because every decision asks."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection

from alerts.engine import escalation
from alerts.engine.alertmanager import syntax
from alerts.engine.correlation import Notify, Rule
from alerts.engine.episodes import Windows
from alerts.models import Channel
from alerts.pipeline import PolicyFacts, Step

# JSON made by the database, once for the channels and once for the policies. The ORM would need four statements and
# build a row of every column, which cost more than the decision itself.
READ = """
SELECT (
    SELECT coalesce(json_agg(json_build_object('id', id, 'name', name, 'filters', filters) ORDER BY name), '[]')
    FROM alerts_channel WHERE enabled
)::text, (
    SELECT coalesce(json_agg(json_build_object(
        'id', p.id, 'name', p.name, 'version', p.version, 'triggers', p.triggers, 'is_default', p.is_default,
        'steps', (
            SELECT coalesce(json_agg(json_build_object(
                'delay_seconds', s.delay_seconds, 'recipients', s.recipients, 'channels', (
                    SELECT coalesce(json_agg(c.id ORDER BY c.name), '[]') FROM alerts_policystep_channels m
                    JOIN alerts_channel c ON c.id = m.channel_id WHERE m.policystep_id = s.id
                )
            ) ORDER BY s.delay_seconds, s.position), '[]')
            FROM alerts_policystep s WHERE s.policy_id = p.id
        )
    ) ORDER BY p.position, p.name), '[]')
    FROM alerts_policy p WHERE p.enabled
)::text, (
    SELECT coalesce(json_agg(json_build_object(
        'id', id, 'name', name, 'group_key', group_key, 'window', time_window_seconds, 'patterns', alert_patterns,
        'matchers', label_matchers, 'notify', notify
    ) ORDER BY position, name), '[]') FROM alerts_correlationrule
    WHERE enabled AND coalesce((SELECT enable_correlation FROM alerts_alertsettings LIMIT 1), true)
)::text, EXISTS (SELECT 1 FROM alerts_incident), (
    SELECT json_build_object(
        'dedup_seconds', CASE WHEN enable_deduplication THEN deduplication_window_seconds ELSE 0 END,
        'correlates', enable_correlation, 'batch_size', batch_size,
        'per_minute', max_alerts_per_minute
    ) FROM alerts_alertsettings
)::text
"""


# The same text means the same routes, so an unchanged configuration is parsed once a process.
@functools.lru_cache(maxsize=4)
def _channels(text: str) -> dict[str, Channel]:
    rows = orjson.loads(text)
    return {row["id"]: Channel(id=UUID(row["id"]), name=row["name"], filters=row["filters"]) for row in rows}


@functools.lru_cache(maxsize=4)
def _policies(text: str) -> tuple[PolicyFacts, ...]:
    return tuple(
        PolicyFacts(
            row["id"], row["name"], row["version"], row["triggers"],
            tuple(Step(s["delay_seconds"], tuple(s["channels"]), tuple(s["recipients"])) for s in row["steps"]),
            row["is_default"],
        )
        for row in orjson.loads(text)
    )  # fmt: skip


@functools.lru_cache(maxsize=4)
def _correlation(text: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            id=row["id"], name=row["name"], group_key=tuple(row["group_key"]), window_seconds=row["window"],
            patterns=tuple(row["patterns"]), notify=Notify(row["notify"]),
            matchers=tuple(each for each_text in row["matchers"] for each in syntax.matchers(each_text)),
        )
        for row in orjson.loads(text)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Settings:
    windows: Windows = field(default_factory=Windows)
    correlates: bool = True
    batch_size: int = 100
    per_minute: int | None = None


@functools.lru_cache(maxsize=4)
def _settings(text: str | None) -> _Settings:
    """Return the settings; without a row, what is usual."""
    if text is None:
        return _Settings()
    row = orjson.loads(text)
    windows = Windows(dedup_seconds=row["dedup_seconds"])
    return _Settings(windows, row["correlates"], row["batch_size"], row["per_minute"])


@dataclass
class Routes:
    """The channels and policies as they were at the first question; one for each transaction."""

    @cached_property
    def _read(self) -> tuple[str, str, str, bool, str | None]:
        with connection.cursor() as cursor:
            cursor.execute(READ)
            channels, policies, correlation, any_incident, row = cursor.fetchone()
        return channels, policies, correlation, any_incident, row

    @property
    def channels(self) -> dict[str, Channel]:
        """Return the channels that are on by their ids, with no more than name and filters."""
        return _channels(self._read[0])

    @property
    def policies(self) -> tuple[PolicyFacts, ...]:
        """Return the policies that are on, in their order."""
        return _policies(self._read[1])

    @property
    def correlation(self) -> tuple[Rule, ...]:
        """Return the correlation rules that are on, in their order; none where the settings switch them off."""
        return _correlation(self._read[2]) if _settings(self._read[4]).correlates else ()

    @property
    def windows(self) -> Windows:
        """Return how long things are held against an alert."""
        return _settings(self._read[4]).windows

    @property
    def batch_size(self) -> int:
        """Return how many alerts are decided in one transaction."""
        return _settings(self._read[4]).batch_size

    @property
    def any_incident(self) -> bool:
        """Say whether there is any incident at all."""
        return self._read[3]

    @property
    def max_alerts_per_minute(self) -> int:
        """Return how many messages a channel gets a minute before the rest is told in a digest."""
        told = _settings(self._read[4]).per_minute
        return settings.CONFIG.max_alerts_per_minute if told is None else told

    def everyone(self, facts: Mapping[str, str]) -> tuple[str, ...]:
        """Return the channels whose filters fit."""
        return tuple(pk for pk, channel in self.channels.items() if escalation.matches(channel.filters, facts))
