"""Mail over SMTP, text and HTML, one thread an alert."""

from alerts.channels.email.form import address, problems
from alerts.channels.email.send import TOTAL_SECONDS, send
from alerts.engine.bucket import Rate

LABEL = "E-mail (SMTP)"
SECRET_LABEL = "Password of the SMTP user"  # noqa: S105
CONFIG_HELP = (
    '{"smtp_server": "smtp.example.org", "smtp_port": 587, "username": "console", "from": "console@example.org", '
    '"to_emails": ["team@example.org"]}; "security": "starttls" (usual), "tls" (usual on port 465) or "none"'
)
KEEPS_LINKS = True
RATE = Rate(per_minute=60, burst=10)

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
