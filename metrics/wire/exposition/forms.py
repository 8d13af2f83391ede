"""The forms a page may have, by Content-Type, and what they share."""

from enum import StrEnum

from metrics.wire.errors import WireError

# Stands for "the page names no time", for pages seldom do: whoever took the page knows when that was.
NO_TIMESTAMP = -(1 << 63)
MAX_LINES = 1_000_000
PROTO = "io.prometheus.client.MetricFamily"


class ExpositionError(WireError):
    """A page that does not follow its format; says in which line."""

    def __init__(self, reason: str, line: int = 0) -> None:
        """Put the line in front, where there is one."""
        super().__init__(f"line {line}: {reason}" if line else reason)


class Form(StrEnum):
    """How a page is written."""

    TEXT = "text"
    OPENMETRICS = "openmetrics"
    PROTOBUF = "protobuf"


def form_of(content_type: str) -> Form | None:
    """Return the form a Content-Type names, None where it names another or none."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if kind == "application/openmetrics-text":
        return Form.OPENMETRICS
    if kind == "text/plain":
        return Form.TEXT
    wanted = {f"proto={PROTO.lower()}", "encoding=delimited"}
    if kind == "application/vnd.google.protobuf" and wanted <= {part.replace('"', "") for part in parameters}:
        return Form.PROTOBUF
    return None
