"""The comment lines of a page: what families are called, what they are and what they measure."""

from bisect import bisect_right
from dataclasses import dataclass, field

from metrics.domain import Metadata
from metrics.wire.exposition.forms import ExpositionError
from metrics.wire.exposition.naming import METRIC, QUOTED, unescaped

TEXT_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
OPENMETRICS_TYPES = frozenset(
    {"counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"}
)
MAX_HELP = 1_024
MAX_FAMILIES = 20_000


@dataclass(slots=True)
class Remarks:
    """What the comments of a page say; `type_at` answers for the line at a place of the page."""

    entries: dict[str, dict[str, str]] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def type_at(self, place: int) -> str:
        """Return the type that was declared last before a place."""
        at = bisect_right(self.places, place)
        return self.types[at - 1] if at else "unknown"

    def metadata(self) -> list[Metadata]:
        """Return what is known of each family."""
        return [
            Metadata(
                name,
                "untyped" if known.get("TYPE", "unknown") == "unknown" else known["TYPE"],
                known.get("UNIT", "")[:64],
                known.get("HELP", "")[:MAX_HELP],
            )
            for name, known in self.entries.items()
        ]


def _split(line: str) -> tuple[str, str, str] | None:
    """Return (keyword, family, rest) of a line that declares something."""
    keyword, _, rest = line[1:].lstrip(" \t").partition(" ")
    if keyword not in ("HELP", "TYPE", "UNIT"):
        return None
    rest = rest.lstrip(" \t")
    found = QUOTED.match(rest) if rest[:1] == '"' else METRIC.match(rest)
    if found is None:
        raise ExpositionError(f"a {keyword} line without the name of a metric: {line[:80]!r}")
    name = unescaped(found[1]) if rest[:1] == '"' else found[0]
    after = rest[found.end() :]
    if after and after[0] not in " \t":
        raise ExpositionError(f"a name that is not allowed in {line[:80]!r}")
    return keyword, name, after[1:]


def read_remark(raw: bytes, place: int, remarks: Remarks, *, openmetrics: bool) -> None:
    """Add one comment line; raises ExpositionError where it declares something it cannot."""
    try:
        parts = _split(raw.decode())
    except UnicodeDecodeError:
        raise ExpositionError(f"{raw[:80]!r} is not UTF-8") from None
    if parts is None:
        return
    keyword, name, text = parts
    if keyword == "TYPE":
        text = text.strip(" \t")
        if text not in (OPENMETRICS_TYPES if openmetrics else TEXT_TYPES | OPENMETRICS_TYPES):
            raise ExpositionError(f"{text[:40]!r} is not a type of metric")
        remarks.places.append(place)
        remarks.types.append(text)
    if len(remarks.entries) < MAX_FAMILIES or name in remarks.entries:
        remarks.entries.setdefault(name, {})[keyword] = unescaped(text) if keyword == "HELP" else text
