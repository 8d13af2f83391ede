"""What both doors share: what somebody may have filled in, and what only an admin may do."""

from collections.abc import Mapping

from django.conf import settings

from aivillage_console.env import environment
from alerts.services.as_code import Plan

DEFAULT_NAME = "configuration.yaml"
LONGEST_NAME = 200


def variables_for(*, admin: bool, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables a file may use: those it comes with, and for admins those of the console that are listed.

    No others: a file that is sent to a door must not be able to read the environment of the process.
    """
    known = environment() if admin else {}
    listed = {name: known[name] for name in settings.CONFIG.configuration_variables if name in known}
    return listed | dict(given or {})


def refusal(plan: Plan, *, admin: bool) -> str:
    """Return why somebody may not apply a plan, or an empty text."""
    if admin or not plan.guarded:
        return ""
    return f"Only an admin sets a secret or moves a channel to another address: {', '.join(sorted(plan.guarded))}."
