"""What a message comes down to: alerts, changes, and what could not be read of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from alerts.engine.states import Severity

MOST_ALERTS = 500
MOST_LABELS = 48
LONGEST_NAME = 200
LONGEST_LABEL = 1024
LONGEST_LABEL_NAME = 100
LONGEST_TEXT = 16_000
LONGEST_KEY = 255
LONGEST_URL = 2000


class Unreadable(ValueError):
    """Nothing can be made of the message; the text says why, and what was expected."""


class Status(StrEnum):
    """What a sender says of its trouble."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One alert as its sender tells it; without a name it only speaks of what was told before under its key."""

    name: str
    status: Status
    severity: Severity = Severity.MEDIUM
    severity_text: str = ""  # As it was received; empty where the sender said none.
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    url: str = ""
    by: str = ""  # Who acknowledged or closed it at the sender.


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One change of what runs: a deploy, a build, an image, or anything else somebody did on purpose."""

    kind: str
    name: str
    status: str = ""
    at: datetime | None = None
    key: str = ""
    summary: str = ""
    url: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A message, read: what is good of it, and what is wrong with the rest."""

    alerts: tuple[Told, ...] = ()
    changes: tuple[Changed, ...] = ()
    problems: tuple[str, ...] = ()
    said: str = ""  # Why nothing came of it, where nothing did and nothing is wrong.
    reader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What is known besides the body: the headers a sender tells its event by, and what an integration was told."""

    event: str = ""
    key: str = ""  # What the address or a header says of the key.
    severity: Severity = Severity.MEDIUM
    mapping: Mapping[str, Any] = field(default_factory=dict)


def label_name(text: str) -> str:
    """Return a text as the name of a label."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text.strip())
    name = name.strip("_")
    return (f"_{name}" if name[:1].isdecimal() else name)[:LONGEST_LABEL_NAME]


def text_of(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return a scalar as a text, and nothing for what is none; a NUL has no place in a database."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value).replace("\x00", "").strip()[:longest]
    return ""


def labels_of(pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Return labels fit to be stored: names made proper, empty values left out, so many and no more."""
    found: dict[str, str] = {}
    for key, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
        name, text = label_name(str(key)), text_of(value, LONGEST_LABEL)
        if name and text and name not in found and len(found) < MOST_LABELS:
            found[name] = text
    return found


def texts_of(pairs: Mapping[Any, Any]) -> dict[str, str]:
    """Return annotations fit to be stored."""
    named = ((label_name(str(key)), text_of(value)) for key, value in pairs.items())
    return {name: text for name, text in named if name and text}


def url_of(value: object) -> str:
    """Return a web address, and nothing for what is none."""
    text = text_of(value, LONGEST_URL + 1)
    return text if text.startswith(("http://", "https://")) and len(text) <= LONGEST_URL else ""
