"""The driver's own connection: binary parameters and results, which Django's cursor would turn into text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def raw_cursor() -> Iterator[psycopg.Cursor[Any]]:
    """Yield a binary cursor on this thread's connection, inside its transaction if there is one.

    The driver's errors come out as Django's, as from any other cursor.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.format = psycopg.pq.Format.BINARY
        yield cursor
