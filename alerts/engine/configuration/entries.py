"""One thing a configuration names: what it is, what it says, and where."""

from dataclasses import dataclass, field
from typing import Any

Fields = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """A rule, channel, policy …: its fields in the console's own terms, and where in the file they stand."""

    section: str
    name: str
    fields: Fields
    line: int = 0
    column: int = 0
    file: str = ""
    # Where single fields stand, for what is found wrong with them later.
    lines: dict[str, tuple[int, int]] = field(default_factory=dict)
    # Fields that were written with variables: the text as it was written.
    written: dict[str, str] = field(default_factory=dict)
    # Those of them that have no value now: the names of the variables.
    unset: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # Nothing in the file says it: it is there because something else needs it.
    implied: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells it apart."""
        return self.section, self.name
