"""YAML with variables, read so that every mistake has its line and says what to do."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.resolver import Resolver

from aivillage_console.lib.durations import BadDuration, parse_ms
from alerts.engine.configuration.substitution import half_open, substituted
from alerts.engine.prometheus.documents import Mistake, Reading, Unreadable, documents_of, is_null

MOST_NODES = 400_000
LONGEST_SECONDS = 10 * 366 * 86_400
BOOLEAN, WHOLE, FRACTION = (f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float"))
RESOLVER: Any = Resolver()


@dataclass(slots=True)
class ConfigReading(Reading):
    """Reads a document whose scalars may name variables; those without a value are kept until somebody claims them."""

    variables: Mapping[str, str] = field(default_factory=dict)
    written: dict[int, str] = field(default_factory=dict)
    unset: dict[int, tuple[yaml.Node, tuple[str, ...]]] = field(default_factory=dict)

    def fields(self, node: yaml.Node | None, kind: str, known: Collection[str]) -> dict[str, yaml.Node]:
        """Return the fields of a map that may have these only; nothing written is as if it was left out."""
        found = self.pairs(node, kind)
        for name, (key, _) in found.items():
            if name not in known:
                self.unknown(key, kind, known)
        return {name: value for name, (_, value) in found.items() if name in known and not is_null(value)}

    def unknown(self, key: yaml.Node, kind: str, known: Collection[str]) -> None:
        """Note a key nobody knows, with the one that was meant where that is clear."""
        near = difflib.get_close_matches(str(key.value), known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        self.wrong(key, f"unknown key {str(key.value)[:60]!r}: {hint}{kind} knows {', '.join(known)}")

    def filled(self, node: yaml.ScalarNode) -> None:
        """Fill the variables of a scalar in; plain text is then a number or a truth value again if it looks like it."""
        if "\0" in node.value or not _encodes(node.value):
            self.wrong(node, "the text holds a character that cannot be stored")
            node.value = ""
        if "${" not in node.value:
            return
        found, written = substituted(node.value, self.variables), node.value
        if half := half_open(written):
            self.wrong(node, f"{half} is never closed: write {half}}}, or $${half[1:]} for the text itself")
            return
        if found.named:
            self.written[id(node)] = written
        if found.unset:
            self.unset[id(node)] = (node, found.unset)
            return
        node.value = found.text
        if node.style is None:
            node.tag = RESOLVER.resolve(yaml.ScalarNode, node.value, (True, False))

    def _misfit(self, node: yaml.Node, kind: str) -> None:
        """Note that something else stands where a kind belongs."""
        there = "a map" if isinstance(node, yaml.MappingNode) else "a list"
        shown = f"`{str(node.value)[:40]}`" if isinstance(node, yaml.ScalarNode) else there
        self.wrong(node, f"{kind} belongs here, not {shown}")

    def claim(self, node: yaml.Node) -> tuple[str, ...]:
        """Return the variables without a value of a scalar whose value may come from elsewhere."""
        return self.unset.pop(id(node), (node, ()))[1]

    def unclaimed(self) -> None:
        """Note each variable that has no value and that nobody could do without."""
        for node, names in self.unset.values():
            name = names[0]
            self.wrong(node, f"${{{name}}} is not set: set {name}, or write ${{{name}:-default}}")
        self.unset.clear()

    def found_wrong(self) -> list[Mistake]:
        """Return what is wrong, once each and in the order of the text."""
        self.unclaimed()
        return sorted(dict.fromkeys(self.mistakes), key=lambda mistake: (mistake.line, mistake.column))

    def seconds(self, node: yaml.Node, default: int = 0, *, least: int = 0) -> int:
        """Return a duration in whole seconds."""
        value = self.exact_seconds(node, default)
        if value != int(value) or value < least:
            self.wrong(node, f"whole seconds of at least {least} belong here, such as 30s, 5m or 300")
            return default
        return int(value)

    def exact_seconds(self, node: yaml.Node, default: float = 0) -> float:
        """Return a duration in seconds, rounded to milliseconds."""
        try:
            found = parse_ms(self.text(node)) / 1000
        except BadDuration as problem:
            self.wrong(node, str(problem))
            return default
        if found > LONGEST_SECONDS:
            self.wrong(node, "a duration of more than ten years is surely a mistake")
            return default
        return found

    def whole_within(self, node: yaml.Node, least: int, most: int) -> int:
        """Return a whole number between two others."""
        before = len(self.mistakes)
        found = self.whole(node)
        if not least <= found <= most and len(self.mistakes) == before:
            self.wrong(node, f"a whole number from {least} to {most} belongs here")
        return min(max(found, least), most)

    def texts_of(self, node: yaml.Node, kind: str) -> list[str]:
        """Return a list of texts."""
        return [self.text(item) for item in self.items(node, kind)]

    def plain(self, node: yaml.Node, kind: str) -> Any:
        """Return whatever stands there: texts, numbers, truth values, lists and maps of them."""
        if isinstance(node, yaml.MappingNode):
            return {name: self.plain(value, kind) for name, (_, value) in self.pairs(node, kind).items()}
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, kind) for item in node.value]
        if is_null(node):
            return None
        if node.tag == BOOLEAN:
            return self.truth(node)
        if node.tag in (WHOLE, FRACTION):
            return neat(self.number(node))
        return self.text(node)


def neat(number: float) -> float | int:
    """Return a number without a fraction of nothing."""
    return int(number) if abs(number) < 1e15 and number == int(number) else number


def _encodes(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def opened(content: str | bytes, variables: Mapping[str, str]) -> tuple[yaml.Node | None, ConfigReading]:
    """Return the one document of a text with its variables filled in, and what reads it."""
    reading = ConfigReading(variables=variables)
    try:
        documents = documents_of(content)
        if len(documents) > 1:
            line = documents[1].start_mark.line + 1
            raise Unreadable(Mistake("one document belongs into a file: take the `---` away", line, 1))
        root = documents[0] if documents else None
        if root is not None:
            _walked(root, reading)
    except Unreadable as problem:
        reading.mistakes.append(problem.mistake)
        return None, reading
    except RecursionError:
        reading.mistakes.append(Mistake("the document is nested too deeply"))
        return None, reading
    return root, reading


def _walked(root: yaml.Node, reading: ConfigReading) -> None:
    """Fill in the variables of every value once, and bound what repeated aliases make of the document."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def walk(node: yaml.Node, *, is_key: bool = False) -> int:
        known = sizes.get(id(node))
        if known is not None:
            return known
        if id(node) in open_nodes:
            raise Unreadable(_at(node, "an alias here means what it is part of: write it out"))
        open_nodes.add(id(node))
        size = 1
        if isinstance(node, yaml.MappingNode):
            size += sum(walk(key, is_key=True) + walk(value) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            size += sum(walk(item) for item in node.value)
        elif not is_key and isinstance(node, yaml.ScalarNode):
            reading.filled(node)
        open_nodes.discard(id(node))
        if size > MOST_NODES:
            raise Unreadable(_at(node, f"more than {MOST_NODES} parts, aliases counted as often as they are used"))
        sizes[id(node)] = size
        return size

    walk(root)


def _at(node: yaml.Node, text: str) -> Mistake:
    return Mistake(text, node.start_mark.line + 1, node.start_mark.column + 1)
