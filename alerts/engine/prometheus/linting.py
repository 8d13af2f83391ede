"""Rules that say the same twice."""

from collections import Counter
from collections.abc import Iterable

from alerts.engine.prometheus.rule_files import FileGroup

Same = tuple[str, tuple[tuple[str, str], ...]]


def duplicates_of(groups: Iterable[FileGroup]) -> list[Same]:
    """Return name and labels of what several rules of a file make."""
    counted = Counter(
        (rule.name, tuple(sorted(group.labels_of(rule).items()))) for group in groups for rule in group.rules
    )
    return sorted(same for same, times in counted.items() if times > 1)


def shown_duplicates(duplicates: list[Same]) -> str:
    """Return what to say about them."""
    lines = [f"{len(duplicates)} duplicate rule(s) found."]
    for name, labels in duplicates:
        lines += [f"Metric: {name}", "Label(s):", *(f"\t{label}: {value}" for label, value in labels)]
    return "\n".join([*lines, "Might cause inconsistency while recording expressions"])
