"""What can be read of Agent Forge. Every call takes the viewer and has a fixed number of queries."""

from forge_dashboard.selectors.gantt import GanttBar, Span, gantt
from forge_dashboard.selectors.inside import (
    CurveLine,
    FailureCard,
    LogTail,
    SimilarFailure,
    artifacts,
    checkpoints,
    curve_names,
    curves,
    failure,
    gates,
    log_tail,
)
from forge_dashboard.selectors.runs import (
    STATES,
    PhaseBar,
    RunDetail,
    RunRow,
    RunsPage,
    Tiles,
    active_rows,
    models_seen,
    run_detail,
    runs_page,
    shown_state,
    tiles,
    versions,
)
from forge_dashboard.selectors.usual import Usual

__all__ = [
    "STATES", "CurveLine", "FailureCard", "GanttBar", "LogTail", "PhaseBar", "RunDetail", "RunRow", "RunsPage",
    "SimilarFailure", "Span", "Tiles", "Usual", "active_rows", "artifacts", "checkpoints", "curve_names", "curves",
    "failure", "gantt", "gates", "log_tail", "models_seen", "run_detail", "runs_page", "shown_state", "tiles",
    "versions",
]  # fmt: skip
