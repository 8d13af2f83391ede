"""One head block into PostgreSQL by the shortest way the driver has: a statement prepared once a connection.

It costs the console half of what a cursor does, and the server neither parsing nor planning. A pooler in between may
hand the next statement to another server connection: a name unknown there is prepared again.
"""

import struct
from contextlib import suppress
from weakref import WeakSet

import numpy as np
import psycopg
from psycopg import pq

from metrics.store import head_block
from metrics.store.columns import Samples

NAME = b"head_insert"
# Only by who knows all marks of series that leave (store/fence.py).
SQL = (
    "INSERT INTO metrics_headblock (t_min, t_max, samples, data) SELECT {}, {}, {}, {}"
    " WHERE NOT EXISTS (SELECT FROM metrics_seriesfence WHERE epoch > {})"
)
_CURSOR_SQL = SQL.format("%s::bigint", "%s::bigint", "%s::integer", "%s::bytea", "%s::bigint")
_PREPARED_SQL = SQL.format("$1", "$2", "$3", "$4", "$5").encode()
_TYPES = [20, 20, 23, 17, 20]  # int8, int8, int4, bytea, int8
_BINARY = [1, 1, 1, 1, 1]
_INT8, _INT4 = struct.Struct(">q"), struct.Struct(">i")
_prepared: WeakSet[psycopg.Connection[tuple[object, ...]]] = WeakSet()


def head_insert(connection: psycopg.Connection[tuple[object, ...]], samples: Samples, epoch: int) -> bool:
    """Write one head block; inside a transaction it is part of it, else it is one.

    Returns whether it is written: not where series were marked as leaving since `epoch`.
    """
    first, last = int(np.min(samples.timestamps_ms)), int(np.max(samples.timestamps_ms))
    size, block = int(samples.values.size), head_block.encode(samples)
    if not connection.autocommit:
        # The driver begins the transaction with the first statement that it sees.
        return connection.execute(_CURSOR_SQL, [first, last, size, block, epoch]).rowcount > 0
    values = [_INT8.pack(first), _INT8.pack(last), _INT4.pack(size), block, _INT8.pack(epoch)]
    try:
        return _run(connection, values)
    except psycopg.errors.InvalidSqlStatementName:
        _prepared.discard(connection)
        return _run(connection, values)


def _run(connection: psycopg.Connection[tuple[object, ...]], values: list[bytes]) -> bool:
    if connection not in _prepared:
        # Behind a pooler another of our connections may have prepared it there.
        with suppress(psycopg.errors.DuplicatePreparedStatement):
            _check(connection.pgconn.prepare(NAME, _PREPARED_SQL, _TYPES))
        _prepared.add(connection)
    result = connection.pgconn.exec_prepared(NAME, values, _BINARY)
    _check(result)
    return bool(result.command_tuples)


def _check(result: pq.abc.PGresult) -> None:
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result)
