"""The words of Security: bands, event types and detectors. No Django, no I/O."""

import re
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address


class Band(StrEnum):
    """How bad a score is."""

    CRITICAL = "critical"  # From 0.9: the address is blocked.
    HIGH = "high"  # From 0.7: people are told.
    MEDIUM = "medium"  # From 0.5.
    LOW = "low"  # Below.


BANDS: tuple[tuple[Band, float], ...] = (
    (Band.CRITICAL, 0.9), (Band.HIGH, 0.7), (Band.MEDIUM, 0.5), (Band.LOW, 0.0),
)  # fmt: skip


class Signal(StrEnum):
    """What an event counts as in the windows of the detectors."""

    FAILURE = "failure"  # A try to sign in that failed.
    SUCCESS = "success"  # A try that succeeded.
    REQUEST = "request"  # Ordinary traffic, counted by the rate limit.
    OTHER = "other"  # Neither: something somebody thought worth telling.


class Detector(StrEnum):
    """What finds."""

    BRUTE_FORCE = "brute_force"
    DISTRIBUTED = "distributed_brute_force"
    SLOW_BRUTE_FORCE = "slow_brute_force"
    SPRAYING = "password_spraying"
    STUFFING = "credential_stuffing"
    SQL_INJECTION = "sql_injection"
    XSS = "xss"
    TRAVERSAL = "path_traversal"
    COMMAND = "command_injection"
    RATE_LIMIT = "rate_limit"
    BEHAVIOUR = "anomalous_behavior"
    EXFILTRATION = "data_exfiltration"
    TOOL_USE = "tool_use"
    KIND = "event_kind"


# What people are shown.
DETECTOR_NAMES = {
    Detector.BRUTE_FORCE: "Brute force", Detector.DISTRIBUTED: "Distributed brute force",
    Detector.SLOW_BRUTE_FORCE: "Slow brute force", Detector.SPRAYING: "Password spraying",
    Detector.STUFFING: "Credential stuffing", Detector.SQL_INJECTION: "SQL injection", Detector.XSS: "XSS",
    Detector.TRAVERSAL: "Path traversal", Detector.COMMAND: "Command injection", Detector.RATE_LIMIT: "Rate limit",
    Detector.BEHAVIOUR: "Anomalous behavior", Detector.EXFILTRATION: "Data exfiltration",
    Detector.TOOL_USE: "Risky tool use", Detector.KIND: "Alarming event",
}  # fmt: skip
# Found in many addresses together: evidence about the attack, not about any one of them.
DISTRIBUTED = frozenset({Detector.DISTRIBUTED, Detector.STUFFING})

FAILURE_TYPES = frozenset({"auth_failure", "authentication_failure", "auth_error"})
SUCCESS_TYPES = frozenset({"auth_success", "authentication_success"})
REQUEST_TYPES = frozenset({"api_request", "rate_limit_violation"})
KNOWN_TYPES = FAILURE_TYPES | SUCCESS_TYPES | REQUEST_TYPES | {
    "sql_injection_attempt", "anomalous_behavior", "privilege_escalation", "high_risk_tool_usage", "suspicious_command",
    "brute_force", "sql_injection", "rate_limiting", "authorization_failure", "suspicious_activity",
    "data_access_violation", "configuration_change", "vulnerability_detected", "compliance_violation",
    "malware_detected", "brute_force_attack", "xss_attempt", "password_spraying", "credential_stuffing",
    "impossible_travel", "data_exfiltration", "path_traversal", "command_injection", "ssrf", "template_injection",
}  # fmt: skip

SIGN_IN_ATTACKS = frozenset({"brute_force", "brute_force_attack", "password_spraying", "credential_stuffing"})
SIGN_IN_ENDPOINT = re.compile(r"/(?:log-?in|sign-?in|sessions?|tokens?|oauth2?|auth)(?:/|$)", re.IGNORECASE)  # noqa: TID251


def detector_name(code: str) -> str:
    """Return what people are shown for a detector; what nobody knows is shown as it is."""
    return DETECTOR_NAMES[Detector(code)] if code in DETECTOR_NAMES else code


def named_together(codes: Sequence[str], most: int = 3) -> str:
    """Return the names of detectors as a part of a sentence, the first with a capital letter."""
    names = [detector_name(code) for code in codes]
    rest = len(names) - most
    names = [*names[:most], f"{rest} more"] if rest > 0 else names
    # Of abbreviations only the first letter would become small.
    lower = [name if name[:2].isupper() else name[:1].lower() + name[1:] for name in names[1:]]
    return " and ".join(filter(None, [", ".join([*names[:1], *lower[:-1]]), *lower[-1:]]))


def is_aimed_at_user(event_type: str, signal: str, endpoint: str) -> bool:
    """Tell whether an event only names its user: who tries to sign in has not shown yet to be that user."""
    return signal == Signal.FAILURE or event_type in SIGN_IN_ATTACKS or SIGN_IN_ENDPOINT.search(endpoint) is not None


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """Return an address, an IPv4 one in IPv6's clothes as what it is; raise ValueError for none."""
    address = ip_address(text.strip())
    if isinstance(address, IPv6Address) and address.scope_id:
        raise ValueError("an address with a zone means something on one machine only")
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def signal_of(event_type: str, success: object = None) -> Signal:
    """Return what an event counts as; `success` is what its details say about a try to sign in."""
    if event_type in FAILURE_TYPES:
        return Signal.FAILURE
    if event_type in SUCCESS_TYPES:
        return Signal.SUCCESS
    if event_type in REQUEST_TYPES:
        return Signal.REQUEST
    if event_type.startswith(("auth", "login")) and isinstance(success, bool):
        return Signal.SUCCESS if success else Signal.FAILURE
    return Signal.OTHER
