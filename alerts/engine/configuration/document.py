"""The whole file: read into entries with their places, and written from them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from alerts.engine.configuration import receivers, rules
from alerts.engine.configuration.entries import Entry
from alerts.engine.configuration.reading import ConfigReading, opened
from alerts.engine.configuration.sections import (
    CORRELATION,
    GROUPS,
    INHIBITIONS,
    MUTE_TIMES,
    PLAIN_SECTIONS,
    SETTINGS,
    TESTS,
    plain_item,
    read_plain,
)
from alerts.engine.configuration.writing import yaml_text
from alerts.engine.prometheus.documents import Mistake, is_null

# In the order in which they are written, applied and shown.
SECTIONS = (
    SETTINGS.name, TESTS.name, receivers.CHANNELS, receivers.ESCALATION, MUTE_TIMES.name, INHIBITIONS.name,
    CORRELATION.name, GROUPS.name, rules.SECTION,
)  # fmt: skip
SINGLE = {section.name for section in PLAIN_SECTIONS if section.single}
BY_NAME = {section.name: section for section in PLAIN_SECTIONS}
MOST_ITEMS = 20_000


@dataclass(frozen=True, slots=True)
class Known:
    """What the console knows: kinds of rules with the keys of each, types of channels with the settings of each."""

    kinds: rules.Kinds
    channels: Mapping[str, Collection[str]]


@dataclass(slots=True)
class Document:
    """What a file says; with mistakes, only what could be read of it."""

    file: str
    entries: list[Entry] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def told(self) -> list[str]:
        """Return the mistakes as people read them: file, line, column, what to do."""
        return [f"{self.file}:{mistake}" if mistake.line else f"{self.file}: {mistake}" for mistake in self.mistakes]


def read_document(
    content: str | bytes, *, file: str = "configuration", known: Known, variables: Mapping[str, str]
) -> Document:
    """Return what a file says; every mistake that can be seen at once is."""
    root, reading = opened(content, variables)
    found = Document(file)
    if root is not None and not is_null(root):
        for name, node in reading.fields(root, "a configuration", SECTIONS).items():
            found.entries += _section(reading, name, node, known)
        _twice(reading, found.entries)
    found.mistakes = reading.found_wrong()
    for entry in found.entries:
        entry.file = file
    return found


def _section(reading: ConfigReading, name: str, node: yaml.Node, known: Known) -> list[Entry]:
    if name in SINGLE:
        one = read_plain(reading, node, BY_NAME[name])
        return [one] if one is not None else []
    items = reading.items(node, name)
    if len(items) > MOST_ITEMS:
        reading.wrong(node, f"more than {MOST_ITEMS} {name}")
        return []
    numbers: dict[str, int] = {}
    found = [_item(reading, name, item, known, numbers) for item in items]
    return [entry for entry in found if entry is not None]


def _item(reading: ConfigReading, name: str, node: yaml.Node, known: Known, numbers: dict[str, int]) -> Entry | None:
    if name == rules.SECTION:
        return rules.read_rule(reading, node, known.kinds)
    if name == receivers.CHANNELS:
        kind = next((str(value.value) for key, value in _pairs(node) if key.value == "type"), "")
        numbers[kind] = numbers.get(kind, 0) + 1
        return receivers.read_channel(reading, node, known.channels, numbers[kind])
    if name == receivers.ESCALATION:
        return receivers.read_policy(reading, node)
    return read_plain(reading, node, BY_NAME[name])


def _pairs(node: yaml.Node) -> Iterable[tuple[Any, Any]]:
    return node.value if isinstance(node, yaml.MappingNode) else ()


def _twice(reading: ConfigReading, entries: Sequence[Entry]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for entry in entries:
        line = seen.setdefault(entry.key, entry.line)
        if line != entry.line:
            text = f"{entry.name[:60]!r} stands among the {entry.section} already, at line {line}"
            reading.mistakes.append(Mistake(text, entry.line, entry.column))


def document_text(entries: Iterable[Entry], known: Known) -> str:
    """Return a configuration as text; the same entries are always the same text."""
    content: dict[str, Any] = {name: [] for name in SECTIONS}
    for entry in entries:
        content[entry.section].append(_written(entry, known))
    kept = {name: items[0] if name in SINGLE else items for name, items in content.items() if items}
    return yaml_text(kept) if kept else "{}\n"


def _written(entry: Entry, known: Known) -> dict[str, Any]:
    if entry.section == rules.SECTION:
        return rules.rule_item(entry.name, entry.fields, kinds=known.kinds)
    if entry.section == receivers.CHANNELS:
        return receivers.channel_item(entry.name, entry.fields, entry.written)
    if entry.section == receivers.ESCALATION:
        return receivers.policy_item(entry.name, entry.fields)
    return plain_item(BY_NAME[entry.section], entry.name, entry.fields)
