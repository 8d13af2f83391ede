"""Errors of the language, worded and placed as Prometheus does."""

from metrics.promql.types import QueryError


def place_of(query: str, position: int) -> str:
    """Return line and column, both counted from 1."""
    if not query:
        return "unknown position"
    before = query[:position]
    line, column = before.count("\n") + 1, position - before.rfind("\n")
    return f"{line}:{column}"


def mistake(query: str, position: int, message: str) -> QueryError:
    """Return the error for something wrong at a place of the query."""
    return QueryError(f"{place_of(query, position)}: parse error: {message}", "bad_data", position)
