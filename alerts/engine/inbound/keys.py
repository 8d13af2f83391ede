"""Keys of alerts whose sender gave none."""

import hashlib
import json
from collections.abc import Mapping

from alerts.engine.inbound import fields, naming
from alerts.engine.inbound.words import plain

PREFIX = "="


def derived_key(name: str, labels: Mapping[str, str]) -> str:
    """Return a key of what does not move while the trouble lasts: the name without its state, the labels that last."""
    lasting = sorted((key, value) for key, value in labels.items() if plain(key) not in fields.MOVING)
    text = json.dumps([naming.root(name) or name, lasting])
    return PREFIX + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:40]
