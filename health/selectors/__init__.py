"""Reading Health: the board of all components, one component's history, and what waits."""

from health.selectors.board import Board, CheckRow, Row, Totals, board, facts_at, totals
from health.selectors.history import History, history, results_of
from health.selectors.reporting import because, report_numbers
from health.selectors.work import overdue_checks

__all__ = [
    "Board",
    "CheckRow",
    "History",
    "Row",
    "Totals",
    "because",
    "board",
    "facts_at",
    "history",
    "overdue_checks",
    "report_numbers",
    "results_of",
    "totals",
]
