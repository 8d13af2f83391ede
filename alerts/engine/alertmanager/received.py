"""Alerts of the console as their sender labelled them: what matchers see, and what names them to other tools."""

from collections.abc import Mapping

FNV_OFFSET = 14_695_981_039_346_656_037
FNV_PRIME = 1_099_511_628_211
BITS_64 = (1 << 64) - 1
SEPARATOR = 0xFF


def as_sent(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return an alert's labels with its name among them, and the severity as it came."""
    sent = {"alertname": name, **labels}
    original = sent.pop("severity_original", None)
    return sent if original is None else {**sent, "severity": original}


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the 16 digits by which Alertmanager's clients know a label set: FNV-1a over names and values in order."""
    found = FNV_OFFSET
    for name in sorted(labels):
        for text in (name, labels[name]):
            for byte in (*text.encode("utf-8", "surrogatepass"), SEPARATOR):
                found = ((found ^ byte) * FNV_PRIME) & BITS_64
    return f"{found:016x}"
