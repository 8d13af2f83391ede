"""Matchers without a metric's name, by an index: the same series as looking at each, whatever came since."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.promql.types import Matcher
from metrics.store import catalogue
from metrics.store.catalogue import Catalogue

VALUES = st.sampled_from(["", "a", "b", "c", "d"])
SERIES = st.tuples(st.integers(0, 4), st.dictionaries(st.sampled_from(["x", "y", "z"]), VALUES, max_size=3))
MATCHER = st.builds(
    Matcher, st.sampled_from(["x", "y", "z", "nobody", "__name__"]), st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["", "a", "b", "c", "unknown", "m1", "m[0-2]", "a|b"]),
)  # fmt: skip


def there(labels: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if text}


def rows(drawn: list[tuple[int, dict[str, str]]], first: int) -> list[catalogue.Row]:
    return sorted(
        (
            (
                1_000 * metric + first + number,
                metric,
                f"m{metric}",
                {name: text for name, text in labels.items() if text},
            )
            for number, (metric, labels) in enumerate(drawn)
        ),
        key=lambda row: row[1],
    )


def plain(matcher: Matcher, labels: dict[str, str]) -> bool:
    return bool(catalogue.accepts(matcher, [labels.get(matcher.name, "")])[0])


@settings(deadline=None, max_examples=300)
@given(
    portions=st.lists(st.lists(SERIES, max_size=12), min_size=1, max_size=5),
    asked=st.lists(st.lists(MATCHER, min_size=1, max_size=3), min_size=1, max_size=4),
    gone=st.sets(st.integers(0, 30)),
)
def test_the_index_finds_what_looking_at_each_series_finds(
    portions: list[list[tuple[int, dict[str, str]]]], asked: list[list[Matcher]], gone: set[int]
):
    known, made = Catalogue(), dict[int, dict[str, str]]()
    for number, drawn in enumerate(portions):
        new = rows(drawn, 20 * number)
        known.add(new)
        made |= {pk: {"__name__": name, **labels} for pk, _, name, labels in new}
        if number == 2:
            left = {pk for pk in made if pk % 31 in gone}
            known._remove(left)
            made = {pk: labels for pk, labels in made.items() if pk not in left}
        for matchers in asked:
            found = known.find(matchers)
            assert len({part.columns.name for part in found}) == len(found)
            expected = {pk for pk, labels in made.items() if all(plain(one, labels) for one in matchers)}
            assert {pk for part in found for pk in part.ids.tolist()} == expected
            for part in found:
                assert known.labels_of(part) == [made[pk] for pk in part.ids.tolist()]


def test_the_index_is_made_again_when_much_has_come(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "LEAST_CAME", 10)
    known, drawn = Catalogue(), random.Random(1)
    made: list[Any] = []
    for number in range(60):
        known.add([(number, number % 3, f"m{number % 3}", {"x": drawn.choice("ab")})])
        found = known.find([Matcher("x", "=", "a")])
        if not made or made[-1] is not known._pairs["x"]:
            made.append(known._pairs["x"])
        total = sum(int(part.rows.size) for part in found) + sum(
            int(part.rows.size) for part in known.find([Matcher("x", "=", "b")])
        )
        assert total == number + 1
    assert 3 < len(made) < 20


def test_a_long_journal_begins_anew(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "LEAST_CAME", 5)
    monkeypatch.setattr(catalogue, "MOST_JOURNAL", 8)
    known = Catalogue()
    for number in range(200):
        known.add([(number, 0, "m", {"x": "a"})])
        known.find([Matcher("x", "=", "a")])
    assert len(known._journal) < 60
    assert np.array_equal(known.find([Matcher("x", "=", "a")])[0].ids, np.arange(200))
