"""A line for each message in a file of the state directory, for what reads files."""

from alerts.channels.log.form import address, problems
from alerts.channels.log.send import TOTAL_SECONDS, send

LABEL = "Log file"
SECRET_LABEL = "None: a file takes no secret"  # noqa: S105
CONFIG_HELP = '{"path": "monitoring/alerts.log"}, below alert-logs/ of the state directory'
KEEPS_LINKS = False
RATE = None

__all__ = [
    "CONFIG_HELP",
    "KEEPS_LINKS",
    "LABEL",
    "RATE",
    "SECRET_LABEL",
    "TOTAL_SECONDS",
    "address",
    "problems",
    "send",
]
