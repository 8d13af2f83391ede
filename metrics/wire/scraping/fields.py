"""Reading a configuration document: each field once, by its kind; what is left over is an error with its place."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from aivillage_console.lib.durations import BadDuration, parse_ms

T = TypeVar("T")
SIZES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40, "PB": 1 << 50, "EB": 1 << 60}
SIZES |= {f"{unit[0]}iB": size for unit, size in SIZES.items() if len(unit) == 2}
MAX_ITEMS = 100_000


class BadConfig(ValueError):
    """A configuration that cannot be used; says where."""

    def __init__(self, place: str, reason: str) -> None:
        """Put the place in front."""
        super().__init__(f"{place}: {reason}" if place else reason)


class Fields:
    """One section of a document."""

    def __init__(self, given: object, place: str) -> None:
        """Take a section; anything but a mapping is refused."""
        if not isinstance(given, Mapping):
            raise BadConfig(place, "a section of names and values was expected")
        self._given = dict(given)
        self.place = place

    def at(self, name: str) -> str:
        """Return the place of a field."""
        return f"{self.place}.{name}" if self.place else name

    def has(self, name: str) -> bool:
        """Tell whether a field is given."""
        return self._given.get(name) is not None

    def names(self) -> list[str]:
        """Return the names of the fields that are left."""
        return list(self._given)

    def empty(self, name: str) -> bool:
        """Tell whether a field is named but has no value."""
        return name in self._given and self._given[name] is None

    def take(self, name: str) -> Any:
        """Return the raw value of a field, None without one."""
        return self._given.pop(name, None)

    def _typed(self, name: str, default: T, kinds: tuple[type, ...], expected: str) -> Any:
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise BadConfig(self.at(name), f"{expected} was expected")
        return value

    def text(self, name: str, default: str = "") -> str:
        """Return a text; a number is one too, as in YAML nobody quotes `1234`."""
        value = self._typed(name, default, (str, int, float), "a text")
        return checked_text(str(value), self.at(name))

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        return bool(self._typed(name, default, (bool,), "true or false"))

    def count(self, name: str, default: int = 0) -> int:
        """Return a whole number of at least 0."""
        value = self._typed(name, default, (int,), "a whole number")
        if not 0 <= value < 1 << 62:
            raise BadConfig(self.at(name), "a whole number of at least 0 was expected")
        return int(value)

    def duration_ms(self, name: str, default: int) -> int:
        """Return a duration in milliseconds, of at least one."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, str) and value != 0:
            raise BadConfig(self.at(name), f"{value!r} is not a duration; examples are 15s, 1m")
        try:
            return parse_ms(str(value))
        except BadDuration as error:
            raise BadConfig(self.at(name), str(error)) from None

    def size_bytes(self, name: str, default: int) -> int:
        """Return a number of bytes, written with a unit."""
        value = self.take(name)
        if value is None or value == 0:
            return default
        text = str(value)
        digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        unit = text[len(digits) :]
        if unit not in SIZES or not digits.isdecimal():
            raise BadConfig(self.at(name), f"{text[:40]!r} is not a size; examples are 100KB, 10MB")
        return int(digits) * SIZES[unit]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(
            checked_text(str(item), f"{self.at(name)}[{number}]")
            if isinstance(item, (str, int, float)) and not isinstance(item, bool)
            else _refuse(f"{self.at(name)}[{number}]", "a text was expected")
            for number, item in enumerate(self._list(name))
        )

    def _list(self, name: str) -> list[Any]:
        value = self._typed(name, [], (list, tuple), "a list")
        if len(value) > MAX_ITEMS:
            raise BadConfig(self.at(name), f"{len(value)} entries, at most {MAX_ITEMS} are taken")
        return list(value)

    def each(self, name: str, read: Callable[["Fields"], T]) -> tuple[T, ...]:
        """Read a list of sections, each to its end."""
        found = []
        for number, item in enumerate(self._list(name)):
            inner = Fields(item, f"{self.at(name)}[{number}]")
            found.append(read(inner))
            inner.done()
        return tuple(found)

    def section(self, name: str, read: Callable[["Fields"], T], default: T) -> T:
        """Read a section to its end."""
        value = self.take(name)
        if value is None:
            return default
        inner = Fields(value, self.at(name))
        found = read(inner)
        inner.done()
        return found

    def labels(self, name: str) -> dict[str, str]:
        """Return a mapping of texts."""
        value = self._typed(name, {}, (dict,), "a section of names and values")
        for key, text in value.items():
            if not isinstance(key, str) or not isinstance(text, str | int | float | None):
                raise BadConfig(self.at(name), f"name and value are texts, not {key!r}: {text!r}")
        return {
            checked_text(key, self.at(name)): checked_text("" if text is None else str(text), f"{self.at(name)}.{key}")
            for key, text in value.items()
        }

    def done(self) -> None:
        """Refuse what nobody has taken."""
        for name in self._given:
            raise BadConfig(self.place, f"{name} is not a field that is known here")


def checked_text(text: str, place: str) -> str:
    """Return a text that PostgreSQL and JSON can hold."""
    if "\0" in text or any(0xD800 <= ord(letter) < 0xE000 for letter in text):
        raise BadConfig(place, "the text holds a character that cannot be kept")
    return text


def _refuse(place: str, reason: str) -> Any:
    raise BadConfig(place, reason)
