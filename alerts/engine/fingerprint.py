"""Which observations are the same alert."""

from collections.abc import Mapping

from aivillage_console.lib import labels as label_sets

# What differs between two reports of the same trouble must not make two alerts of it.
VOLATILE = frozenset({"severity_original"})


def fingerprint(name: str, labels: Mapping[str, str]) -> str:
    """Return the fingerprint of the name and the labels that last."""
    return label_sets.fingerprint(name, {key: value for key, value in labels.items() if key not in VOLATILE})
