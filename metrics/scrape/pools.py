"""Pools as people configure them: checked, versioned, audited; and as the scraper reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from aivillage_console.accounts.services import Actor, audit, source_named
from metrics.models import ScrapePool
from metrics.wire.scraping.configuration import Document, Include, read_document, secrets_joined, secrets_parted
from metrics.wire.scraping.fields import BadConfig
from metrics.wire.scraping.scrape_config import ScrapeConfig, one_config

MAX_POOLS = 2_000


class Invalid(ValueError):
    """What is wrong, by field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Keep the problems for the door to show."""
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = dict(problems)


class Outdated(Exception):
    """The pool was changed since the caller read it; `fresh` is how it stands now."""

    def __init__(self, fresh: ScrapePool) -> None:
        """Keep the fresh pool for the door to show."""
        super().__init__("the pool has changed since you read it")
        self.fresh = fresh


@dataclass(slots=True)
class Imported:
    """What an import did, pool by pool."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def config_of(pool: ScrapePool) -> ScrapeConfig:
    """Return the configuration of a pool with its secrets; raises BadConfig."""
    return one_config({**secrets_joined(pool.config, pool.unseal()), "job_name": pool.name})


def _checked(pool: ScrapePool) -> None:
    """Part the secrets from the configuration and check both; raises Invalid."""
    if not isinstance(pool.config, dict):
        raise Invalid({"config": "must be an object, as an entry of scrape_configs"})
    pool.config = {name: value for name, value in pool.config.items() if name != "job_name"}
    try:
        pool.config, secrets = secrets_parted(pool.config, pool.unseal())
        pool.seal(secrets)
        config_of(pool)
        pool.full_clean()
    except BadConfig as error:
        raise Invalid({"config": str(error)}) from None
    except ValidationError as error:
        raise Invalid({name: " ".join(texts) for name, texts in error.message_dict.items()}) from None


def pool_problems(pool: ScrapePool, name: str, config: Any) -> dict[str, str]:
    """Return what would be wrong with a pool of this name and configuration, by field."""
    trial = ScrapePool(id=pool.pk, name=name, config=config, secrets_sealed=pool.secrets_sealed)
    trial._state.adding = pool._state.adding
    try:
        _checked(trial)
    except Invalid as invalid:
        return invalid.problems
    return {}


def _facts(pool: ScrapePool) -> dict[str, Any]:
    return {"name": pool.name, "config": pool.config, "enabled": pool.enabled}


@transaction.atomic
def pool_save(pool: ScrapePool, *, actor: Actor, now: datetime, version: int | None = None) -> ScrapePool:
    """Store a pool; the scraper takes it over within seconds. A secret shown as <secret> stays what it was."""
    stored = None if pool._state.adding else ScrapePool.objects.select_for_update().get(pk=pool.pk)
    if stored is not None and version is not None and stored.version != version:
        raise Outdated(stored)
    if stored is None and ScrapePool.objects.count() >= MAX_POOLS:
        raise Invalid({"name": f"there are {MAX_POOLS} pools already, which is the most there may be"})
    pool.secrets_sealed = stored.secrets_sealed if stored is not None else None
    _checked(pool)
    before = None if stored is None else _facts(stored)
    pool.version = 1 if stored is None else stored.version + 1
    pool.source = pool.source or source_named(f"scrape {pool.name}"[:120])
    pool.save()
    audit(actor, f"scrapepool.{'create' if stored is None else 'update'}", pool, now=now, before=before,
          after=_facts(pool))  # fmt: skip
    return pool


@transaction.atomic
def pool_delete(pool: ScrapePool, *, actor: Actor, now: datetime) -> None:
    """Delete a pool; its samples stay."""
    audit(actor, "scrapepool.delete", pool, now=now, before=_facts(pool))
    pool.delete()


@transaction.atomic
def pools_import(text: str, *, actor: Actor, now: datetime, include: Include | None = None) -> Imported:
    """Make or change a pool for each entry of a Prometheus configuration, all or none; raises BadConfig or Invalid."""
    document = read_document(text, include)
    done = Imported(ignored=document.ignored)
    known = {pool.name: pool for pool in ScrapePool.objects.all()}
    for entry, config in zip(document.entries, document.configs, strict=True):
        _import_one(entry, config, known.get(config.job), done, actor=actor, now=now)
    return done


def _import_one(
    entry: dict[str, Any], config: ScrapeConfig, pool: ScrapePool | None, done: Imported, *, actor: Actor,
    now: datetime,
) -> None:  # fmt: skip
    given = {name: value for name, value in entry.items() if name != "job_name"}
    if pool is not None and secrets_joined(pool.config, pool.unseal()) == given:
        done.unchanged.append(config.job)
        return
    (done.created if pool is None else done.updated).append(config.job)
    pool = pool or ScrapePool(name=config.job)
    pool.config = given
    pool_save(pool, actor=actor, now=now)


def documented(pools: Sequence[ScrapePool]) -> Document:
    """Return pools as the entries they were, secrets hidden."""
    return Document([{"job_name": pool.name, **pool.config} for pool in pools])
