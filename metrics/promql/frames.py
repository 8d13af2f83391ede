"""What a function, an operator or an aggregation knows besides its operands."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from metrics.promql.annotations import Annotations
from metrics.promql.nodes import Aggregate, Call, Node, Place, place_of
from metrics.promql.operands import Grid
from metrics.promql.types import Limits

Node_co = TypeVar("Node_co", bound=Node, covariant=True)


@dataclass(frozen=True, slots=True)
class Frame(Generic[Node_co]):
    """One node under evaluation: on which grid, within which limits, and where its notes go."""

    node: Node_co
    grid: Grid
    notes: Annotations
    limits: Limits

    @property
    def place(self) -> Place:
        """Return where the node stands in the query."""
        return place_of(self.node)


def argument_place(frame: Frame[Call], argument: int) -> Place:
    """Return where an argument of a call stands in the query."""
    arguments = frame.node.arguments
    return place_of(arguments[argument]) if argument < len(arguments) else frame.place


def parameter_place(frame: Frame[Aggregate]) -> Place:
    """Return where the parameter of an aggregation stands in the query."""
    return frame.place if frame.node.parameter is None else place_of(frame.node.parameter)
