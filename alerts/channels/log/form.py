"""What a log channel may be configured with."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

KEYS = frozenset({"path"})
DEFAULT_PATH = "alerts.log"
LONGEST_PATH = 200


def problems(config: Mapping[str, Any], secret: str = "") -> dict[str, str]:
    """Return what is wrong by field; an empty map means all is well."""
    found = {key: "Unknown setting." for key in config if key not in KEYS}
    if not is_inside(config.get("path", DEFAULT_PATH)):
        found["path"] = "A name relative to the directory of alert logs belongs here, such as monitoring/alerts.log."
    if secret:
        found["secret"] = "A file takes no secret."  # noqa: S105
    return found


def is_inside(text: object) -> bool:
    """Say whether a path stays below the directory it is relative to."""
    if not isinstance(text, str) or not text or len(text) > LONGEST_PATH or not text.isprintable() or "\\" in text:
        return False
    path = PurePosixPath(text)
    return not path.is_absolute() and ".." not in path.parts and bool(path.name) and not text.endswith("/")


def address(config: Mapping[str, Any]) -> tuple[object, ...]:
    """Return which file it is."""
    return (config.get("path", DEFAULT_PATH),)
