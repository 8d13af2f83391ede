"""Column helpers the tables share."""

from enum import StrEnum

from django.db import models


def choices(states: type[StrEnum]) -> list[tuple[str, str]]:
    """Return an engine's enumeration as Django choices."""
    return [(state.value, state.value.replace("_", " ").capitalize()) for state in states]


def only(column: str, states: type[StrEnum]) -> models.Q:
    """Return the condition that the column holds one of the enumeration's values."""
    return models.Q(**{f"{column}__in": [state.value for state in states]})
