"""Queries as text and as trees, without evaluating them."""

from django.conf import settings

from metrics.compat.answers import Asked, data_answer, endpoint
from metrics.compat.parameters import bad
from metrics.promql import parsing
from metrics.promql.syntax.printing import pretty
from metrics.promql.types import QueryError


def _plan(asked: Asked) -> parsing.Plan:
    try:
        return parsing.parse(asked.values.get("query", ""), experimental=settings.CONFIG.promql_experimental)
    except QueryError as error:
        raise bad("query", str(error)) from None


@endpoint("GET", "POST")
def format_query(asked: Asked) -> bytes:
    """GET or POST /api/v1/format_query."""
    return data_answer(pretty(_plan(asked).tree))


@endpoint("GET", "POST")
def parse_query(asked: Asked) -> bytes:
    """GET or POST /api/v1/parse_query."""
    return data_answer(parsing.tree_of(_plan(asked)))
