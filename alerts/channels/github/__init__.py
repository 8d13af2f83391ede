"""GitHub: one issue an alert, commented, closed and reopened with it."""

from alerts.channels.github.form import address, problems
from alerts.channels.github.send import TOTAL_SECONDS, send
from alerts.engine.bucket import Rate

LABEL = "GitHub issue"
SECRET_LABEL = "Token with permission to write issues (github_pat_…)"  # noqa: S105
CONFIG_HELP = (
    '{"repo": "owner/name", "labels": ["ops"], "assignees": ["alice"], '
    '"assignees_by_component": {"security": ["bob"]}, "docs": {"security": "https://…"}}'
)
KEEPS_LINKS = True
TELLS_UPDATES = True
# No burst: whatever the process, the content of two messages is created a second apart.
RATE = Rate(per_minute=60, burst=1, per_hour=400)

__all__ = [
    "CONFIG_HELP",
    "KEEPS_LINKS",
    "LABEL",
    "RATE",
    "SECRET_LABEL",
    "TELLS_UPDATES",
    "TOTAL_SECONDS",
    "address",
    "problems",
    "send",
]
