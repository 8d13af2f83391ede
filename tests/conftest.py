"""Fixtures every test may use."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db.backends.base.base import BaseDatabaseWrapper

PROJECT_DIR = Path(__file__).resolve().parent.parent
# The same in every test: what Django makes of the models.
CONSTANT = {"django_content_type", "auth_permission"}


def _rows_deleted(_style: Any, connection: BaseDatabaseWrapper, **_options: Any) -> list[str]:
    """Return what empties the tables that a test has filled: a hundred empty ones cost TRUNCATE most of a second."""
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - CONSTANT
    names = sorted(connection.ops.quote_name(table) for table in tables)
    with connection.cursor() as cursor:
        asked = (f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in names)  # noqa: S608 (our own tables' names)
        cursor.execute(" UNION ALL ".join(asked))
        filled = [name for (name,) in cursor.fetchall()]
    # As a replica, or triggers would keep the histories that only ever grow, and foreign keys ask for an order.
    emptied = [f"DELETE FROM {name}" for name in filled]  # noqa: S608 (our own tables' names)
    return ["SET LOCAL session_replication_role = replica", *emptied]


@pytest.fixture(scope="session", autouse=True)
def _only_filled_tables_are_emptied() -> None:
    flush.sql_flush = _rows_deleted


@pytest.fixture(scope="session")
def project_dir() -> Path:
    """Root of the project."""
    return PROJECT_DIR


@pytest.fixture(scope="session")
def corpora_dir() -> Path:
    """Directory of the public test corpora; the test is skipped where there is none."""
    path = Path(os.environ.get("CORPORA_DIR") or PROJECT_DIR.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip("no corpora: set CORPORA_DIR")
    return path
