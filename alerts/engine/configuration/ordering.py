"""The order of a list that both a file and the console know, of which each may have things the other has not."""

from collections.abc import Sequence
from dataclasses import dataclass

from alerts.engine.configuration.merging import Side


@dataclass(frozen=True, slots=True)
class Ordered:
    """The names in the order that comes of both, and whether the two contradict each other."""

    names: list[str]
    conflict: bool = False
    chosen: Side | None = None


def order_merged(
    base: Sequence[str] | None, console: Sequence[str], file: Sequence[str], chosen: Side | None
) -> Ordered:
    """Return the order of all names; things only one side has stay behind what they follow there."""
    both = set(console) & set(file)
    here, there = [name for name in console if name in both], [name for name in file if name in both]
    once = [name for name in base or () if name in both]
    if here == there:
        return Ordered(woven(console, file))
    if base is None or [name for name in here if name in once] == once:
        # Nobody has moved anything here since, so the file decides; new things do not count.
        return Ordered(woven(file, console))
    if [name for name in there if name in once] == once:
        return Ordered(woven(console, file))
    return Ordered(woven(file, console) if chosen == "file" else woven(console, file), conflict=True, chosen=chosen)


def woven(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Return the names of the first, and those of the second behind the one each follows there."""
    names = list(first)
    known = set(names)
    before: str | None = None
    for name in second:
        if name not in known:
            names.insert(names.index(before) + 1 if before is not None else 0, name)
            known.add(name)
        before = name
    return names
