"""What an import would do, as data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.db import models

from alerts.engine.configuration.entries import Entry
from alerts.engine.configuration.merging import Conflict, Difference, Side
from alerts.services.as_code.reaching import Reach
from alerts.services.as_code.resolving import Wanted
from alerts.services.as_code.state import ORDER, Key, State

Action = Literal["create", "change", "delete", "keep", "gone", "left"]
Choices = Mapping[str, Side]
WHOLE = "(all of it)"


@dataclass(frozen=True, slots=True)
class Given:
    """A file: its name, by which it is known again, and its text."""

    name: str
    text: str | bytes


@dataclass(slots=True)
class Step:
    """What happens to one thing.

    `gone` was deleted here and is unchanged in the file, so it stays deleted; `left` came from a file that no longer
    has it, and is only deleted when that is asked for.
    """

    action: Action
    section: str
    name: str
    differences: list[Difference] = field(default_factory=list)
    conflicts: tuple[Conflict, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    entry: Entry | None = None
    row: models.Model | None = None

    @property
    def key(self) -> Key:
        """Return what tells it apart."""
        return self.section, self.name


@dataclass(slots=True)
class Plan:
    """What an import would do, what stands in its way, and whom it would cut off."""

    digest: str = ""
    steps: list[Step] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    reach: Reach = field(default_factory=Reach)
    wanted: Wanted = field(default_factory=Wanted)
    state: State | None = None
    # Channels whose secret or address would change: an admin's to do.
    guarded: list[str] = field(default_factory=list)

    def having(self, *actions: Action) -> list[Step]:
        """Return the steps of these actions."""
        return [step for step in self.steps if step.action in actions]

    @property
    def conflicts(self) -> list[tuple[Step, Conflict]]:
        """Return what nobody has decided yet."""
        return [(step, one) for step in self.steps for one in step.conflicts if one.chosen is None]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many things each action happens to."""
        names: tuple[Action, ...] = ("create", "change", "delete", "keep", "gone", "left")
        # The order of a list is no thing of its own, unless it changes.
        return {name: len([one for one in self.having(name) if one.section != ORDER or name == "change"])
                for name in names}  # fmt: skip

    @property
    def does_something(self) -> bool:
        """Say whether anything would be stored."""
        return bool(self.having("create", "change", "delete"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for: files, how conflicts are decided, whether what a file no longer has is deleted."""

    files: Sequence[Given]
    choices: Mapping[str, Choices] = field(default_factory=dict)  # By `section/name`; `*` for all.
    prune: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
