"""The kinds of single values in a configuration: truth values, numbers, durations, addresses."""

from urllib.parse import urlsplit

import yaml

from alerts.engine.alertmanager.documents import BadConfig, Kind, Reading, plain_text, shown
from alerts.engine.alertmanager.quoting import quote
from alerts.engine.alertmanager.spans import parse_go, parse_span

HIDDEN = "<secret>"
TRUTHS = {
    **dict.fromkeys(("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"), True),
    **dict.fromkeys(("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"), False),
}
TLS_VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
MAX_PORT = 65_535


def truth(reading: Reading, node: yaml.Node) -> bool:
    """Read true or false."""
    reading.count()
    if isinstance(node, yaml.ScalarNode) and node.style is None and node.value in TRUTHS:
        return TRUTHS[node.value]
    reading.wrong(node, f"cannot unmarshal {shown(node)} into bool")
    return False


def whole(reading: Reading, node: yaml.Node) -> int:
    """Read a whole number."""
    reading.count()
    text = node.value.replace("_", "") if isinstance(node, yaml.ScalarNode) and node.style is None else ""
    try:
        return int(text, 0)
    except ValueError:
        reading.wrong(node, f"cannot unmarshal {shown(node)} into int")
        return 0


def count(reading: Reading, node: yaml.Node) -> int:
    """Read a whole number that is not negative."""
    number = whole(reading, node)
    if number < 0:
        reading.wrong(node, f"cannot unmarshal {shown(node)} into uint64")
    return max(number, 0)


def fraction(reading: Reading, node: yaml.Node) -> float:
    """Read a number."""
    reading.count()
    try:
        return float(node.value) if isinstance(node, yaml.ScalarNode) and node.style is None else float("x")
    except ValueError:
        reading.wrong(node, f"cannot unmarshal {shown(node)} into float64")
        return 0.0


def anything(reading: Reading, node: yaml.Node) -> object:
    """Read whatever stands there, as plain data."""
    reading.count()
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): anything(reading, item) for key, item in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [anything(reading, item) for item in node.value]
    return node.value


def span(reading: Reading, node: yaml.Node) -> float:
    """Read a duration like 1h30m, in seconds; raises BadConfig."""
    return parse_span(plain_text(reading, node))


def go_span(reading: Reading, node: yaml.Node) -> float:
    """Read a duration like 1.5s, or a number of nanoseconds, in seconds."""
    text = plain_text(reading, node)
    try:
        return int(text) / 1e9
    except ValueError:
        pass
    seconds = parse_go(text)
    if seconds is None:
        reading.wrong(node, f"cannot unmarshal {shown(node)} into time.Duration")
    return seconds or 0.0


def strict_go_span(reading: Reading, node: yaml.Node) -> float:
    """Read a duration like 1.5s, in seconds; raises BadConfig."""
    text = plain_text(reading, node)
    seconds = parse_go(text)
    if seconds is None:
        raise BadConfig(f"time: invalid duration {quote(text)}")
    return seconds


def address(reading: Reading, node: yaml.Node) -> str:
    """Read an http or https address; raises BadConfig."""
    return checked_address(plain_text(reading, node))


def secret_address(reading: Reading, node: yaml.Node) -> str:
    """Read an address, or the mark that stands for a hidden one; raises BadConfig."""
    text = plain_text(reading, node)
    return text if text == HIDDEN else checked_address(text)


def template_address(reading: Reading, node: yaml.Node) -> str:
    """Read an address that may hold a template; raises BadConfig."""
    text = plain_text(reading, node)
    if text in {"", HIDDEN}:
        return text
    try:
        if not is_template(text):
            checked_address(text)
    except BadConfig as problem:
        where = "template syntax" if "{{" in text else "URL"
        raise BadConfig(f"invalid {where}: {problem}") from problem
    return text


def loose_address(reading: Reading, node: yaml.Node) -> str:
    """Read an address of any scheme; raises BadConfig."""
    text = plain_text(reading, node)
    _parsed(text)
    return text


def is_template(text: str) -> bool:
    """Tell whether a text holds a template; raises BadConfig where its braces do not close."""
    parts = text.split("{{")
    for part in parts[1:]:
        inner, closed, _ = part.partition("}}")
        if not closed:
            raise BadConfig("template: :1: unclosed action")
        if not inner.strip(" -"):
            raise BadConfig("template: :1: missing value for command")
    return len(parts) > 1


def checked_address(text: str) -> str:
    """Return an address if it is http or https with a host; raises BadConfig."""
    scheme, host = _parsed(text)
    if scheme not in {"http", "https"}:
        raise BadConfig(f'unsupported scheme "{scheme}" for URL')
    if not host:
        raise BadConfig("missing host for URL")
    return text


def _parsed(text: str) -> tuple[str, str]:
    said = f"parse {quote(text)}: "
    if any(ord(char) < ord(" ") or char == "\x7f" for char in text):
        raise BadConfig(said + "net/url: invalid control character in URL")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as problem:
        raise BadConfig(f"{said}{problem}") from problem
    if not parts.scheme and ":" in text.split("/", 1)[0]:
        raise BadConfig(said + "first path segment in URL cannot contain colon")
    if " " in parts.netloc:
        raise BadConfig(said + 'invalid character " " in host name')
    return parts.scheme.lower(), parts.netloc


def host_port(reading: Reading, node: yaml.Node) -> str:
    """Read host:port; raises BadConfig."""
    text = plain_text(reading, node)
    if not text:
        return text
    host, colon, port = text.rpartition(":")
    if not colon or (text.endswith("]") and ":" in host):
        raise BadConfig(f"address {text}: missing port in address")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise BadConfig(f"address {text}: too many colons in address")
    if not port:
        raise BadConfig(f"address {quote(text)}: port cannot be empty")
    return text


def tls_version(reading: Reading, node: yaml.Node) -> str:
    """Read a version of TLS; raises BadConfig."""
    text = plain_text(reading, node)
    if text not in TLS_VERSIONS:
        raise BadConfig(f"unknown TLS version: {text}")
    return text


KINDS: dict[str, Kind] = {"text": plain_text, "truth": truth, "whole": whole, "count": count, "span": span}
