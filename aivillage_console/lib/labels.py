"""Label sets: sorted, validated, and hashed to the fingerprint that names an alert or a series."""

import hashlib
import re
from collections.abc import Mapping

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")  # noqa: TID251 - our own constant, linear
MAX_LABELS = 40
MAX_NAME_LENGTH = 1024
MAX_VALUE_BYTES = 2048


class BadLabels(ValueError):
    """A label set that may not be stored; the text says which label and why."""


def sort(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels in name order without the empty ones, which mean the same as absent."""
    return {name: labels[name] for name in sorted(labels) if labels[name] != ""}


def canonical(labels: Mapping[str, str]) -> bytes:
    """Return bytes that are equal exactly when two label sets are; lengths keep `a=b` apart from `a,=b`."""
    parts = []
    for text in (item for pair in sort(labels).items() for item in pair):
        raw = text.encode("utf-8", "surrogatepass")
        parts.append(len(raw).to_bytes(4, "big") + raw)
    return b"".join(parts)


def fingerprint(name: str, labels: Mapping[str, str]) -> str:
    """Return the SHA-256 of a name and its labels as 64 hexadecimal digits."""
    return hashlib.sha256(canonical({**labels, "__name__": name})).hexdigest()


def short_hash(labels: Mapping[str, str]) -> int:
    """Return 63 bits of a label set's hash, for indexes that take a bigint."""
    return int.from_bytes(hashlib.sha256(canonical(labels)).digest()[:8], "big") >> 1


def validate(labels: Mapping[str, str], *, reserved: bool = False) -> None:
    """Raise BadLabels at the first bad label; names that begin with two underscores need `reserved`."""
    if len(labels) > MAX_LABELS:
        raise BadLabels(f"{len(labels)} labels; at most {MAX_LABELS} are allowed")
    for name, value in labels.items():
        if len(name) > MAX_NAME_LENGTH or not NAME.fullmatch(name):
            raise BadLabels(f"label name {name[:80]!r} must be letters, digits and underscores, a digit not first")
        if name.startswith("__") and not reserved:
            raise BadLabels(f"label name {name[:80]!r} is reserved")
        if not isinstance(value, str):
            raise BadLabels(f"label {name!r} must be a text")
        if "\x00" in value:
            raise BadLabels(f"label {name!r} holds a NUL character")
        if len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
            raise BadLabels(f"label {name!r} is longer than {MAX_VALUE_BYTES} bytes")
