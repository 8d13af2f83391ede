"""A source, its token, and a process that remembers nothing of the test before."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from aivillage_console.accounts.authentication import forget_tokens
from aivillage_console.accounts.models import Role, Source, User
from aivillage_console.accounts.services import Actor, token_issue
from metrics.ingest import refusals, rows
from metrics.ingest.arrival import ARRIVAL
from metrics.ingest.writer import forget_series
from metrics.store.postgres import STORE


def _forget() -> None:
    forget_series()
    forget_tokens()
    rows.reset_gate()
    refusals._recording._levels.clear()
    STORE.forget()
    ARRIVAL.forget()


@pytest.fixture(autouse=True)
def _fresh_process_memory() -> Iterator[None]:
    _forget()
    yield
    _forget()


@pytest.fixture
def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


@pytest.fixture
def source(db: None) -> Source:
    return Source.objects.create(name="edge-1", service="edge")


@pytest.fixture
def issue(db: None, source: Source) -> Callable[..., str]:
    admin = User.objects.create_superuser("alice@example.org")

    def issued(*scopes: str, kind: str = "ingest", of: Source | None = source) -> str:
        _, plain = token_issue(
            name="t",
            kind=kind,
            scopes=scopes,
            actor=Actor.of_user(admin, None),
            now=datetime.now(UTC),
            source=of,
        )
        return plain

    return issued


@pytest.fixture
def token(issue: Callable[..., str]) -> str:
    return issue("ingest:metrics")


@pytest.fixture
def viewer(db: None) -> User:
    return User.objects.create_user("bob@example.org", role=Role.VIEWER)
