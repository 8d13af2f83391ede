"""What a mail channel may be configured with."""

from collections.abc import Mapping
from email.utils import parseaddr
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

KEYS = frozenset({"smtp_server", "smtp_port", "username", "from", "to_emails", "security", "tls_1_2"})
SECURITY = ("starttls", "tls", "none")
PORTS = frozenset({25, 465, 587, 2525})
RECIPIENTS = 50
DEFAULT_PORT = 587


def problems(config: Mapping[str, Any], secret: str = "") -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {key: "Unknown setting." for key in config if key not in KEYS}
    found |= _server_problems(config)
    sender = config.get("from") or config.get("username")
    if not is_mailbox(sender):
        found["from"] = "The mail needs a sender, such as console@example.org."
    found |= _recipient_problems(config.get("to_emails", []))
    if secret and not config.get("username"):
        found["username"] = "A password needs its user name."
    if any(letter in secret for letter in "\r\n\x00"):
        found["secret"] = "The password holds a line end."  # noqa: S105
    return found


def _server_problems(config: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    server, port = config.get("smtp_server"), config.get("smtp_port", DEFAULT_PORT)
    if not isinstance(server, str) or not server or len(server) > 253 or any(c in server for c in " \r\n\t/@\\"):
        found["smtp_server"] = "The name of a mail server belongs here, such as smtp.example.org."
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65_536:
        found["smtp_port"] = "A port is a number; 587 is usual."
    if config.get("security", "starttls") not in SECURITY:
        found["security"] = f"One of {', '.join(SECURITY)}."
    if not isinstance(config.get("tls_1_2", False), bool):
        found["tls_1_2"] = "True or false: also talk TLS 1.2 to this server."
    if not isinstance(config.get("username", ""), str):
        found["username"] = "The name of the SMTP user is a text."
    return found


def _recipient_problems(recipients: object) -> dict[str, str]:
    if not isinstance(recipients, list) or len(recipients) > RECIPIENTS:
        return {"to_emails": f"A list of up to {RECIPIENTS} addresses belongs here."}
    wrong = [str(each)[:100] for each in recipients if not is_mailbox(each)]
    return {"to_emails": f"Not an address: {', '.join(wrong[:3])}."} if wrong else {}


def is_mailbox(text: object) -> bool:
    """Say whether a text is one address, alone or with a name before it."""
    if not isinstance(text, str) or any(not letter.isprintable() for letter in text) or len(text) > 320:
        return False
    try:
        validate_email(parseaddr(text)[1])
    except ValidationError:
        return False
    return text.count("@") == 1 or "<" in text


def address(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return where the password goes and how well it is hidden on the way."""
    port = config.get("smtp_port", DEFAULT_PORT)
    return (config.get("smtp_server"), port, security_of(config))


def security_of(config: Mapping[str, Any]) -> str:
    """Return how the connection is encrypted."""
    usual = "tls" if config.get("smtp_port") == 465 else "starttls"
    return str(config.get("security") or usual)
