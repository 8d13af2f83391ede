"""Reading Health: the board of all components, one component's history, and what waits."""

from health.selectors.board import Board, CheckRow, Row, Totals, board, facts_at, totals
from health.selectors.history import History, history, results_of
from health.selectors.work import overdue_checks

__all__ = [
    "Board",
    "CheckRow",
    "History",
    "Row",
    "Totals",
    "board",
    "facts_at",
    "history",
    "overdue_checks",
    "results_of",
    "totals",
]
