"""Where samples are kept: the one place that decides it."""

from functools import lru_cache

from django.conf import settings

from metrics.remote_store.engine import RemoteStore
from metrics.store.postgres import STORE, PostgresStore


@lru_cache(maxsize=4)
def _remote(url: str) -> RemoteStore:
    return RemoteStore(url)


def chosen_store() -> PostgresStore | RemoteStore:
    """Return the engine that METRICS_STORE_URL names, PostgreSQL without it."""
    url = settings.CONFIG.metrics_store_url
    return _remote(url) if url else STORE
