"""Three-way merge of what a file says, what the console has, and what both once had in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Side = Literal["file", "console"]
# Fields that are maps are merged key by key: two people may each add a label.
INSIDE = frozenset({"spec", "labels", "annotations", "config"})
GONE: Any = type("Gone", (), {"__repr__": lambda _: "(absent)", "__bool__": lambda _: False})()


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is to change: `labels.team`, `threshold` …."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field both sides changed to different values since they last agreed."""

    path: str
    base: Any
    console: Any
    file: Any
    chosen: Side | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """What comes of both, and where they contradict each other; an undecided conflict keeps the console's value."""

    fields: dict[str, Any]
    conflicts: tuple[Conflict, ...] = ()


def leaves(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with what is inside maps as fields of its own."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name in INSIDE and isinstance(value, Mapping):
            found |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            found[name] = value
    return found


def joined(flat: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of which `leaves` are given; `like` says which maps there are, if only empty ones."""
    found: dict[str, Any] = {name: {} for name, value in like.items() if name in INSIDE and isinstance(value, Mapping)}
    for path, value in flat.items():
        name, _, key = path.partition(".")
        if key and name in INSIDE:
            found.setdefault(name, {})[key] = value
        else:
            found[path] = value
    return found


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return what is different, field by field, in the order of the new ones."""
    before, after = leaves(old), leaves(new)
    paths = [*after, *(path for path in before if path not in after)]
    return [
        Difference(path, before.get(path, GONE), after.get(path, GONE))
        for path in paths
        if before.get(path, GONE) != after.get(path, GONE)
    ]


def merged(
    base: Mapping[str, Any] | None, console: Mapping[str, Any], file: Mapping[str, Any], choices: Mapping[str, Side]
) -> Merged:
    """Return what comes of both sides; without a base whatever the file mentions is the file's.

    `choices` decide conflicts by their path; the path `*` decides all others.
    """
    ours, theirs = leaves(console), leaves(file)
    if base is None:
        return Merged(joined({**_kept(ours, file), **theirs}, {**console, **file}))
    common = leaves(base)
    result: dict[str, Any] = {}
    conflicts = []
    for path in {**theirs, **ours, **common}:
        was, here, there = (side.get(path, GONE) for side in (common, ours, theirs))
        unsaid = path not in theirs and not _said(path, file)
        if unsaid or there in (was, here):
            value = here
        elif here == was:
            value = there
        else:
            chosen = choices.get(path, choices.get("*"))
            conflicts.append(Conflict(path, was, here, there, chosen))
            value = there if chosen == "file" else here
        if value is not GONE:
            result[path] = value
    return Merged(joined(result, {**console, **file}), tuple(conflicts))


def _kept(ours: Mapping[str, Any], file: Mapping[str, Any]) -> dict[str, Any]:
    """Return the console's fields the file says nothing of; a map it gives is given whole."""
    return {path: value for path, value in ours.items() if not _said(path, file)}


def _said(path: str, file: Mapping[str, Any]) -> bool:
    return path.partition(".")[0] in file
