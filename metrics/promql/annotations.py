"""What a query's answer says besides its values: warnings (probably wrong) and infos (perhaps not meant)."""

from dataclasses import dataclass, field

from metrics.promql.nodes import Place

# As many of each kind as Prometheus shows in its answers.
MOST_SHOWN = 10


SORT_IN_RANGE = "sort is ineffective for range queries since results are always ordered by labels"
INVALID_RATIO = "ratio value should be between -1 and 1"
INVALID_QUANTILE = "quantile value should be between 0 and 1"


@dataclass(slots=True)
class Note:
    """One text with the place in the query it speaks of; `detail` is added to the text when it is shown."""

    place: Place
    detail: str = ""
    times: int = 0


@dataclass(slots=True)
class Annotations:
    """Collects distinct texts while a query runs; the texts are those Prometheus 3 uses (util/annotations).

    The same text said of two places is one annotation, of the place that was last.
    """

    warnings: dict[str, Note] = field(default_factory=dict)
    infos: dict[str, Note] = field(default_factory=dict)

    def warn(self, text: str, place: Place) -> None:
        """Note that the answer is probably wrong."""
        self.warnings[text] = Note(place)

    def warn_often(self, text: str, place: Place, times: int) -> None:
        """Note that the answer is probably wrong, and how often that was found; the first place stays."""
        note = self.warnings.setdefault(text, Note(place))
        note.times += times
        note.detail = f" ({note.times} occurrences)" if note.times > 1 else ""

    def inform(self, text: str, place: Place) -> None:
        """Note that the query may not ask what was meant."""
        self.infos[text] = Note(place)

    def shown(self, query: str) -> tuple[list[str], list[str]]:
        """Return the warnings and the infos as an answer shows them, each with line and column."""
        return (
            [f"PromQL warning: {text}{_tail(query, note)}" for text, note in self.warnings.items()],
            [f"PromQL info: {text}{_tail(query, note)}" for text, note in self.infos.items()],
        )


def _tail(query: str, note: Note) -> str:
    return f"{note.detail} ({position(query, note.place)})"


def position(query: str, place: Place) -> str:
    """Return line and column of a place, counted from 1; columns are bytes, as in Prometheus."""
    before = query[: place[0]].encode("utf-8", "surrogatepass")
    line_start = before.rfind(b"\n")
    line = before.count(b"\n") + 1
    return f"{line}:{len(before) - line_start}"


def cut_to_most(texts: list[str], kind: str) -> list[str]:
    """Return at most as many texts as an answer shows, and how many more there were."""
    if len(texts) <= MOST_SHOWN:
        return texts
    return [*texts[:MOST_SHOWN], f"{len(texts) - MOST_SHOWN} more {kind} annotations omitted"]
