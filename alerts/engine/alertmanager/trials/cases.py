"""What came of one expectation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One expectation, met or not."""

    name: str
    ok: bool
    message: str = ""


def compared(name: str, got: object, wanted: object) -> Case:
    """Return whether what came is what was wanted."""
    ok = got == wanted
    return Case(name, ok, "" if ok else f"got {got!r}, wanted {wanted!r}")
