"""Pages of the metrics app: Explore and its helpers."""

from metrics.views.asking import ask
from metrics.views.completing import complete
from metrics.views.explore import explore, explore_csv
from metrics.views.windows import fitting_range, time_range

__all__ = ["ask", "complete", "explore", "explore_csv", "fitting_range", "time_range"]
