"""Codes whose meaning only their sender's documentation tells, known by the fields that stand beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts.engine.inbound.told import Status
from alerts.engine.inbound.walking import Leaf
from alerts.engine.inbound.words import score
from alerts.engine.states import Severity


@dataclass(frozen=True, slots=True)
class Coded:
    """A field under a key, in a payload that also has one of these keys, and what its values mean; no keys: always."""

    key: str
    beside: frozenset[str]
    severities: Mapping[str, Severity] | float = 0  # A number: scores up to so much.
    statuses: Mapping[str, Status] | None = None


_RISING = (Severity.LOW, Severity.LOW, Severity.MEDIUM, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
_DOWN_UP = {"1": Status.FIRING, "2": Status.RESOLVED}
CODES = (
    # Event managers that rank 1 the mildest.
    Coded("priority", frozenset(("eventdefinitionid",)), {
        "1": Severity.LOW, "2": Severity.MEDIUM, "3": Severity.HIGH, "4": Severity.CRITICAL}),
    # Trigger severities 0 to 5, the higher the worse.
    *(Coded(key, frozenset(("triggerid",)), dict(zip("012345", _RISING, strict=True)))
      for key in ("severity", "nseverity", "eventnseverity", "triggernseverity", "triggerseverity", "eventseverity",
                  "priority")),
    # Levels of logging libraries.
    Coded("level", frozenset(), {"10": Severity.LOW, "20": Severity.LOW, "30": Severity.MEDIUM, "40": Severity.HIGH,
                                 "50": Severity.CRITICAL, "60": Severity.CRITICAL}),
    # Intrusion detection: rule levels up to 15.
    Coded("level", frozenset(("firedtimes", "decoder", "fulllog")), 15),
    # Threat findings: 0 to 10.
    Coded("severity", frozenset(("detectorid", "findingarn")), 10),
    Coded("alerttype", frozenset(("monitorfriendlyname", "alerttypefriendlyname")), statuses=_DOWN_UP),
    # Metric alarms: what a trigger is worth.
    Coded("eventvalue", frozenset(("triggerid", "eventid")), statuses={"1": Status.FIRING, "0": Status.RESOLVED}),
)  # fmt: skip


def severity_of(found: Sequence[Leaf]) -> tuple[str, Severity] | None:
    """Return the code and what it means, where a payload has one that is known."""
    for code, leaf in _codes(found):
        if isinstance(code.severities, Mapping):
            if leaf.text in code.severities:
                return leaf.text, code.severities[leaf.text]
        elif code.severities and leaf.text.replace(".", "", 1).isdecimal():
            return leaf.text, score(float(leaf.text) / code.severities)
    return None


def status_of(found: Sequence[Leaf]) -> Status | None:
    """Return the state a code means, where a payload has one that is known."""
    told = (code.statuses.get(leaf.text) for code, leaf in _codes(found) if code.statuses)
    return next((status for status in told if status is not None), None)


def _codes(found: Sequence[Leaf]) -> list[tuple[Coded, Leaf]]:
    keys = {leaf.key for leaf in found} | {parent for leaf in found for parent in leaf.parents}
    return [
        (code, leaf)
        for code in CODES
        if code.beside & keys or not code.beside
        for leaf in found
        if leaf.key == code.key
    ]
