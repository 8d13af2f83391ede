"""The configuration as one file: the same state is always the same text, and no secret is in it."""

from collections.abc import Iterable

from alerts.engine.configuration import receivers
from alerts.engine.configuration.document import document_text
from alerts.engine.configuration.entries import Entry
from alerts.engine.configuration.merging import leaves
from alerts.models import Channel, ConfigurationBase
from alerts.services.as_code.state import State, known, read_state


def configuration_export() -> str:
    """Return everything that is configured as text."""
    state = read_state()
    names = _secret_names(state)
    for key, entry in state.entries.items():
        if entry.section == receivers.CHANNELS:
            entry.written = _written(entry, state.bases.get(key), names.get(entry.name, ""))
    return document_text(state.entries.values(), known())


def _secret_names(state: State) -> dict[str, str]:
    """Return a variable for the secret of each channel that has one; no two have the same."""
    found: dict[str, str] = {}
    for (section, name), row in state.rows.items():
        if section == receivers.CHANNELS and isinstance(row, Channel) and row.secret_sealed:
            plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name.upper())
            found[name] = _free(f"CHANNEL_{plain}_SECRET", found.values())
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    known_names, number, free = set(taken), 2, name
    while free in known_names:
        free, number = f"{name}_{number}", number + 1
    return free


def _written(entry: Entry, base: ConfigurationBase | None, variable: str) -> dict[str, str]:
    """Return what is written as a variable: secrets always, other values as long as they are what the file gave."""
    found = {}
    if base is not None:
        now, then = leaves(entry.fields), leaves(base.fields)
        found = {path: text for path, text in base.written.items() if path in now and now[path] == then.get(path)}
    if variable:
        found.setdefault(receivers.SECRET, f"${{{variable}}}")
    elif receivers.SECRET in found:
        del found[receivers.SECRET]
    return found
