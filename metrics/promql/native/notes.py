"""What is said about histograms in an answer, in the words of Prometheus."""

from dataclasses import dataclass, field

import orjson

from metrics.promql.annotations import Annotations
from metrics.promql.nodes import Place

ADDITION, SUBTRACTION, AGGREGATION = "addition", "subtraction", "aggregation"


def quoted(text: str) -> str:
    """Put a name in quotes."""
    return orjson.dumps(text).decode()


def for_metric(name: str) -> str:
    """Return the end of a text about one metric, nothing where its name is not known."""
    return f" for metric name {quoted(name)}" if name else ""


def bounds_reconciled(operation: str) -> str:
    """Return the info that listed bounds were not the same."""
    return f"mismatched custom buckets were reconciled during {operation}"


def hints_collide(operation: str) -> str:
    """Return the warning that one side says there was a reset and the other that there was none."""
    return f"conflicting counter resets during histogram {operation}"


def ignored_in(aggregation: str) -> str:
    """Return the info that an aggregation knows numbers only."""
    return f"ignored histogram in {aggregation} aggregation"


@dataclass(slots=True)
class Speaker:
    """Collects what is to be said about one series; nothing is said before `speak`."""

    notes: Annotations
    place: Place
    name: str
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)

    def mixed_types(self) -> None:
        """Say that a window holds numbers and histograms."""
        self.warnings.append(f"encountered a mix of histograms and floats for metric name {quoted(self.name)}")

    def ignored_histograms(self) -> None:
        """Say that a window holds both, and only the numbers were used."""
        self.infos.append(
            "ignored histograms in a range containing both floats and histograms for metric name " + quoted(self.name)
        )

    def not_a_counter(self) -> None:
        """Say that a gauge was taken for a counter."""
        self.warnings.append(f"this native histogram metric is not a counter: {quoted(self.name)}")

    def not_a_gauge(self) -> None:
        """Say that a counter was taken for a gauge."""
        self.warnings.append(f"this native histogram metric is not a gauge: {quoted(self.name)}")

    def mixed_schemas(self, *, alone: bool = True) -> None:
        """Say that exponential and listed bounds do not go together; `alone` takes back what was said before."""
        if alone:
            self.warnings.clear()
            self.infos.clear()
        self.warnings.append(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name "
            + quoted(self.name)
        )

    def bounds_reconciled(self, operation: str) -> None:
        """Say that listed bounds were not the same."""
        self.infos.append(bounds_reconciled(operation))

    def hints_collide(self, operation: str) -> None:
        """Say that one histogram tells of a reset and another that there was none."""
        self.warnings.append(hints_collide(operation))

    def speak(self) -> None:
        """Say it all and forget it."""
        for text in self.warnings:
            self.notes.warn(text, self.place)
        for text in self.infos:
            self.notes.inform(text, self.place)
        self.warnings.clear()
        self.infos.clear()
