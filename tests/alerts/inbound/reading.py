"""Shorthands of the tests of readers."""

from typing import Any

from alerts.engine.inbound import tools
from alerts.engine.inbound.told import Hints, Reading, Told


def read(tool: str, payload: Any, **hints: Any) -> Reading:
    """Return what a payload comes down to."""
    return tools.read(tool, payload, Hints(**hints))


def one(tool: str, payload: Any, **hints: Any) -> Told:
    """Return the one alert of a payload."""
    (told,) = read(tool, payload, **hints).alerts
    return told
