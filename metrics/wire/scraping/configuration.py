"""Prometheus' configuration file: its scrape sections, each entry for itself, and the secrets in them."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import yaml

from aivillage_console.lib.durations import format_ms
from metrics.wire.scraping.fields import BadConfig, Fields
from metrics.wire.scraping.scrape_config import Defaults, ScrapeConfig, read_defaults, read_scrape_config

# What of `global` an entry takes over word for word.
INHERITED = (
    "scrape_protocols", "fallback_scrape_protocol", "scrape_native_histograms", "always_scrape_classic_histograms",
    "extra_scrape_metrics", "body_size_limit", "sample_limit", "target_limit", "label_limit",
    "label_name_length_limit", "label_value_length_limit", "metric_name_validation_scheme",
    "metric_name_escaping_scheme", "convert_classic_histograms_to_nhcb",
)  # fmt: skip
ELSEWHERE = ("runtime", "alerting", "rule_files", "storage", "remote_write", "remote_read", "tracing", "otlp")
HIDDEN = "<secret>"
MAX_DOCUMENT_BYTES = 4 << 20
MAX_DEPTH = 50
MAX_ENTRIES = 2_000
Secrets = dict[str, str]
# From a pattern of a scrape_config_files entry to the files it names: (name, text).
Include = Callable[[str], list[tuple[str, str]]]


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a name given twice and aliases, which grow without bound."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("anchors and aliases are not taken: write the text out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for name in names:
            if names.count(name) > 1:
                raise yaml.YAMLError(f"{name!r} is given twice{node.start_mark}")
        return super().construct_mapping(node, deep=deep)


@dataclass(slots=True)
class Document:
    """The entries of a file with what `global` adds to them, read; and the sections nobody here reads."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    configs: list[ScrapeConfig] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def load_yaml(text: str) -> Any:
    """Return the content of a YAML text; raises BadConfig."""
    if len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise BadConfig("", f"the text is longer than {MAX_DOCUMENT_BYTES} bytes")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadConfig("", f"this is not YAML that can be read: {str(error)[:300]}") from None


def read_document(text: str, include: Include | None = None) -> Document:
    """Read a whole configuration file; raises BadConfig for the first thing that is wrong."""
    fields = Fields(load_yaml(text) or {}, "")
    document = Document()
    for name in ELSEWHERE:
        if fields.take(name) is not None:
            document.ignored.append(name)
    shared = fields.take("global") or {}
    own = fields.take("scrape_configs")
    patterns = fields.texts("scrape_config_files")
    fields.done()
    section = Fields(shared, "global")
    defaults = read_defaults(section)
    section.done()
    _entries(own, "scrape_configs", shared, defaults, document)
    for pattern in patterns:
        _check_pattern(pattern)
        for name, content in (include or _no_files)(pattern):
            _included(name, content, shared, defaults, document)
    return document


def _check_pattern(pattern: str) -> None:
    folder, _, last = pattern.rpartition("/")
    if "*" in folder or not last.endswith((".json", ".yml", ".yaml", "*")) or last == "*":
        raise BadConfig("scrape_config_files", f"{pattern!r}: * stands in the last part of a .yml or .json name only")


def _no_files(pattern: str) -> list[tuple[str, str]]:
    raise BadConfig("scrape_config_files", f"{pattern!r} cannot be read from here; import the file on the server")


def _included(name: str, content: str, shared: dict[str, Any], defaults: Defaults, document: Document) -> None:
    fields = Fields(load_yaml(content) or {}, name)
    entries = fields.take("scrape_configs")
    fields.done()
    _entries(entries, f"{name}: scrape_configs", shared, defaults, document)


def _entries(given: object, place: str, shared: dict[str, Any], defaults: Defaults, document: Document) -> None:
    if given is None:
        return
    if not isinstance(given, list):
        raise BadConfig(place, "a list was expected")
    if len(given) + len(document.entries) > MAX_ENTRIES:
        raise BadConfig(place, f"more than {MAX_ENTRIES} entries")
    for number, raw in enumerate(given):
        fields = Fields(raw, f"{place}[{number}]")
        config = read_scrape_config(fields, defaults)
        fields.done()
        if any(config.job == known.job for known in document.configs):
            raise BadConfig(f"{place}[{number}].job_name", f"{config.job!r} is the name of another entry too")
        entry = {name: shared[name] for name in INHERITED if shared.get(name) is not None} | raw
        entry["scrape_interval"], entry["scrape_timeout"] = format_ms(config.interval_ms), format_ms(config.timeout_ms)
        document.entries.append(entry)
        document.configs.append(config)


def _secret_places(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield where secrets stand."""
    if len(path) > MAX_DEPTH:
        raise BadConfig("", f"sections within sections, more than {MAX_DEPTH} deep")
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        place = (*path, name)
        if value is None or value == "":
            continue
        if isinstance(value, dict | list):
            yield from _secret_places(value, place)
        elif place[-2:] in SECRET_PAIRS or name == "bearer_token" or (len(place) > 3 and place[-2] == "secrets"):
            yield place


SECRET_PAIRS = {
    ("basic_auth", "password"), ("authorization", "credentials"), ("tls_config", "key"),
}  # fmt: skip


def _key(place: tuple[str | int, ...]) -> str:
    return ".".join(map(str, place))


def _holder(document: Any, place: tuple[str | int, ...]) -> Any:
    for name in place[:-1]:
        document = document[name]
    return document


def secrets_parted(document: dict[str, Any], known: Secrets | None = None) -> tuple[dict[str, Any], Secrets]:
    """Return an entry with its secrets hidden, and the secrets; one that is hidden already stays the known one."""
    parted, found = deepcopy(document), {}
    for place in list(_secret_places(parted)):
        holder = _holder(parted, place)
        text = str(holder[place[-1]])
        if text == HIDDEN:
            if _key(place) not in (known or {}):
                raise BadConfig(_key(place), "the secret is hidden and was never given; enter it")
            text = (known or {})[_key(place)]
        found[_key(place)] = text
        holder[place[-1]] = HIDDEN
    return parted, found


def secrets_joined(document: dict[str, Any], secrets: Secrets) -> dict[str, Any]:
    """Return an entry with its secrets in their places again."""
    joined = deepcopy(document)
    for place in list(_secret_places(joined)):
        if _key(place) in secrets:
            _holder(joined, place)[place[-1]] = secrets[_key(place)]
    return joined
