"""Which group a series belongs to, and what the group is called."""

from dataclasses import dataclass

import numpy as np

from metrics.promql.labels import NAME, Signature, numbered, only, signature_function, without
from metrics.promql.nodes import Aggregate
from metrics.promql.operands import VectorValue
from metrics.promql.types import Bools, Ints, remembered


@dataclass(slots=True)
class Groups:
    """Series i belongs to group `of[i]`; members[starts[g]:starts[g + 1]] are the series of group g."""

    of: Ints
    labels: list[dict[str, str]]
    drops_name: Bools

    @property
    def starts(self) -> Ints:
        """Return where each group begins in `members`."""
        return np.concatenate(([0], np.cumsum(np.bincount(self.of, minlength=len(self.labels))))).astype(np.int64)

    @property
    def members(self) -> Ints:
        """Return the series of all groups, group after group, in their order."""
        return np.argsort(self.of, kind="stable").astype(np.int64)


def group_series(node: Aggregate, vector: VectorValue) -> Groups:
    """Sort series into groups by the labels of the aggregation."""
    key = ("groups", node.grouping, node.without)
    group, names = remembered(vector.labels, key, lambda: _grouped(node, vector.labels))
    drops = np.zeros(len(names), dtype=np.bool_)
    drops[group[vector.drops_name]] = True
    return Groups(group, names, drops)


def _grouped(node: Aggregate, labels: list[dict[str, str]]) -> tuple[Ints, list[dict[str, str]]]:
    """Return the number of each series' group, and what the groups are called."""
    signature = signature_function(node.grouping, on=not node.without)
    numbers: dict[Signature, int] = {}
    group = numbered((signature(one) for one in labels), numbers)
    first = np.unique(group, return_index=True)[1].tolist() if len(group) else []
    return group, [group_labels(node, labels[row]) for row in first]


def group_labels(node: Aggregate, labels: dict[str, str]) -> dict[str, str]:
    """Return the labels a group inherits from its series."""
    if node.without:
        return without(labels, (*node.grouping, NAME))
    return only(labels, node.grouping)
