"""The function info(): labels of info metrics, such as `target_info`, joined to the series of the same target."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import re2

from metrics.promql.labels import NAME, matches, merged, without_name
from metrics.promql.matching import labels_text
from metrics.promql.nodes import Anchor, Call, Node, Selector, Subquery, children
from metrics.promql.operands import Grid, VectorValue, empty_vector
from metrics.promql.selection import Reader
from metrics.promql.types import Bools, Ints, Labels, Matcher, QueryError

# What tells targets apart; Prometheus knows no other labels either.
IDENTIFYING = ("instance", "job")
TARGET_INFO = Matcher(NAME, "=", "target_info")
ANY_INFO = Matcher(NAME, "=~", ".+_info")


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which row of the info vector speaks for a target at each step, -1 for none."""

    rows: Ints


def enriched(node: Call, vector: VectorValue, reader: Reader, grid: Grid) -> VectorValue:
    """Return the series with the labels that the info series of their target have at the same instant."""
    given = node.arguments[1] if len(node.arguments) > 1 else None
    wanted = given.alternatives[0] if isinstance(given, Selector) else ()
    names = _name_matchers([one for one in wanted if one.name == NAME])
    data = [one for one in wanted if one.name != NAME]
    plain = np.array([matches({NAME: labels.get(NAME, "")}, names) for labels in vector.labels], dtype=np.bool_)
    targets = [labels for labels, is_info in zip(vector.labels, plain.tolist(), strict=True) if not is_info]
    found = _info_series(targets, [*names, *data], reader, grid, _moment_of(node.arguments[0]))
    choices = _choices(found)
    parts = [
        (labels, row, mask)
        for row in range(len(vector.labels))
        for labels, mask in _named(vector, row, found, choices, data, is_info=bool(plain[row]))
    ]
    if not parts:
        return empty_vector(grid.count)
    rows = np.array([row for _, row, _ in parts], dtype=np.int64)
    chosen = vector.rows(rows)
    present = chosen.present & np.array([mask for _, _, mask in parts])
    return merged(
        VectorValue([labels for labels, _, _ in parts], chosen.values, present, chosen.drops_name, chosen.histograms)
    )


def _name_matchers(given: list[Matcher]) -> list[Matcher]:
    if not given:
        return [TARGET_INFO]
    return given if any(one.op in {"=", "=~"} for one in given) else [ANY_INFO, *given]


def _moment_of(node: Node) -> tuple[Anchor, int]:
    """Return which instant the first selector looks at: its anchor and offset, through the subqueries around it."""
    path = _path_to_selector(node)
    anchor: Anchor = None
    offset_ms = 0
    for one in reversed(path):
        if anchor is None and isinstance(one, Selector | Subquery):
            anchor, offset_ms = one.anchor, offset_ms + one.offset_ms
    return anchor, offset_ms


def _path_to_selector(node: Node) -> list[Node]:
    if isinstance(node, Selector):
        return [node]
    for child in children(node):
        below = _path_to_selector(child)
        if below:
            return [node, *below]
    return []


def _info_series(
    targets: Sequence[Labels], matchers: Sequence[Matcher], reader: Reader, grid: Grid, moment: tuple[Anchor, int]
) -> VectorValue:
    """Return the info series that may speak for these targets; their values are when they were sampled."""
    values = {name: sorted({labels[name] for labels in targets if labels.get(name)}) for name in IDENTIFYING}
    known = [
        Matcher(name, "=~", "|".join(re2.escape(value) for value in held)) for name, held in values.items() if held
    ]
    if not known:
        return empty_vector(grid.count)
    anchor, offset_ms = moment
    return reader.instant(Selector(((*known, *matchers),), offset_ms, anchor), grid, sampled_at=True)


def _target_of(labels: Labels, name: str) -> tuple[str, ...]:
    return (name, *(labels.get(one, "") for one in IDENTIFYING))


def _choices(found: VectorValue) -> dict[tuple[str, ...], _Choice]:
    """Return who speaks for each target: the info series sampled last; two sampled at once are an error."""
    members: dict[tuple[str, ...], list[int]] = {}
    for row, labels in enumerate(found.labels):
        members.setdefault(_target_of(labels, labels.get(NAME, "")), []).append(row)
    return {target: _newest(found, rows) for target, rows in members.items()}


def _newest(found: VectorValue, rows: list[int]) -> _Choice:
    times = np.where(found.present[rows], found.values[rows], -np.inf)
    best = times.max(axis=0)
    tied = np.flatnonzero((np.isfinite(best)) & ((times == best).sum(axis=0) > 1))
    if tied.size:
        step = int(tied[0])
        first, second = (rows[place] for place in np.flatnonzero(times[:, step] == best[step])[:2].tolist())
        moment = round(float(best[step]) * 1000)
        raise QueryError(
            f"found duplicate series for info metric: existing {labels_text(found.labels[first])} @ {moment},"
            f" new {labels_text(found.labels[second])} @ {moment}"
        )
    return _Choice(np.where(np.isfinite(best), np.array(rows)[times.argmax(axis=0)], -1))


def _named(
    vector: VectorValue,
    row: int,
    found: VectorValue,
    choices: dict[tuple[str, ...], _Choice],
    data: Sequence[Matcher],
    *,
    is_info: bool,
) -> Iterator[tuple[dict[str, str], Bools]]:
    """Return the labels a series has, each with the steps where it has them."""
    base, steps = vector.labels[row], vector.present.shape[1]
    if is_info:
        yield base, np.ones(steps, dtype=np.bool_)
        return
    names = sorted({target[0] for target in choices})
    held = [choices[target].rows for name in names if (target := _target_of(base, name)) in choices]
    optional = all(matches({}, (one,)) for one in data)
    if not held:
        if optional:
            yield base, np.ones(steps, dtype=np.bool_)
        return
    together = np.stack(held)
    distinct, of_step = np.unique(together, axis=1, return_inverse=True)
    for place in np.unique(of_step.ravel()[vector.present[row]]).tolist():
        infos = [found.labels[info] for info in distinct[:, place].tolist() if info >= 0]
        if infos or optional:
            yield base | _labels_from(infos, base, {one.name for one in data}), of_step.ravel() == place


def _labels_from(infos: Iterable[Labels], base: Labels, wanted: set[str]) -> dict[str, str]:
    added: dict[str, str] = {}
    for info in infos:
        for name, value in without_name(info).items():
            if wanted and name not in wanted:
                continue
            if added.get(name, value) != value:
                raise QueryError(f"conflicting label: {name}")
            if name not in base:
                added[name] = value
    return added
