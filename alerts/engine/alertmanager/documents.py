"""Reads YAML by a description of what may stand where: unknown and repeated fields and wrong kinds are refused."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DOCUMENT_BYTES = 4 << 20
MAX_NODES = 200_000
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
Values = dict[str, Any]
Check = Callable[[Values], None]


class BadConfig(ValueError):
    """A configuration that cannot be taken; the text says what and, where known, the line."""


@dataclass(slots=True)
class Reading:
    """One document being read: the kinds found wrong so far, and how many nodes were seen."""

    mode: str = "classic"
    mistakes: list[str] = field(default_factory=list)
    nodes: int = 0

    def wrong(self, node: yaml.Node, text: str) -> None:
        """Note a wrong kind or field."""
        self.mistakes.append(f"line {node.start_mark.line + 1}: {text}")

    def count(self) -> None:
        """Count a node; raises BadConfig past the bound, which repeated aliases reach."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise BadConfig(f"the document has more than {MAX_NODES} parts")


Kind = Callable[[Reading, yaml.Node], Any]


def compose(text: str) -> yaml.Node | None:
    """Return the document's tree; raises BadConfig."""
    if len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise BadConfig(f"the text is longer than {MAX_DOCUMENT_BYTES} bytes")
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError) as problem:
        raise BadConfig(f"yaml: {problem}") from problem
    return documents[0] if documents else None


def read(text: str, kind: Kind, mode: str = "classic") -> Any:
    """Return a document read as a kind, None where it is empty; raises BadConfig."""
    node = compose(text)
    if node is None or is_null(node):
        return None
    reading = Reading(mode)
    try:
        value = kind(reading, node)
    except RecursionError as problem:
        raise BadConfig("the document is nested too deeply") from problem
    if reading.mistakes:
        raise BadConfig("yaml: unmarshal errors:\n  " + "\n  ".join(reading.mistakes))
    return value


def is_null(node: yaml.Node) -> bool:
    """Tell whether nothing was written."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in NULLS


def plain_text(reading: Reading, node: yaml.Node) -> str:
    """Read a text; a number or a truth value is taken as written."""
    reading.count()
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    reading.wrong(node, f"cannot unmarshal {shown(node)} into string")
    return ""


def shown(node: yaml.Node) -> str:
    """Return a node as messages show it."""
    kinds = {"mapping": "!!map", "sequence": "!!seq"}
    tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
    kind = "mapping" if isinstance(node, yaml.MappingNode) else "sequence"
    return f"{tag} `{node.value[:10]}`" if isinstance(node, yaml.ScalarNode) else kinds[kind]


def list_of(kind: Kind) -> Kind:
    """Return the kind of a list; nothing written is None at its place."""

    def read_list(reading: Reading, node: yaml.Node) -> list[Any]:
        reading.count()
        if not isinstance(node, yaml.SequenceNode):
            reading.wrong(node, f"cannot unmarshal {shown(node)} into a list")
            return []
        return [_item(reading, kind, item) for item in node.value]

    return read_list


def map_of(kind: Kind) -> Kind:
    """Return the kind of a mapping with free names."""

    def read_map(reading: Reading, node: yaml.Node) -> Values:
        return {name: _item(reading, kind, item) for name, item in entries(reading, node)}

    return read_map


def struct(fields: Mapping[str, Kind], check: Check | None = None, name: str = "config.plain") -> Kind:
    """Return the kind of a mapping with these fields and no other; `check` sees what was read if it was well formed."""

    def read_struct(reading: Reading, node: yaml.Node) -> Values:
        before, values = len(reading.mistakes), {}
        for key, item in entries(reading, node):
            if key not in fields:
                reading.wrong(item, f"field {key} not found in type {name}")
            else:
                values[key] = _item(reading, fields[key], item)
        if check is not None and len(reading.mistakes) == before:
            check(values)
        return values

    return read_struct


def entries(reading: Reading, node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the names and nodes of a mapping, merges first; a name given twice is a mistake."""
    reading.count()
    if not isinstance(node, yaml.MappingNode):
        reading.wrong(node, f"cannot unmarshal {shown(node)} into a mapping")
        return
    own = [(key, item) for key, item in node.value if key.tag != "tag:yaml.org,2002:merge"]
    names = set()
    for key, _ in own:
        name = str(key.value)
        if name in names:
            reading.wrong(key, f'key "{name}" already set in map')
        names.add(name)
    yield from _merged(reading, node, names)
    for key, item in own:
        yield str(key.value), item


def _merged(reading: Reading, node: yaml.MappingNode, names: set[str]) -> Iterator[tuple[str, yaml.Node]]:
    for key, item in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            for each in item.value if isinstance(item, yaml.SequenceNode) else [item]:
                yield from ((name, value) for name, value in entries(reading, each) if name not in names)


def _item(reading: Reading, kind: Kind, node: yaml.Node) -> Any:
    if is_null(node):
        reading.count()
        return None
    return kind(reading, node)
