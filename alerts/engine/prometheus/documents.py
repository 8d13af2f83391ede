"""YAML read strictly: every mistake has its line, nothing unknown passes, nothing is guessed."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import yaml

from metrics.promql.scripts.durations import BadScript, duration_ms

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEEPEST = 50
LARGEST_BYTES = 10_000_000
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")  # noqa: TID251 - our own constant, linear
SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")  # noqa: TID251 - our own constant, linear
KINDS = {"tag:yaml.org,2002:null": "!!null", "tag:yaml.org,2002:seq": "!!seq", "tag:yaml.org,2002:map": "!!map"}
NULL, MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in a file, and where: lines and columns count from 1, 0 is the whole file."""

    text: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.text}" if self.line else self.text


class Unreadable(ValueError):
    """A text that is no YAML, or too large."""

    def __init__(self, mistake: Mistake) -> None:
        """Keep where it is."""
        super().__init__(str(mistake))
        self.mistake = mistake


def documents_of(content: str | bytes) -> list[yaml.Node]:
    """Return the documents of a text; raises Unreadable."""
    if len(content) > LARGEST_BYTES:
        raise Unreadable(Mistake(f"the file is larger than {LARGEST_BYTES} bytes"))
    try:
        depth = 0
        for event in yaml.parse(content, Loader=LOADER):
            depth += isinstance(event, yaml.events.CollectionStartEvent)
            depth -= isinstance(event, yaml.events.CollectionEndEvent)
            if depth > DEEPEST:
                raise Unreadable(Mistake(f"nested more than {DEEPEST} deep"))
        return list(yaml.compose_all(content, Loader=LOADER))
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        text = getattr(problem, "problem", None) or str(problem)
        raise Unreadable(Mistake(f"yaml: {text}", line, column)) from problem
    except UnicodeDecodeError as problem:
        raise Unreadable(Mistake("the file is not UTF-8")) from problem


def first_document(content: str | bytes) -> tuple[yaml.Node | None, list[Mistake]]:
    """Return the first document, or none and what is wrong."""
    try:
        documents = documents_of(content)
    except Unreadable as problem:
        return None, [problem.mistake]
    return (documents[0] if documents else None), []


def is_null(node: yaml.Node | None) -> bool:
    """Say whether nothing is written there."""
    return node is None or (isinstance(node, yaml.ScalarNode) and node.tag == NULL)


@dataclass(slots=True)
class Reading:
    """Reads values from nodes and collects what is wrong with them."""

    ignores_unknown: bool = False
    mistakes: list[Mistake] = field(default_factory=list)

    def wrong(self, node: yaml.Node, text: str) -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(text, node.start_mark.line + 1, node.start_mark.column + 1))

    def _misfit(self, node: yaml.Node, kind: str) -> None:
        tag = KINDS.get(node.tag, node.tag.replace("tag:yaml.org,2002:", "!!"))
        shown = f" `{str(node.value)[:40]}`" if isinstance(node, yaml.ScalarNode) else ""
        self.wrong(node, f"cannot unmarshal {tag}{shown} into {kind}")

    def pairs(self, node: yaml.Node | None, kind: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """Return a map's keys and values by key; one that is there twice is a mistake."""
        if node is None or is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._misfit(node, kind)
            return {}
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag == MERGE:
                merged |= self._merged(value, kind)
            elif not isinstance(key, yaml.ScalarNode):
                self._misfit(key, "a name")
            elif key.value in found:
                line = found[key.value][0].start_mark.line + 1
                self.wrong(key, f'mapping key "{key.value}" already defined at line {line}')
            else:
                found[key.value] = (key, value)
        return {**merged, **found}

    def _merged(self, node: yaml.Node, kind: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for one in reversed(nodes):
            # A merge of a merge is not followed: no file needs it, and it could go round in a circle.
            plain = isinstance(one, yaml.MappingNode) and all(key.tag != MERGE for key, _ in one.value)
            if plain:
                found |= self.pairs(one, kind)
            else:
                self.wrong(one, "map merge requires map or sequence of maps as the value")
        return found

    def fields(self, node: yaml.Node | None, kind: str, known: Collection[str]) -> dict[str, yaml.Node]:
        """Return the fields of a map that may have these only."""
        found = self.pairs(node, kind)
        for name, (key, _) in found.items():
            if name not in known and not self.ignores_unknown:
                self.wrong(key, f"field {name} not found in {kind}; it knows {', '.join(known)}")
        return {name: value for name, (_, value) in found.items() if name in known}

    def items(self, node: yaml.Node | None, kind: str) -> list[yaml.Node]:
        """Return the items of a list."""
        if node is None or is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._misfit(node, f"a list of {kind}")
            return []
        return list(node.value)

    def text(self, node: yaml.Node | None) -> str:
        """Return a text as it is written, whatever YAML would make of it."""
        if node is None or is_null(node):
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self._misfit(node, "a text")
            return ""
        return str(node.value)

    def texts(self, node: yaml.Node | None, kind: str) -> dict[str, str]:
        """Return a map of texts."""
        return {name: self.text(value) for name, (_, value) in self.pairs(node, kind).items()}

    def whole(self, node: yaml.Node | None) -> int:
        """Return a whole number."""
        value = self.number(node)
        if node is not None and not value.is_integer():
            self._misfit(node, "a whole number")
            return 0
        return int(value)

    def number(self, node: yaml.Node | None) -> float:
        """Return a number."""
        if node is None or is_null(node):
            return 0.0
        value = _number(node)
        if value is None:
            self._misfit(node, "a number")
        return 0.0 if value is None else value

    def truth(self, node: yaml.Node | None) -> bool:
        """Return a truth value."""
        if node is None or is_null(node):
            return False
        if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:bool":
            self._misfit(node, "true or false")
            return False
        return node.value.lower() in ("true", "yes", "on", "y")

    def duration_ms(self, node: yaml.Node | None) -> int | None:
        """Return a duration in milliseconds; None where nothing is written."""
        if node is None or is_null(node):
            return None
        try:
            return duration_ms(self.text(node))
        except BadScript as problem:
            self.wrong(node, str(problem) if self.text(node) else "empty duration string")
            return None


def _number(node: yaml.Node) -> float | None:
    if not isinstance(node, yaml.ScalarNode) or node.style in ("'", '"'):
        return None
    text = node.value
    special = SPECIAL.fullmatch(text)
    if special is not None:
        return float("nan") if special.group(3) else float(f"{special.group(1)}inf")
    try:
        plain = text.replace("_", "")
        return float(plain) if FLOAT.fullmatch(plain) else float(int(plain, 0))
    except (ValueError, OverflowError):
        return None
