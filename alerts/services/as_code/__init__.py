"""The console's configuration as files: planned, applied, exported."""

from alerts.services.as_code.applying import Changed, Undecided, configuration_apply
from alerts.services.as_code.exporting import configuration_export
from alerts.services.as_code.planning import configuration_plan
from alerts.services.as_code.plans import Given, Plan, Step, Wish

__all__ = [
    "Changed",
    "Given",
    "Plan",
    "Step",
    "Undecided",
    "Wish",
    "configuration_apply",
    "configuration_export",
    "configuration_plan",
]
