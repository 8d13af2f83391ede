"""Logic-less templates of annotations: `{{ $value }}` and `{{ $labels.name }}`, nothing else is looked up."""

import re
from collections.abc import Mapping

PLACE = re.compile(r"\{\{\s*\$(?:(?P<value>value)|labels\.(?P<label>[a-zA-Z_][a-zA-Z0-9_]*))\s*(?:\|[^{}]*)?\}\}")  # noqa: TID251
LONGEST = 65_536


def render(text: str, *, value: float | None, labels: Mapping[str, str]) -> str:
    """Return the text with its places filled; a label that is not there leaves nothing, other braces stay as text."""

    def fill(match: re.Match[str]) -> str:
        if match["value"]:
            return "" if value is None else f"{value:.4g}"
        return labels.get(match["label"], "")

    return PLACE.sub(fill, text[:LONGEST])[:LONGEST]
