"""SQL: a PostgreSQL server answers a read-only query."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg

from health.probes.addresses import checked_address, unknown_keys
from health.probes.results import Probe, Question, Result, Unanswered, healthy

KEYS = frozenset({"query"})
LONGEST_QUERY = 500


def problems(config: Mapping[str, Any], has_secret: bool) -> dict[str, str]:
    """Return what is wrong with the settings."""
    found = unknown_keys(config, KEYS)
    query = config.get("query", "SELECT 1")
    if not isinstance(query, str) or not 1 <= len(query) <= LONGEST_QUERY:
        found["query"] = f"must be a text of at most {LONGEST_QUERY} characters"
    if not has_secret:
        found["secret"] = "the URL is missing: postgresql://user:password@host:5432/database"  # noqa: S105
    return found


def url_problem(url: str, schemes: tuple[str, ...]) -> str:
    """Return why a URL of a server cannot be used; nothing of the URL is repeated, for it holds a password."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it raises where it is no number
    except ValueError:
        return "the URL cannot be read"
    if parts.scheme not in schemes or not parts.hostname:
        return f"the URL must begin with {schemes[0]}:// and name a host"
    return ""


def ask(question: Question) -> Result:
    """Run one query that may read only, on a connection of its own."""
    if problem := url_problem(question.secret, ("postgresql", "postgres")):
        raise Unanswered(problem)
    parts = urlsplit(question.secret)
    host, port = parts.hostname or "", parts.port or 5432
    milliseconds = int(question.timeout_seconds * 1000)
    try:
        with psycopg.connect(
            host=host, hostaddr=checked_address(host, port), port=port, user=unquote(parts.username or ""),
            password=unquote(parts.password or ""), dbname=unquote(parts.path.lstrip("/")),
            connect_timeout=max(2, int(question.timeout_seconds)), tcp_user_timeout=milliseconds,
            options=f"-c statement_timeout={milliseconds} -c default_transaction_read_only=on",
            application_name="console-check",
        ) as connection:  # fmt: skip
            row = connection.execute(str(question.config.get("query", "SELECT 1")).encode()).fetchone()
    except psycopg.Error as error:
        raise Unanswered(_first_line(error, parts.password or "")) from error
    value = "no row" if row is None else str(row[0])[:80]
    return healthy(f"{host}:{port} answered {value}")


def _first_line(error: psycopg.Error, password: str) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].replace(password, "•••") if password else lines[0]


SQL = Probe("SQL", KEYS, problems, ask, needs_secret=True)
