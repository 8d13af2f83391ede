"""Fixed slots that an upper floor fills: the only way a lower floor comes to know of a higher one."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Named slots, all of them known when it is written; each is filled once, from a `hooks.py`."""

    def __init__(self, name: str, slots: tuple[str, ...]) -> None:
        self.name = name
        self._slots: dict[str, T | None] = dict.fromkeys(slots)

    def fill(self, slot: str, value: T) -> None:
        """Put a value into an empty slot."""
        if slot not in self._slots:
            raise KeyError(f"{self.name} has no slot {slot!r}; it has {', '.join(self._slots)}")
        if self._slots[slot] is not None:
            raise ValueError(f"slot {slot!r} of {self.name} is already filled")
        self._slots[slot] = value

    @property
    def slots(self) -> tuple[str, ...]:
        """Return the names of all slots, filled or not."""
        return tuple(self._slots)

    def get(self, slot: str) -> T | None:
        """Return what is in a slot, None when nobody filled it."""
        return self._slots[slot]

    def filled(self) -> Iterator[tuple[str, T]]:
        """Yield the filled slots in the order they were declared."""
        return ((slot, value) for slot, value in self._slots.items() if value is not None)
