"""The scraper: keeps the pools that are configured running, in one event loop."""

import asyncio
import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from django.db import DatabaseError, InterfaceError

from metrics.models import ScrapePool
from metrics.scrape.discovery import Labels, Source, sources_of
from metrics.scrape.entrance import context_of
from metrics.scrape.pools import config_of
from metrics.scrape.records import Roll, pools_forget, roll_write, states_write
from metrics.scrape.sink import FLUSH_SECONDS, Sink
from metrics.scrape.target import RunningTarget
from metrics.wire.scraping.fields import BadConfig
from metrics.wire.scraping.scrape_config import ScrapeConfig
from metrics.wire.scraping.targets import Target, build_target, discovered_labels

LOOK_SECONDS = 2.0
STATES_SECONDS = 5.0
MAX_TARGETS = 20_000
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Configured:
    """A pool as it stands in the database."""

    id: UUID
    version: int
    source_id: UUID
    config: ScrapeConfig | None
    error: str = ""


@dataclass(eq=False)
class RunningPool:
    """A pool that is scraped."""

    known: Configured
    sources: list[Source]
    targets: dict[str, RunningTarget] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    unwritten: Roll | None = None


def pools_configured() -> list[Configured]:
    """Return the pools that are to be scraped."""
    found = []
    for pool in ScrapePool.objects.filter(enabled=True, source__isnull=False):
        try:
            config, error = config_of(pool), ""
        except ValueError as problem:
            config, error = None, str(problem)
        found.append(Configured(pool.pk, pool.version, pool.source_id, config, error))  # type: ignore[arg-type]
    return found


def pools_mark() -> tuple[object, ...]:
    """Return something that is another whenever a pool was changed."""
    return tuple(ScrapePool.objects.order_by("pk").values_list("pk", "version", "enabled"))


class Scraper:
    """All pools of one process."""

    def __init__(self) -> None:
        """Start with no pool."""
        self._sink = Sink()
        self._pools: dict[UUID, RunningPool] = {}
        self._mark: tuple[object, ...] | None = None
        self._states_at = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Scrape until told to stop; then store what was scraped."""
        try:
            while not stopping.is_set():
                began = time.monotonic()
                try:
                    await self._turn(began)
                except (DatabaseError, InterfaceError) as error:
                    log.warning("scraper.database_away", error=str(error)[:200])
                wait = FLUSH_SECONDS if self._pools else LOOK_SECONDS
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), max(0.1, wait - (time.monotonic() - began)))
        finally:
            for pool in self._pools.values():
                await self._stop(pool, list(pool.tasks), stale=False)
                await _closed(pool)
            await self._sink.flush()
            self._sink.close()

    async def _turn(self, now: float) -> None:
        mark = await self._sink.call(pools_mark)
        if mark != self._mark:
            await self._configure()
            self._mark = mark
        for pool in self._pools.values():
            if [True for source in pool.sources if await source.refresh(now)]:
                await self._sync(pool)
            elif pool.unwritten is not None:
                await self._write(pool)
        await self._sink.flush()
        if now - self._states_at >= STATES_SECONDS:
            self._states_at = now
            await self._tell()

    async def _configure(self) -> None:
        wanted = {pool.id: pool for pool in await self._sink.call(pools_configured)}
        for pool_id in [one for one, pool in self._pools.items() if wanted.get(one) != pool.known]:
            pool = self._pools.pop(pool_id)
            await _closed(pool)
            # A changed pool goes on where its targets do: only what is gone for good ends.
            after = wanted.get(pool_id)
            if after is None or after.config is None:
                await self._stop(pool, list(pool.tasks), stale=True)
            else:
                await self._replace(pool, after)
        for known in wanted.values():
            if known.id not in self._pools:
                await self._start(known)
        await self._sink.call(pools_forget, list(self._pools))

    async def _start(self, known: Configured) -> None:
        sources = sources_of(known.config) if known.config else []
        self._pools[known.id] = pool = RunningPool(known, sources)
        if not sources:
            await self._sync(pool)

    async def _replace(self, old: RunningPool, known: Configured) -> None:
        """Run the changed pool; targets that it has no more are marked as ended."""
        await self._stop(old, list(old.tasks), stale=False, keep=True)
        await self._start(known)
        pool = self._pools[known.id]
        for source in pool.sources:
            await source.refresh(time.monotonic())
        await self._sync(pool)
        for key, target in old.targets.items():
            await target.end(stale=key not in pool.targets)

    async def _sync(self, pool: RunningPool) -> None:
        """Make the targets of a pool those that were discovered."""
        config = pool.known.config
        if config is None:
            pool.unwritten = Roll(pool.known.id, [], [], [], pool.known.error[:500])
            await self._write(pool)
            return
        active, dropped, refused = _sorted(config, [labels for source in pool.sources for labels in source.found])
        error = "; ".join(source.error for source in pool.sources if source.error)
        if config.target_limit and len(active) > config.target_limit:
            error = f"target_limit exceeded: {len(active)} targets, limit {config.target_limit}"
        await self._stop(pool, [key for key in pool.tasks if key not in active], stale=True)
        await self._start_targets(pool, config, active.values())
        for running in pool.targets.values():
            running.refusal = error if error.startswith("target_limit") else ""
        pool.unwritten = Roll(pool.known.id, list(active.values()), dropped, refused, error[:500])
        await self._write(pool)

    async def _start_targets(self, pool: RunningPool, config: ScrapeConfig, targets: Iterable[Target]) -> None:
        context, source_id = None, pool.known.source_id
        new = [target for target in targets if target.key not in pool.targets]
        if any(target.url.startswith("https://") for target in new):
            try:
                context = context_of(config.access.tls)
            except BadConfig as error:
                pool.sources[0].error = str(error)
                return
        for target in new:
            running = RunningTarget(target, config, sink=self._sink, source_id=source_id, context=context)
            pool.targets[target.key] = running
            pool.tasks[target.key] = asyncio.create_task(running.run())

    async def _write(self, pool: RunningPool) -> None:
        if pool.unwritten is not None:
            pool.rows = await self._sink.call(roll_write, pool.unwritten)
            pool.unwritten = None
            for target in pool.targets.values():
                target.state.changed = True

    async def _stop(self, pool: RunningPool, keys: list[str], *, stale: bool, keep: bool = False) -> None:
        tasks = [pool.tasks.pop(key) for key in keys]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if keep:
            return
        for key in keys:
            await pool.targets.pop(key).end(stale=stale)

    async def _tell(self) -> None:
        """Write the states that have changed."""
        rows = []
        for pool in self._pools.values():
            for key, task in list(pool.tasks.items()):
                if task.done() and not task.cancelled():
                    # Not one of the ways a scrape may fail: the next round starts the target anew.
                    log.error("scraper.target_ended", target=pool.targets[key].target.url, exc_info=task.exception())
                    pool.tasks[key] = asyncio.create_task(pool.targets[key].run())
            for key, target in pool.targets.items():
                if target.state.changed and target.state.at is not None and key in pool.rows:
                    rows.append((pool.rows[key], target.state))
                    target.state.changed = False
        await self._sink.call(states_write, rows)


async def _closed(pool: RunningPool) -> None:
    for source in pool.sources:
        if source.close is not None:
            await source.close()


def _sorted(
    config: ScrapeConfig, found: list[Labels]
) -> tuple[dict[str, Target], list[Labels], list[tuple[Labels, str]]]:
    """Return active targets by key, dropped ones, and those that make no sense with the reason."""
    active: dict[str, Target] = {}
    dropped: list[Labels] = []
    refused: list[tuple[Labels, str]] = []
    for labels in found:
        discovered = discovered_labels(config, labels)
        try:
            target = build_target(config, discovered)
        except BadConfig as error:
            refused.append((discovered, str(error)))
            continue
        if target is None:
            dropped.append(discovered)
        elif len(active) < MAX_TARGETS:
            active[target.key] = target
        else:
            refused.append((discovered, f"more than {MAX_TARGETS} targets in one pool"))
    return active, dropped, refused
