"""The configuration of a run as rows, beside the one of the run it goes on from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_ROWS = 500
LONGEST_VALUE = 400
DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `look` and `words` say how it differs from before, empty where it does not."""

    name: str
    value: str
    before: str = ""
    look: str = ""
    words: str = ""


def flat(config: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, str]:
    """Return nested settings by dotted names; what lies deeper than four levels stays JSON."""
    made: dict[str, str] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and value and depth < DEEPEST:
            made |= flat(value, f"{key}.", depth + 1)
        else:
            made[key] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return made


def compared(config: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[Setting]:
    """Return every setting by name, and how it differs from the ones before if there are any."""
    mine = flat(config)
    if before is None:
        return [Setting(name, value[:LONGEST_VALUE]) for name, value in sorted(mine.items())[:MOST_ROWS]]
    theirs = flat(before)
    return [_row(name, mine.get(name), theirs.get(name)) for name in sorted({*mine, *theirs})[:MOST_ROWS]]


def _row(name: str, value: str | None, before: str | None) -> Setting:
    shown, earlier = ((text or "")[:LONGEST_VALUE] for text in (value, before))
    if value == before:
        return Setting(name, shown, earlier)
    look, words = ("diff-add", "added") if before is None else ("diff-remove", "removed")
    if value is not None and before is not None:
        look, words = "diff-change", "changed"
    return Setting(name, shown, earlier, look, words)
