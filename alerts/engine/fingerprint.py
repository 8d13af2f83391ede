"""Which observations are the same alert."""

import hashlib
import json
from collections.abc import Mapping

# What differs between two reports of the same trouble must not make two alerts of it.
VOLATILE = frozenset({"severity_original"})


def fingerprint(name: str, labels: Mapping[str, str]) -> str:
    """Return the SHA-256 of the name and the sorted labels, in hexadecimal."""
    kept = sorted((key, value) for key, value in labels.items() if key not in VOLATILE)
    return hashlib.sha256(json.dumps([name, kept], ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
