"""The parts of a configuration beside its rules: which keys each thing has, and what they are here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from aivillage_console.lib.durations import format_seconds
from alerts.engine.configuration.entries import Entry, Fields
from alerts.engine.configuration.reading import ConfigReading, neat

KeyType = Literal["text", "seconds", "exact_seconds", "whole", "number", "truth", "texts", "pairs", "maps", "matchers"]
MOST_WHOLE = 2_147_483_647
NO_DEFAULT: Any = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a thing: its name in the file, its field here, and what is left out."""

    name: str
    field: str = ""
    type: KeyType = "text"
    default: Any = NO_DEFAULT
    least: int = 0
    most: int = MOST_WHOLE
    also: tuple[str, ...] = ()  # Other names it may have.
    spelled: bool = False  # Written as 5m, not as 300.
    choices: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """Return the name of the field."""
        return self.field or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One list of a configuration, or one map where there is only one such thing."""

    name: str
    noun: str
    keys: tuple[Key, ...]
    single: bool = False
    ordered: bool = False  # The order of the list means something.

    @property
    def names(self) -> tuple[str, ...]:
        """Return every key it knows, other names after its own."""
        own = (() if self.single else ("name",)) + tuple(key.name for key in self.keys)
        return own + tuple(other for key in self.keys for other in key.also)

    @property
    def defaults(self) -> Fields:
        """Return what keys mean that are left out."""
        return {key.column: key.default for key in self.keys if key.default is not NO_DEFAULT}


ENABLED = Key(name="enabled", type="truth", default=True)
GROUPS = Section(
    name="groups", noun="a rule group",
    keys=(
        # None: as often as the settings say.
        Key(name="interval", field="interval_seconds", type="seconds", default=None, least=1, most=86_400,
            spelled=True),
        Key(name="query_offset", field="query_offset_seconds", type="exact_seconds", default=0, most=86_400,
            spelled=True),
        Key(name="limit", type="whole", default=0),
        Key(name="labels", type="pairs", default={}),
        ENABLED,
    ),
)  # fmt: skip
INHIBITIONS = Section(
    name="inhibitions", noun="an inhibition",
    keys=(
        Key(name="source_matchers", type="texts", default=[]),
        Key(name="target_matchers", type="texts", default=[]),
        Key(name="equal", type="texts", default=[]),
        ENABLED,
    ),
)  # fmt: skip
MUTE_TIMES = Section(
    name="mute_times", noun="a mute time",
    keys=(
        Key(name="intervals", type="maps"),
        Key(name="matchers", type="texts", default=[]),
        Key(name="policies", type="texts", default=[]),
        Key(name="tells_inside", type="truth", default=False),
        ENABLED,
    ),
)  # fmt: skip
CORRELATION = Section(
    name="correlation", noun="a correlation rule", ordered=True,
    keys=(
        Key(name="group_key", type="texts", default=[]),
        Key(name="time_window", field="time_window_seconds", type="seconds", default=300, least=1, most=604_800),
        Key(name="alert_patterns", type="texts", default=[]),
        Key(name="label_matchers", type="matchers", default=[]),
        Key(name="notify", default="each", choices=("each", "first_and_growth")),
        ENABLED,
    ),
)  # fmt: skip
SETTINGS = Section(
    name="settings", noun="the settings", single=True,
    keys=(
        Key(name="evaluation_interval", field="evaluation_interval_seconds", type="seconds", default=60, least=1,
            most=86_400),
        Key(name="batch_size", type="whole", default=100, least=1, most=1000),
        Key(name="max_alerts_per_minute", type="whole", default=50, least=1, most=100_000),
        Key(name="alert_retention_days", type="whole", default=30, least=1, most=3650),
        Key(name="enable_correlation", type="truth", default=True),
        Key(name="enable_deduplication", type="truth", default=True),
        Key(name="deduplication_window", field="deduplication_window_seconds", type="seconds", default=3600,
            most=604_800),
    ),
)  # fmt: skip
TESTS = Section(
    name="alerts", noun="the alerts of test runs", single=True,
    keys=(
        Key(name="success_rate_threshold", type="number", default=95, most=100),
        Key(name="performance_degradation_threshold", also=("performance_degradation",), type="number", default=1.5,
            least=1, most=1000),
        Key(name="flaky_test_threshold", type="number", default=0.2, most=1),
        Key(name="consecutive_failures_threshold", also=("consecutive_failures",), type="whole", default=3, least=1,
            most=100),
    ),
)  # fmt: skip
PLAIN_SECTIONS = (SETTINGS, TESTS, GROUPS, INHIBITIONS, MUTE_TIMES, CORRELATION)


def read_plain(reading: ConfigReading, node: yaml.Node, section: Section) -> Entry | None:
    """Return a thing of a section; None where it cannot be named."""
    given = reading.fields(node, section.noun, section.names)
    name = section.name if section.single else reading.text(given.get("name"))
    if not isinstance(node, yaml.MappingNode):
        return None
    if not name.strip():
        reading.wrong(node, f"name is missing: {section.noun} needs one of its own")
        return None
    fields: Fields = {}
    for key in section.keys:
        # Settings that are not mentioned stay as they are: they are no list whose items are whole.
        found = _given(reading, given, key)
        if found is not None:
            fields[key.column] = read_value(reading, found, key)
        elif key.default is NO_DEFAULT:
            reading.wrong(node, f"{key.name} is missing")
        elif not section.single:
            fields[key.column] = key.default
    return Entry(section.name, name, fields, *place_of(node), lines=places(given))


def _given(reading: ConfigReading, given: Mapping[str, yaml.Node], key: Key) -> yaml.Node | None:
    there = [name for name in (key.name, *key.also) if name in given]
    if len(there) > 1:
        reading.wrong(given[there[1]], f"{there[1]} is another name of {there[0]}, which is there too: leave one out")
    return given[there[0]] if there else None


def read_value(reading: ConfigReading, node: yaml.Node, key: Key) -> Any:
    """Return what a key holds, in the console's own terms."""
    if key.type == "seconds":
        return _bounded(reading, node, reading.seconds(node, least=key.least), key)
    if key.type == "exact_seconds":
        return _bounded(reading, node, neat(reading.exact_seconds(node)), key)
    if key.type == "whole":
        return reading.whole_within(node, key.least, key.most)
    if key.type == "number":
        return _bounded(reading, node, neat(reading.number(node)), key)
    if key.type == "truth":
        return reading.truth(node)
    if key.type == "pairs":
        return reading.texts(node, key.name)
    if key.type == "maps":
        return [reading.plain(item, key.name) for item in reading.items(node, "maps")]
    if key.type == "matchers" and isinstance(node, yaml.MappingNode):
        return [f"{name}={_quoted(text)}" for name, text in reading.texts(node, key.name).items()]
    if key.type in ("texts", "matchers"):
        return [reading.text(node)] if isinstance(node, yaml.ScalarNode) else reading.texts_of(node, "texts")
    return _chosen(reading, node, key)


def _chosen(reading: ConfigReading, node: yaml.Node, key: Key) -> str:
    text = reading.text(node)
    if key.choices and text not in key.choices:
        reading.wrong(node, f"{text[:40]!r} is none of {', '.join(key.choices)}")
    return text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _bounded(reading: ConfigReading, node: yaml.Node, found: float, key: Key) -> float | int:
    if not key.least <= found <= key.most:
        reading.wrong(node, f"{key.name} is from {key.least} to {key.most}")
        return min(max(found, key.least), key.most)
    return found


def plain_item(section: Section, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a thing of a section as it is written; settings are written out, elsewhere what is usual is left out."""
    item: dict[str, Any] = {} if section.single else {"name": name}
    for key in section.keys:
        value = fields.get(key.column, key.default)
        if section.single or value != key.default:
            item[key.name] = written(key, value)
    return item


def written(key: Key, value: Any) -> Any:
    """Return a value as the file has it."""
    if key.spelled and value is not None:
        return format_seconds(value)
    return dict(sorted(value.items())) if key.type == "pairs" else value


def place_of(node: yaml.Node) -> tuple[int, int]:
    """Return line and column, from one."""
    return node.start_mark.line + 1, node.start_mark.column + 1


def places(given: Mapping[str, yaml.Node]) -> dict[str, tuple[int, int]]:
    """Return where each key's value stands."""
    return {key: place_of(node) for key, node in given.items()}
