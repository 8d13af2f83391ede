"""Channels and policies between their text and the console's own fields."""

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from alerts.engine.configuration.entries import Entry, Fields
from alerts.engine.configuration.reading import ConfigReading
from alerts.engine.configuration.sections import place_of, places
from alerts.engine.configuration.writing import Placeholder

CHANNELS, ESCALATION = "channels", "escalation"
CHANNEL_KEYS = ("type", "name", "filters", "enabled", "fallback", "rate_per_minute", "secret")
# What older files call the secret of a type, and the variable it comes from where nothing is written.
SECRET_NAMES = {"email": ("password",), "github": ("token",), "slack": ("token", "webhook_url"), "sentry": ("dsn",)}
SECRET_VARIABLES = {"email": "ALERT_EMAIL_PASSWORD", "github": "GITHUB_TOKEN", "sentry": "SENTRY_DSN"}
SECONDS = frozenset({"timeout", "retry_delay"})
SECRET = "secret"  # noqa: S105 - the name of the key
POLICY_KEYS = ("name", "triggers", "steps", "enabled", "default")
STEP_KEYS = ("delay", "channels", "recipients")
LONGEST_DELAY_SECONDS = 7 * 86_400


def read_channel(
    reading: ConfigReading, node: yaml.Node, keys: Mapping[str, Collection[str]], number: int
) -> Entry | None:
    """Return a channel; `number` names one that has no name. Its secret is among its fields, still open."""
    found = reading.pairs(node, "a channel")
    if not isinstance(node, yaml.MappingNode):
        return None
    kind = reading.text(found["type"][1]) if "type" in found else ""
    if kind not in keys:
        told = f"unknown type {kind[:40]!r}; there are" if kind else "type is missing: one of"
        reading.wrong(found["type"][1] if "type" in found else node, f"{told} {', '.join(sorted(keys))}")
        return None
    secrets = SECRET_NAMES.get(kind, ())
    given = reading.fields(node, f"a channel of the type {kind}", (*CHANNEL_KEYS, *sorted(keys[kind]), *secrets))
    name = reading.text(given.get("name")) or f"{kind}-{number}"
    entry = Entry(CHANNELS, name, {}, *place_of(node), lines=places(given))
    entry.fields = {
        "type": kind,
        "config": {key: _config(reading, entry, key, given[key]) for key in sorted(keys[kind]) if key in given},
        "filters": read_filters(reading, given.get("filters")),
        "enabled": reading.truth(given["enabled"]) if "enabled" in given else True,
        "is_fallback": reading.truth(given.get("fallback")),
        "rate_per_minute": (
            reading.whole_within(given["rate_per_minute"], 1, 100_000) if "rate_per_minute" in given else None
        ),
    }
    _secret(reading, entry, kind, {key: given[key] for key in (SECRET, *secrets) if key in given})
    return entry


def _config(reading: ConfigReading, entry: Entry, key: str, node: yaml.Node) -> Any:
    _remember(reading, entry, f"config.{key}", node)
    return reading.exact_seconds(node) if key in SECONDS else reading.plain(node, key)


def _remember(reading: ConfigReading, entry: Entry, path: str, node: yaml.Node) -> None:
    """Keep how a value was written; one that has none now may be known from before."""
    if id(node) in reading.written:
        entry.written[path] = reading.written[id(node)]
    names = reading.claim(node)
    if names:
        entry.unset[path] = names


def _secret(reading: ConfigReading, entry: Entry, kind: str, given: Mapping[str, yaml.Node]) -> None:
    if len(given) > 1:
        reading.wrong(list(given.values())[1], f"{' and '.join(given)} mean the same: leave one of them out")
    for node in list(given.values())[:1]:
        entry.fields[SECRET] = reading.text(node)
        _remember(reading, entry, SECRET, node)
    variable = SECRET_VARIABLES.get(kind, "")
    if not given and reading.variables.get(variable):
        entry.fields[SECRET] = reading.variables[variable]
        entry.written[SECRET] = f"${{{variable}}}"


def read_filters(reading: ConfigReading, node: yaml.Node | None) -> list[dict[str, Any]]:
    """Return a list of maps: a value is a text or a list of texts."""
    found = []
    for item in reading.items(node, "maps"):
        entry: dict[str, Any] = {}
        for key, (_, value) in reading.pairs(item, "a filter").items():
            is_list = isinstance(value, yaml.SequenceNode)
            entry[key] = reading.texts_of(value, "texts") if is_list else reading.text(value)
        found.append(entry)
    return found


def channel_item(name: str, fields: Mapping[str, Any], written: Mapping[str, str]) -> dict[str, Any]:
    """Return a channel as it is written; `written` are the placeholders of its secret and of what had one before."""
    item: dict[str, Any] = {"name": name, "type": fields["type"]}
    for key, value in sorted(fields["config"].items()):
        path = f"config.{key}"
        item[key] = Placeholder(written[path]) if path in written else value
    if SECRET in written:
        item[SECRET] = Placeholder(written[SECRET])
    item |= {"filters": fields["filters"]} if fields["filters"] else {}
    item |= {"rate_per_minute": fields["rate_per_minute"]} if fields["rate_per_minute"] else {}
    item |= {"fallback": True} if fields["is_fallback"] else {}
    return item | ({} if fields["enabled"] else {"enabled": False})


def read_policy(reading: ConfigReading, node: yaml.Node) -> Entry | None:
    """Return a policy; the channels of its steps are names or types, which only the whole configuration can tell."""
    given = reading.fields(node, "an escalation", POLICY_KEYS)
    name = reading.text(given.get("name"))
    if not isinstance(node, yaml.MappingNode):
        return None
    if not name.strip():
        reading.wrong(node, "name is missing: an escalation needs one of its own")
        return None
    default = reading.truth(given.get("default"))
    if "triggers" not in given and not default:
        reading.wrong(node, "triggers are missing; `triggers: []` stands for every alert")
    steps = [_step(reading, item) for item in reading.items(given.get("steps"), "steps")]
    if "steps" not in given:
        reading.wrong(node, "steps are missing: who is told, and after how long")
    if [step["delay_seconds"] for step in steps] != sorted(step["delay_seconds"] for step in steps):
        reading.wrong(given["steps"], "each step comes after the one before: delays count from the start of the alert")
    fields: Fields = {
        "triggers": read_filters(reading, given.get("triggers")), "steps": steps,
        "enabled": reading.truth(given["enabled"]) if "enabled" in given else True, "is_default": default,
    }  # fmt: skip
    return Entry(ESCALATION, name, fields, *place_of(node), lines=places(given))


def _step(reading: ConfigReading, node: yaml.Node) -> dict[str, Any]:
    given = reading.fields(node, "a step", STEP_KEYS)
    delay = reading.seconds(given["delay"]) if "delay" in given else 0
    if delay > LONGEST_DELAY_SECONDS:
        reading.wrong(given["delay"], "a step comes at most a week after the start")
    return {
        "delay_seconds": min(delay, LONGEST_DELAY_SECONDS),
        "channels": reading.texts_of(given["channels"], "names") if "channels" in given else [],
        "recipients": reading.texts_of(given["recipients"], "addresses") if "recipients" in given else [],
        "line": place_of(given.get("channels", node)),
    }


def policy_item(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy as it is written."""
    item: dict[str, Any] = {"name": name}
    item |= {"default": True} if fields["is_default"] else {}
    item |= {"triggers": fields["triggers"]} if fields["triggers"] or not fields["is_default"] else {}
    item["steps"] = [
        {"delay": step["delay_seconds"]}
        | ({"channels": step["channels"]} if step["channels"] else {})
        | ({"recipients": step["recipients"]} if step["recipients"] else {})
        for step in fields["steps"]
    ]
    return item | ({} if fields["enabled"] else {"enabled": False})
