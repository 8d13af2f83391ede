"""Pages of Agent Forge: the list of runs, one run, and the pulse that keeps an open page fresh."""

from forge_dashboard.views.pulse import pulse
from forge_dashboard.views.run import run
from forge_dashboard.views.runs import runs

__all__ = ["pulse", "run", "runs"]
