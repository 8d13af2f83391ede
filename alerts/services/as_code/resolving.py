"""From what files say to what the console can store: names become things that exist, open values are filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alerts.engine.configuration import receivers, rules
from alerts.engine.configuration.document import Document
from alerts.engine.configuration.entries import Entry
from alerts.engine.configuration.sections import GROUPS, MUTE_TIMES, SETTINGS
from alerts.models import Channel
from alerts.services.as_code.state import Key, State, print_of_secret


@dataclass(slots=True)
class Wanted:
    """What all files say together; `secrets` are by the name of the channel, and in no other place."""

    entries: dict[Key, Entry] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    files: frozenset[str] = frozenset()

    def wrong(self, entry: Entry, text: str, place: tuple[int, int] | None = None) -> None:
        """Note what is wrong with an entry."""
        line, column = place or (entry.line, entry.column)
        self.mistakes.append(f"{entry.file}:{line}:{column}: {text}")


def wanted(documents: Sequence[Document], state: State) -> Wanted:
    """Return what the files say, checked against each other and what exists."""
    found = Wanted(files=frozenset(document.file for document in documents))
    for document in documents:
        found.mistakes += document.told
        for entry in document.entries:
            there = found.entries.setdefault(entry.key, entry)
            if there is not entry and there.file != entry.file:
                found.wrong(entry, f"{entry.name!r} stands in {there.file}, line {there.line}, too")
    _groups(found, state)
    for entry in list(found.entries.values()):
        if entry.section == receivers.CHANNELS:
            _channel(found, entry, state)
    names = _types(found, state)
    policies = {name for section, name in {**state.entries, **found.entries} if section == receivers.ESCALATION}
    for entry in found.entries.values():
        if entry.section == receivers.ESCALATION:
            _policy(found, entry, names)
        elif entry.section == MUTE_TIMES.name:
            unknown = sorted(set(entry.fields.get("policies", [])) - policies)
            if unknown:
                found.wrong(entry, f"there is no escalation {unknown[0]!r}", entry.lines.get("policies"))
            entry.fields["policies"] = sorted(entry.fields.get("policies", []))
    return found


def _groups(found: Wanted, state: State) -> None:
    """Have a group for each rule, and an interval only where it is not the usual one."""
    settings = found.entries.get((SETTINGS.name, SETTINGS.name))
    usual = (settings.fields if settings else {}).get(
        "evaluation_interval_seconds", state.settings.evaluation_interval_seconds
    )
    for entry in list(found.entries.values()):
        if entry.section == rules.SECTION:
            key = (GROUPS.name, entry.fields["group"])
            if key not in state.entries and key not in found.entries:
                found.entries[key] = Entry(
                    GROUPS.name, key[1], dict(GROUPS.defaults), entry.line, entry.column, entry.file, implied=True
                )
        elif entry.section == GROUPS.name and entry.fields["interval_seconds"] == usual:
            entry.fields["interval_seconds"] = None


def _channel(found: Wanted, entry: Entry, state: State) -> None:
    row, base = state.rows.get(entry.key), state.bases.get(entry.key)
    stored = row if isinstance(row, Channel) else None
    for path, names in entry.unset.items():
        place = entry.lines.get(path.removeprefix("config."))
        if path == receivers.SECRET and stored is not None and stored.secret_sealed:
            entry.fields[receivers.SECRET] = print_of_secret(stored.unseal())
        elif path != receivers.SECRET and stored is not None and base is not None and base.written.get(path):
            key = path.removeprefix("config.")
            entry.fields["config"][key] = stored.config.get(key, "")
        else:
            name = names[0]
            found.wrong(entry, f"${{{name}}} is not set: set {name}, or write ${{{name}:-default}}", place)
    if receivers.SECRET in entry.fields and receivers.SECRET not in entry.unset:
        found.secrets[entry.name] = entry.fields[receivers.SECRET]
        entry.fields[receivers.SECRET] = print_of_secret(entry.fields[receivers.SECRET])
    if not entry.fields.get(receivers.SECRET, "-"):
        # An empty text takes the secret away; what has none says nothing of it.
        entry.fields[receivers.SECRET] = ""
        if stored is None or not stored.secret_sealed:
            del entry.fields[receivers.SECRET]


def _types(found: Wanted, state: State) -> Mapping[str, list[str]]:
    """Return the channels by their names and, where no name is the same, by their types."""
    every = {name: entry.fields["type"] for (section, name), entry in {**state.entries, **found.entries}.items()
             if section == receivers.CHANNELS}  # fmt: skip
    names: dict[str, list[str]] = {}
    for name, kind in every.items():
        names.setdefault(kind, []).append(name)
    return names | {name: [name] for name in every}


def _policy(found: Wanted, entry: Entry, names: Mapping[str, list[str]]) -> None:
    steps: list[dict[str, Any]] = []
    for step in entry.fields["steps"]:
        unknown = [name for name in step["channels"] if name not in names]
        for name in unknown:
            there = ", ".join(sorted(names)) or "none"
            found.wrong(entry, f"there is no channel and no type {name[:60]!r}; there are {there}", step["line"])
        told = sorted({one for name in step["channels"] for one in names.get(name, [])})
        steps.append({"delay_seconds": step["delay_seconds"], "channels": told, "recipients": step["recipients"]})
    entry.fields["steps"] = steps
